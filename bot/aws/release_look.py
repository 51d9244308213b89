"""A look at the model files behind the endpoint, written to the shared cell `catalogue`.

The sweep takes it: what an endpoint draws with changes with its configuration alone, so the description of
the configuration, that of its model and the release's `catalogue.json` are read once for each. Which release
is published (docs/models.md) is asked every time, one GetObject.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from bot.aws.clients import Clients
from bot.aws.peer_errors import peer_errors
from bot.aws.second_try import read
from bot.domain.errors import CellMoved, PeerError, Rejected
from bot.domain.prompt.release_file import read_release, shared
from bot.ports import Cells, Journal
from bot.services.settings import CATALOGUE, ENDPOINT

MOST_BYTES = 16 * 2**20
MISSING = frozenset({"NoSuchKey", "NoSuchBucket"})


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

    The role needs sagemaker:DescribeEndpointConfig, sagemaker:DescribeModel, and s3:GetObject with
    s3:ListBucket where the releases lie. `owner` is the account (12 digits) that the bucket must belong to.
    """

    def __init__(self, clients: Clients, *, owner: str, journal: Journal) -> None:
        self._clients = clients
        self._owner = owner
        self._journal = journal

    def refresh(self, cells: Cells) -> None:
        """Write what changed. What cannot be read now stays as it was, and is asked for again.

        Raises PeerError when a cell cannot be read or written.
        """
        found = cells.look((ENDPOINT, CATALOGUE)).cells
        config = found[ENDPOINT].value.get("config") if ENDPOINT in found else None
        if not config:
            return
        cell = found.get(CATALOGUE)
        before: Mapping[str, Any] = cell.value if cell else {}
        try:
            told = self._told(config, before)
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
        newer = named if isinstance(named, str) and named != told["release"] else ""
        return {**told, "newer": newer[:80]}

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
