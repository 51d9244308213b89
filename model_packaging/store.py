"""One S3 bucket and prefix, with the calls that moving model files takes. Every call names its owner.

Checksums: CRC-32 of every part and of the whole object, which S3 compares with what arrived and keeps
(S3 guide, "Checking object integrity", full object checksums).
"""

import base64
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from model_packaging.errors import StoreRefused
from model_packaging.span import Span

CRC32 = "CRC32"
FULL = "FULL_OBJECT"
MOST_SMALL_BYTES = 16 * 2**20
_ADDRESS = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*))?")
_MISSING = frozenset({"404", "NoSuchKey", "NotFound"})

_FIXES = {
    "AccessDenied": "the account or role may not do this, or the bucket is another account's; see --owner",
    "403": "the account or role may not do this, or the bucket is another account's; see --owner",
    "NoSuchBucket": "there is no such bucket; check its name and region",
    "EntityTooLarge": "the file is larger than S3 takes",
    "BadDigest": "what arrived is not what was sent; run the same line again",
    "KMS.DisabledException": "the KMS key is disabled; enable it or name another with --kms-key",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """`prefix` is "" or ends in "/"."""

    bucket: str
    prefix: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"


def place_named(address: str) -> Place:
    """Read `s3://bucket/prefix`. Raises `StoreRefused`."""
    found = _ADDRESS.fullmatch(address)
    prefix = (found[2] or "").strip("/") if found else ""
    if found is None or any(part in ("", ".", "..") for part in prefix.split("/") if prefix):
        raise StoreRefused(f"{address} is no place in S3; write s3://bucket/models")
    if not prefix.isascii() or not prefix.isprintable() or len(prefix) > 200:
        raise StoreRefused(
            f"{address}: use a prefix of up to 200 plain characters, such as s3://bucket/models"
        )
    return Place(bucket=found[1], prefix=f"{prefix}/" if prefix else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """An object. `crc32` of the whole of it in 8 hex digits, "" where S3 does not tell."""

    key: str
    size: int
    etag: str = ""
    crc32: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of a multipart upload; `crc32` is None where S3 does not tell."""

    number: int
    etag: str
    crc32: int | None
    size: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfinished:
    """A multipart upload that was begun. S3 bills its parts until it is completed or aborted."""

    key: str
    upload_id: str


class Store:
    """Keys are below the place's prefix. Calls raise `StoreRefused`.

    `client` is boto3's S3 client, `owner` the account that must own the bucket, `kms_key` encrypts what is
    written (S3's own keys otherwise).
    """

    def __init__(self, client: Any, place: Place, *, owner: str = "", kms_key: str = "") -> None:
        self.place = place
        self._client = client
        self._named = {"Bucket": place.bucket, **({"ExpectedBucketOwner": owner} if owner else {})}
        self._owner = owner
        self._encrypted = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key} if kms_key else {}

    def objects(self, prefix: str = "") -> Iterator[Stored]:
        """Every object below, in order of keys."""
        with _told(f"list {self.place}{prefix}"):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                **self._named, Prefix=self.place.prefix + prefix
            )
            for page in pages:
                for item in page.get("Contents", ()):
                    yield Stored(key=self._below(item["Key"]), size=item["Size"], etag=item["ETag"])

    def head(self, key: str) -> Stored | None:
        """The object, None where there is none."""
        with _told(f"look at {self.place}{key}"):
            try:
                found = self._client.head_object(**self._named, Key=self._key(key), ChecksumMode="ENABLED")
            except ClientError as error:
                if _code(error) in _MISSING:
                    return None
                raise
        return Stored(key=key, size=found["ContentLength"], etag=found["ETag"], crc32=_whole_crc32(found))

    def get(self, key: str, *, most: int = MOST_SMALL_BYTES) -> bytes | None:
        """A small object's content, None where there is none."""
        with _told(f"read {self.place}{key}"):
            try:
                found = self._client.get_object(**self._named, Key=self._key(key))
            except ClientError as error:
                if _code(error) in _MISSING:
                    return None
                raise
            if found["ContentLength"] > most:
                raise StoreRefused(
                    f"{self.place}{key} is larger than {most:,} bytes; it is not what we wrote"
                )
            body: bytes = found["Body"].read()
            return body

    def read_range(self, key: str, start: int, length: int, *, etag: str) -> bytes:
        """A span of exactly this version of the object."""
        span = f"bytes={start}-{start + length - 1}"
        with _told(f"read {self.place}{key}"):
            found = self._client.get_object(**self._named, Key=self._key(key), Range=span, IfMatch=etag)
            body: bytes = found["Body"].read()
        if len(body) != length:
            raise StoreRefused(f"{self.place}{key} ended early; run the same line again")
        return body

    def put(self, key: str, body: bytes | Span, crc32: int, *, only_new: bool = False) -> None:
        """Write a whole object. `only_new` refuses one that is there already."""
        condition = {"IfNoneMatch": "*"} if only_new else {}
        with _told(f"write {self.place}{key}"):
            sent = self._client.put_object(
                **self._named,
                **self._encrypted,
                **condition,
                Key=self._key(key),
                Body=body,
                ChecksumAlgorithm=CRC32,
                ChecksumCRC32=_encoded(crc32),
            )
        self._check_answer(key, sent, crc32)

    def begin(self, key: str) -> str:
        """Begin a multipart upload; returns its id."""
        with _told(f"write {self.place}{key}"):
            begun = self._client.create_multipart_upload(
                **self._named,
                **self._encrypted,
                Key=self._key(key),
                ChecksumAlgorithm=CRC32,
                ChecksumType=FULL,
            )
        return str(begun["UploadId"])

    def send_part(self, key: str, upload_id: str, number: int, crc32: int, body: bytes | Span) -> Part:
        """S3 refuses a part that arrives with another checksum, and says which one it keeps."""
        with _told(f"write {self.place}{key}"):
            sent = self._client.upload_part(
                **self._named,
                Key=self._key(key),
                UploadId=upload_id,
                PartNumber=number,
                Body=body,
                ChecksumAlgorithm=CRC32,
                ChecksumCRC32=_encoded(crc32),
            )
        self._check_answer(key, sent, crc32)
        return Part(number=number, etag=sent["ETag"], crc32=crc32)

    def copy_part(self, source: Stored, key: str, upload_id: str, number: int, span: tuple[int, int]) -> Part:
        """A span (start, length) of another object, copied inside S3."""
        start, length = span
        with _told(f"copy {self.place}{source.key}"):
            copied = self._client.upload_part_copy(
                **self._named,
                **self._copied_from(source),
                Key=self._key(key),
                UploadId=upload_id,
                PartNumber=number,
                CopySourceRange=f"bytes={start}-{start + length - 1}",
            )["CopyPartResult"]
        return Part(number=number, etag=copied["ETag"], crc32=_decoded(copied.get("ChecksumCRC32")))

    def complete(self, key: str, upload_id: str, parts: list[Part], *, size: int, crc32: int | None) -> None:
        """Make the object of its parts; S3 refuses one whose whole has another checksum or size.

        Which one it keeps then is compared again, from its answer or, where that does not tell, from a look.
        """
        whole = {} if crc32 is None else {"ChecksumCRC32": _encoded(crc32), "ChecksumType": FULL}
        with _told(f"write {self.place}{key}"):
            ended = self._client.complete_multipart_upload(
                **self._named,
                **whole,
                Key=self._key(key),
                UploadId=upload_id,
                MpuObjectSize=size,
                MultipartUpload={"Parts": [_completed(part) for part in parts]},
            )
        kept = _whole_crc32(ended) or self._kept_crc32(key)
        if crc32 is not None and kept and kept != f"{crc32:08x}":
            raise self._other_bytes(key)

    def copy(self, source: Stored, key: str) -> None:
        """Copy inside S3, for objects up to 5 GB."""
        with _told(f"copy {self.place}{source.key}"):
            self._client.copy_object(
                **self._named,
                **self._encrypted,
                **self._copied_from(source),
                Key=self._key(key),
                ChecksumAlgorithm=CRC32,
            )

    def unfinished(self, prefix: str) -> list[Unfinished]:
        """Multipart uploads that were begun below."""
        with _told(f"list {self.place}{prefix}"):
            pages = self._client.get_paginator("list_multipart_uploads").paginate(
                **self._named, Prefix=self.place.prefix + prefix
            )
            return [
                Unfinished(key=self._below(item["Key"]), upload_id=item["UploadId"])
                for page in pages
                for item in page.get("Uploads", ())
            ]

    def parts(self, begun: Unfinished) -> dict[int, Part]:
        """What has arrived of one, by number."""
        with _told(f"list {self.place}{begun.key}"):
            pages = self._client.get_paginator("list_parts").paginate(
                **self._named, Key=self._key(begun.key), UploadId=begun.upload_id
            )
            found = [
                Part(
                    number=item["PartNumber"],
                    size=item["Size"],
                    etag=item["ETag"],
                    crc32=_decoded(item.get("ChecksumCRC32")),
                )
                for page in pages
                for item in page.get("Parts", ())
            ]
        return {part.number: part for part in found}

    def abort(self, begun: Unfinished) -> None:
        """Drop the parts. One that is gone already is fine."""
        with _told(f"clean up {self.place}{begun.key}"):
            try:
                self._client.abort_multipart_upload(
                    **self._named, Key=self._key(begun.key), UploadId=begun.upload_id
                )
            except ClientError as error:
                if _code(error) != "NoSuchUpload":
                    raise

    def days_parts_stay(self) -> int | None:
        """After how many days a rule of the bucket drops what is unfinished here.

        None where no rule does, or where nobody may ask for it.
        """
        try:
            told = self._client.get_bucket_lifecycle_configuration(**self._named)
        except (ClientError, BotoCoreError):
            return None
        days = [
            int(rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"])
            for rule in told.get("Rules", ())
            if rule.get("Status") == "Enabled"
            and "AbortIncompleteMultipartUpload" in rule
            and self.place.prefix.startswith(rule.get("Filter", rule).get("Prefix", ""))
        ]
        return min(days, default=None)

    def delete(self, key: str) -> None:
        with _told(f"remove {self.place}{key}"):
            self._client.delete_object(**self._named, Key=self._key(key))

    def _check_answer(self, key: str, answer: Mapping[str, Any], crc32: int) -> None:
        kept = _decoded(answer.get("ChecksumCRC32"))
        if kept is not None and kept != crc32:
            raise self._other_bytes(key)

    def _kept_crc32(self, key: str) -> str:
        stored = self.head(key)
        return stored.crc32 if stored else ""

    def _other_bytes(self, key: str) -> StoreRefused:
        return StoreRefused(f"S3 keeps other bytes of {self.place}{key} than were sent; run the line again")

    def _key(self, key: str) -> str:
        return self.place.prefix + key

    def _below(self, key: str) -> str:
        return key.removeprefix(self.place.prefix)

    def _copied_from(self, source: Stored) -> dict[str, Any]:
        owner = {"ExpectedSourceBucketOwner": self._owner} if self._owner else {}
        named = {"Bucket": self.place.bucket, "Key": self._key(source.key)}
        return {**owner, "CopySource": named, "CopySourceIfMatch": source.etag}


@contextmanager
def _told(doing: str) -> Iterator[None]:
    """AWS's refusals in plain words."""
    try:
        yield
    except ClientError as error:
        code = _code(error)
        fix = _FIXES.get(code, "run the same line again; if it stays, see S3's error code")
        raise StoreRefused(f"S3 does not {doing} ({code}): {fix}") from error
    except BotoCoreError as error:
        raise StoreRefused(
            f"S3 does not {doing}: {error}; check the network, the region and the credentials"
        ) from error


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", "unknown"))


def _whole_crc32(found: Mapping[str, Any]) -> str:
    """A composite checksum (of the parts' checksums) says nothing about the whole."""
    value = found.get("ChecksumCRC32")
    if not value or "-" in value or found.get("ChecksumType", FULL) != FULL:
        return ""
    crc32 = _decoded(value)
    return "" if crc32 is None else f"{crc32:08x}"


def _completed(part: Part) -> dict[str, Any]:
    checksum = {} if part.crc32 is None else {"ChecksumCRC32": _encoded(part.crc32)}
    return {"PartNumber": part.number, "ETag": part.etag, **checksum}


def _encoded(crc32: int) -> str:
    return base64.b64encode(crc32.to_bytes(4, "big")).decode()


def _decoded(value: str | None) -> int | None:
    return int.from_bytes(base64.b64decode(value), "big") if value else None
