"""`verify` of an S3 prefix: names, headers read where they lie, and whether `catalogue.json` tells the same.

A few kilobytes of each file are fetched, of a pickle its program and what stands before each of its storages.
The numbers themselves are not looked at: `download` compares every byte.
"""

import io
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from model_packaging.catalogue import Catalogue, from_json
from model_packaging.errors import BadCatalogue, WrongPlace
from model_packaging.findings import Finding, error, warning
from model_packaging.layout import CATALOGUE, SAFE_SUFFIX, is_model_file
from model_packaging.member_names import name_findings, printable
from model_packaging.releases import RELEASES, key_of, list_releases, newest
from model_packaging.store import Store, Stored
from model_packaging.verification import Limits, Report, Seen, Verdict, inspected

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

AHEAD = 2**17
"""Bytes of one request: most headers are shorter."""

AHEAD_IN_PICKLES = 2**14
"""There it is one short look at each of a thousand storages."""

AGAIN = "upload the folder again"


def verify_prefix(store: Store, *, limits: Limits) -> Report:
    """Look at everything below the store's place. Raises `StoreRefused`, and `WrongPlace` above releases."""
    there = {stored.key: stored for stored in store.objects()}
    _check_level(store, there)
    seen = Seen()
    for key, stored in there.items():
        if not key or key.endswith("/"):
            seen.findings += name_findings([(key or "/", stored.size)])
            continue
        seen.add(key, stored.size)
        if is_model_file(key):
            seen.judge(key, partial(_inspected, store, stored))
    seen.findings += _catalogue_findings(store, there)
    return seen.report(limits, is_whole=True)


def _check_level(store: Store, there: dict[str, Stored]) -> None:
    if not there:
        raise WrongPlace(f"{store.place} holds nothing; name a prefix with model files")
    if any(key.startswith(RELEASES) for key in there):
        found = newest(list_releases(store))
        example = f"{store.place}{key_of(found.name if found else 'NAME', '')}"
        raise WrongPlace(f"{store.place} holds releases; name one of them: {example}")


def _inspected(store: Store, stored: Stored) -> Verdict:
    is_pickle = not stored.key.endswith(SAFE_SUFFIX)
    with io.BufferedReader(_Object(store, stored), AHEAD_IN_PICKLES if is_pickle else AHEAD) as file:
        return inspected(file, Path(stored.key), numbers=False)


class _Object(io.RawIOBase):
    """An object as a file that can seek; exactly the version that was listed."""

    def __init__(self, store: Store, stored: Stored) -> None:
        super().__init__()
        self._store = store
        self._stored = stored
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        begin = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._stored.size}[whence]
        self._at = begin + offset
        return self._at

    def readinto(self, room: "WriteableBuffer") -> int:
        held = memoryview(room).cast("B")
        length = min(len(held), self._stored.size - self._at)
        if length <= 0:
            return 0
        held[:length] = self._store.read_range(self._stored.key, self._at, length, etag=self._stored.etag)
        self._at += length
        return length


def _catalogue_findings(store: Store, there: dict[str, Stored]) -> Iterator[Finding]:
    """A set made by hand has none, and works."""
    if CATALOGUE not in there:
        return
    try:
        catalogue = from_json(store.get(CATALOGUE) or b"", place=CATALOGUE)
    except BadCatalogue as bad:
        yield error(CATALOGUE, "catalogue", str(bad))
        return
    for path, file in catalogue.files.items():
        stored = there.get(path)
        if stored is None:
            yield error(printable(path), "missing", "catalogue.json lists it, and it is not there", AGAIN)
        elif stored.size != file.size or not _has_checksum(store, path, file.crc32):
            yield error(printable(path), "changed", "it is not the file that catalogue.json lists", AGAIN)
    yield from _unlisted(catalogue, there)


def _unlisted(catalogue: Catalogue, there: dict[str, Stored]) -> Iterator[Finding]:
    for key in there:
        if is_model_file(key) and key not in catalogue.files:
            yield warning(printable(key), "unlisted", "catalogue.json does not list it", AGAIN)


def _has_checksum(store: Store, key: str, crc32: str) -> bool:
    """Where both sides know one."""
    stored = store.head(key)
    return stored is not None and (not crc32 or not stored.crc32 or stored.crc32 == crc32)
