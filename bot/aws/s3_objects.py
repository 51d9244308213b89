"""Objects in one S3 bucket: the port Objects on AWS."""

import base64
import hashlib
from collections.abc import Mapping
from contextlib import closing
from functools import partial
from pathlib import PurePosixPath
from typing import Any

from bot.aws.clients import Clients
from bot.aws.peer_errors import peer_errors
from bot.aws.second_try import read, with_second_try
from bot.domain.errors import Rejected, Unavailable
from bot.domain.object_keys import MOST_LISTED, check_key, check_prefix

MOST_BYTES = 64 * 1024 * 1024
"""A function holds an object whole, a few times over. Four pictures of two megapixels in JSON are 32 MB."""

CONTENT_TYPES = {".json": "application/json", ".out": "application/json", ".png": "image/png"}

MISSING = frozenset({"AccessDenied", "NoSuchKey"})
"""S3 answers 403 for an object that is not there to a role that may not list the bucket (GetObject)."""


class S3Objects:
    """The port Objects over `bucket`, which must belong to the account `owner` (12 digits).

    Every body is written with its SHA-256, which S3 checks and returns with it, so a body that changed on
    the way is never taken for the object. A call that was lost is repeated once; all calls raise Busy,
    Unavailable or Rejected, those that write also Ambiguous.
    """

    def __init__(self, clients: Clients, *, bucket: str, owner: str) -> None:
        self._clients = clients
        self._place = {"Bucket": bucket, "ExpectedBucketOwner": owner}

    def put(self, key: str, body: bytes) -> None:
        """See Objects.put. Raises Rejected("already_exists") for other bytes under a used key, and
        Rejected("too_large") for more than 64 MiB.
        """
        check_key(key)
        if len(body) > MOST_BYTES:
            raise Rejected("too_large")
        is_written = with_second_try(partial(self._create, key, body))
        if not is_written and self.get(key) != body:
            raise Rejected("already_exists")

    def get(self, key: str) -> bytes | None:
        """See Objects.get. Raises Rejected("too_large") for more than 64 MiB."""
        check_key(key)
        return read(partial(self._fetch, key))

    def list(self, prefix: str) -> tuple[str, ...]:
        """See Objects.list; what others put there under names that are no keys of ours is left out."""
        check_prefix(prefix)
        return read(partial(self._keys, prefix))

    def delete(self, key: str) -> None:
        """See Objects.delete."""
        check_key(key)
        with_second_try(partial(self._remove, key))

    @property
    def _s3(self) -> Any:
        return self._clients["s3"]

    def _create(self, key: str, body: bytes) -> bool:
        """False when the key is taken, perhaps by our own first try.

        S3 answers 409 to a conditional write that met another one under way, and wants it sent again.
        """
        try:
            with peer_errors():
                self._s3.put_object(
                    Key=key,
                    Body=body,
                    IfNoneMatch="*",
                    ContentType=CONTENT_TYPES.get(PurePosixPath(key).suffix, "application/octet-stream"),
                    ChecksumAlgorithm="SHA256",
                    ChecksumSHA256=base64.b64encode(hashlib.sha256(body).digest()).decode(),
                    **self._place,
                )
        except Rejected as no:
            if no.code == "ConditionalRequestConflict":
                raise Unavailable(no.code) from no
            if no.code != "PreconditionFailed":
                raise
            return False
        return True

    def _fetch(self, key: str) -> bytes | None:
        try:
            with peer_errors():
                answer = self._s3.get_object(Key=key, ChecksumMode="ENABLED", **self._place)
                return _body_of(answer)
        except Rejected as no:
            if no.code in MISSING:
                return None
            raise

    def _keys(self, prefix: str) -> tuple[str, ...]:
        limit = {"PageSize": MOST_LISTED, "MaxItems": MOST_LISTED}
        with peer_errors():
            pages = self._s3.get_paginator("list_objects_v2").paginate(
                Prefix=prefix, PaginationConfig=limit, **self._place
            )
            found = [entry["Key"] for page in pages for entry in page.get("Contents", ())]
        return tuple(key for key in found if _is_key(key))

    def _remove(self, key: str) -> None:
        with peer_errors():
            self._s3.delete_object(Key=key, **self._place)


def _body_of(answer: Mapping[str, Any]) -> bytes:
    """A connection that still holds bytes is closed, any other kept."""
    with closing(answer["Body"]) as body:
        if answer.get("ContentLength", 0) > MOST_BYTES:
            raise Rejected("too_large")
        return bytes(body.read())


def _is_key(key: str) -> bool:
    try:
        check_key(key)
    except Rejected:
        return False
    return True
