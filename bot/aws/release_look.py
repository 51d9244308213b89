"""A look at the model files behind the endpoint, written to the shared cell `catalogue`.

The sweep takes it: what an endpoint draws with changes with its configuration alone, so the description of
the configuration, that of its model and the release's `catalogue.json` are read once for each. Which release
is published (docs/models.md) is asked every time, one GetObject. Where files come without a catalogue, the
container is asked for their names, once, and only while it is awake anyway.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from bot.aws.clients import Clients
from bot.aws.peer_errors import peer_errors
from bot.aws.result_objects import QUESTIONS
from bot.aws.second_try import read
from bot.domain.errors import CellMoved, PeerError, Rejected
from bot.domain.job import job_id
from bot.domain.prompt.release_file import paths_coming, read_release, read_server_list, shared
from bot.ports import Cells, Endpoint, Journal, Objects, Submission, Warmth
from bot.services.settings import CATALOGUE, ENDPOINT

MOST_BYTES = 16 * 2**20
MISSING = frozenset({"NoSuchKey", "NoSuchBucket"})
ASKED_FOR, ASKED_AGAIN = 300.0, 3600.0
"""Seconds in which the container must answer, and after which one that did not is asked again."""

_RELEASE = re.compile(r"[\w-]{1,80}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a model's files lie. `prefix` ends in "/"."""

    bucket: str
    prefix: str

    @property
    def home(self) -> str | None:
        """The prefix above `releases/NAME/`, None for files that are no release."""
        above, found, name = self.prefix.rpartition("releases/")
        return above if found and name.strip("/") else None

    @property
    def release(self) -> str:
        return self.prefix.rstrip("/").rpartition("/")[2] if self.home is not None else ""


class ReleaseLook:
    """Looks at the model files of the endpoint that the cell `endpoint` describes.

    `endpoint` and `objects` are for asking the container.

    The role needs sagemaker:DescribeEndpointConfig, sagemaker:DescribeModel, and s3:GetObject with
    s3:ListBucket where the releases lie. `owner` is the account (12 digits) that the bucket must belong to.
    """

    def __init__(
        self, clients: Clients, *, owner: str, journal: Journal, endpoint: Endpoint, objects: Objects
    ) -> None:
        self._clients = clients
        self._endpoint = endpoint
        self._objects = objects
        self._owner = owner
        self._journal = journal

    def refresh(self, cells: Cells, *, now: float) -> None:
        """Write what changed. What cannot be read now stays as it was, and is asked for again.

        Raises PeerError when a cell cannot be read or written.
        """
        found = cells.look((ENDPOINT, CATALOGUE)).cells
        endpoint: Mapping[str, Any] = found[ENDPOINT].value if ENDPOINT in found else {}
        config = endpoint.get("config")
        if not config:
            return
        awake = endpoint.get("warmth") == Warmth.AWAKE
        cell = found.get(CATALOGUE)
        before: Mapping[str, Any] = cell.value if cell else {}
        try:
            told = self._told(config, before)
            if "files" not in told:
                told = self._names(told, awake=awake, now=now)
        except PeerError as error:
            self._journal.event("catalogue_look_failed", code=error.code)
            return
        if told == before:
            return
        try:
            cells.write(CATALOGUE, told, expected=cell.version if cell else 0)
        except CellMoved:
            self._journal.event("catalogue_look_overtaken")

    def _told(self, config: str, before: Mapping[str, Any]) -> Mapping[str, Any]:
        """The cell's value; without `files` where the endpoint's files come without a catalogue."""
        if before.get("config") == config:
            return self._with_newer(before)
        place = _place_of(self._model(config))
        body = self._object(place.bucket, f"{place.prefix}catalogue.json") if place else None
        content = _json(body or b"")
        if place is None or not isinstance(content.get("files"), dict):
            return {"config": config}
        release = read_release(content)
        told = {**shared(release), "release": release.name or place.release, "config": config}
        home = {"bucket": place.bucket, "home": place.home}
        return self._with_newer({**told, **home} if place.home is not None else told)

    def _with_newer(self, told: Mapping[str, Any]) -> Mapping[str, Any]:
        if told.get("home") is None:
            return told
        body = self._object(told["bucket"], f"{told['home']}published.json")
        named = _json(body).get("release") if body else None
        newer = named if isinstance(named, str) and _RELEASE.fullmatch(named) else ""
        if newer in ("", told["release"]):
            return {**told, "newer": "", "coming": []}
        return (
            told if newer == told["newer"] else {**told, "newer": newer, "coming": self._coming(told, newer)}
        )

    def _coming(self, told: Mapping[str, Any], newer: str) -> list[str]:
        body = self._object(told["bucket"], f"{told['home']}releases/{newer}/catalogue.json")
        return paths_coming(read_release(told), read_release(_json(body or b"")))

    def _names(self, told: Mapping[str, Any], *, awake: bool, now: float) -> Mapping[str, Any]:
        """With what the container says of files that nobody has described.

        An instance is never started for it: a container that sleeps is asked when something else woke it.
        """
        job, since = job_id(QUESTIONS, told["config"]), now - told.get("asked_at", -ASKED_AGAIN)
        key = f"out/{QUESTIONS}/{job}.out"
        body = self._objects.get(key) if 0 <= since < ASKED_FOR else None
        named = read_server_list(_json(body or b""))
        if named.files:
            return {**shared(named), "config": told["config"]}
        if not awake or 0 <= since < ASKED_AGAIN:
            return told
        question = Submission(
            job_id=job,
            tenant=QUESTIONS,
            ordinal=1,
            body=json.dumps({"task": "catalogue"}).encode(),
            output_key=key,
            failure_prefix=f"failed/{QUESTIONS}/{job}",
            ttl=ASKED_FOR,
            timeout=60,
        )
        self._endpoint.submit(question)
        self._journal.event("catalogue_asked")
        return {**told, "asked_at": now}

    def _model(self, config: str) -> Mapping[str, Any]:
        with peer_errors():
            described = self._clients["sagemaker"].describe_endpoint_config(EndpointConfigName=config)
        name = described["ProductionVariants"][0]["ModelName"]
        with peer_errors():
            model: Mapping[str, Any] = self._clients["sagemaker"].describe_model(ModelName=name)
        return model

    def _object(self, bucket: str, key: str) -> bytes | None:
        try:
            return read(partial(self._fetch, bucket, key))
        except Rejected as no:
            if no.code in MISSING:
                return None
            raise

    def _fetch(self, bucket: str, key: str) -> bytes:
        with peer_errors():
            reply = self._clients["s3"].get_object(Bucket=bucket, Key=key, ExpectedBucketOwner=self._owner)
            if reply["ContentLength"] > MOST_BYTES:
                reply["Body"].close()
                raise Rejected("reply_too_large")
            body: bytes = reply["Body"].read()
        return body


def _place_of(model: Mapping[str, Any]) -> Place | None:
    """Where the files lie as such; None for an archive and for a model without files."""
    container: Mapping[str, Any] = model.get("PrimaryContainer") or next(
        iter(model.get("Containers") or ()), {}
    )
    uri = container.get("ModelDataSource", {}).get("S3DataSource", {}).get("S3Uri", "")
    parts = urlsplit(uri)
    if parts.scheme != "s3" or not uri.endswith("/"):
        return None
    return Place(bucket=parts.netloc, prefix=parts.path.lstrip("/"))


def _json(body: bytes) -> dict[str, Any]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
