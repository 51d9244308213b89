"""Releases: each change of a model set is a prefix of its own in S3 that never changes again.

    releases/20261128-101500-3fa9c1d2/Stable-diffusion/x.safetensors
    releases/20261128-101500-3fa9c1d2/catalogue.json

`catalogue.json` is written last: a prefix without it is unfinished, and nobody reads it. A SageMaker endpoint
names the prefix as its uncompressed `ModelDataSource` (S3Prefix), so nothing else may lie in it.
"""

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from isal import isal_zlib

from model_packaging.catalogue import MOST_BYTES, Catalogue, ModelFile, from_json
from model_packaging.errors import StoreRefused
from model_packaging.layout import CATALOGUE
from model_packaging.store import Store, Stored

RELEASES = "releases/"
PUBLISHED = "published.json"
"""Beside the releases: which one the next `imagine endpoint update` points the endpoint at."""

_NAME = re.compile(r"\d{8}-\d{6}-[0-9a-f]{8}")
_TIME = "%Y%m%d-%H%M%S"


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What lies under one release's prefix. Unfinished ones have no catalogue yet."""

    name: str
    finished: bool
    objects: Mapping[str, Stored]

    @property
    def size(self) -> int:
        """Bytes stored, and billed."""
        return sum(stored.size for stored in self.objects.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Paths, in order. `edited`: the same file under other notes (alias, licence, disabled and so on)."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    edited: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        return not (self.added or self.removed or self.changed or self.edited)


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """The release to serve, as `published.json` names it. `uri` ends in "/"."""

    release: str
    uri: str

    @property
    def model_data_source(self) -> dict[str, object]:
        """For SageMaker's CreateModel: the prefix lands uncompressed in /opt/ml/model."""
        source = {"S3Uri": self.uri, "S3DataType": "S3Prefix", "CompressionType": "None"}
        return {"S3DataSource": source}


def uri_of(store: Store, release: str) -> str:
    return f"{store.place}{RELEASES}{release}/"


def publish(store: Store, release: str) -> Published:
    """Check that all of the release is there, then name it. Raises `StoreRefused`, `BadCatalogue`.

    Nothing that runs changes: `imagine endpoint update` reads the name (`published`) and moves the endpoint.
    """
    catalogue = read_catalogue(store, release)
    prefix = key_of(release, "")
    there = {stored.key.removeprefix(prefix): stored.size for stored in store.objects(prefix)}
    wanted = {path: file.size for path, file in catalogue.files.items()}
    wrong = sorted(path for path, size in wanted.items() if there.get(path) != size)
    foreign = sorted(there.keys() - wanted.keys() - {CATALOGUE})
    if wrong or foreign:
        named = ", ".join((*wrong, *foreign)[:5])
        raise StoreRefused(f"release {release} is not as it was made ({named}); upload the folder again")
    chosen = Published(release=release, uri=uri_of(store, release))
    body = (json.dumps({"release": release, "uri": chosen.uri}) + "\n").encode()
    store.put(PUBLISHED, body, isal_zlib.crc32(body))
    return chosen


def published(store: Store) -> Published | None:
    """What `publish` named last, None before the first time. Raises `StoreRefused`."""
    body = store.get(PUBLISHED, most=4096)
    if body is None:
        return None
    try:
        told = json.loads(body)
        release = told["release"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise StoreRefused(f"{store.place}{PUBLISHED} cannot be read; publish a release again") from error
    if not isinstance(release, str) or not _NAME.fullmatch(release):
        raise StoreRefused(f"{store.place}{PUBLISHED} names no release; publish one again")
    return Published(release=release, uri=uri_of(store, release))


def remove_release(store: Store, release: Release) -> None:
    """Its catalogue first: a removal cut short leaves an unfinished release. Raises `StoreRefused`."""
    prefix = key_of(release.name, "")
    for path in sorted(release.objects, key=lambda path: path != CATALOGUE):
        store.delete(prefix + path)
    for begun in store.unfinished(prefix):
        store.abort(begun)


def key_of(release: str, path: str) -> str:
    return f"{RELEASES}{release}/{path}"


def list_releases(store: Store) -> tuple[Release, ...]:
    """Newest last, from one listing. Raises `StoreRefused`."""
    found: dict[str, dict[str, Stored]] = defaultdict(dict)
    for stored in store.objects(RELEASES):
        name, _, path = stored.key.removeprefix(RELEASES).partition("/")
        if _NAME.fullmatch(name) and path:
            found[name][path] = stored
    for begun in store.unfinished(RELEASES):
        name = begun.key.removeprefix(RELEASES).partition("/")[0]
        if _NAME.fullmatch(name):
            found[name] = found[name]
    return tuple(
        Release(name=name, finished=CATALOGUE in found[name], objects=found[name]) for name in sorted(found)
    )


def newest(releases: Iterable[Release]) -> Release | None:
    """The newest finished one."""
    return max((one for one in releases if one.finished), key=lambda one: one.name, default=None)


def release_named(releases: Iterable[Release], name: str, *, unfinished: bool = False) -> Release:
    """By name, its beginning, or "newest" (finished). Raises `StoreRefused` that lists what there is.

    `unfinished` ones count where they are asked for.
    """
    known = {one.name: one for one in releases if one.finished or unfinished}
    last = newest(known.values()) if name == "newest" else None
    found = [last.name] if last else [one for one in known if one.startswith(name)]
    if len(found) == 1:
        return known[found[0]]
    there = ", ".join(sorted(known)) or "none"
    what = "names several releases" if found else "is no release here"
    raise StoreRefused(f"{name} {what}; there are: {there}")


def read_catalogue(store: Store, release: str) -> Catalogue:
    """A finished release's catalogue. Raises `StoreRefused`, `BadCatalogue`."""
    key = key_of(release, CATALOGUE)
    body = store.get(key, most=MOST_BYTES)
    if body is None:
        raise StoreRefused(f"release {release} has no catalogue, so it is unfinished; run its upload again")
    return from_json(body, place=f"{store.place}{key}")


def difference(before: Catalogue, after: Catalogue) -> Difference:
    """What changes from one to the other."""
    both = sorted(before.files.keys() & after.files.keys())
    same = [path for path in both if before.files[path].sha256 == after.files[path].sha256]
    return Difference(
        added=tuple(sorted(after.files.keys() - before.files.keys())),
        removed=tuple(sorted(before.files.keys() - after.files.keys())),
        changed=tuple(path for path in both if path not in same),
        edited=tuple(path for path in same if _notes_of(before.files[path]) != _notes_of(after.files[path])),
    )


def new_name(releases: Iterable[Release], fingerprint: str, *, now: datetime) -> str:
    """One that sorts behind all others, whatever the clocks of those who made them said."""
    latest = max((one.name for one in releases), default="")
    moment = now.astimezone(UTC)
    if latest and latest[:15] >= moment.strftime(_TIME):
        moment = datetime.strptime(latest[:15], _TIME).replace(tzinfo=UTC) + timedelta(seconds=1)
    return f"{moment.strftime(_TIME)}-{fingerprint}"


def unfinished_of(releases: Iterable[Release], fingerprint: str) -> Release | None:
    """The newest unfinished release of the same files, to go on with."""
    behind = newest(releases)
    return max(
        (
            one
            for one in releases
            if not one.finished
            and one.name.endswith(fingerprint)
            and (behind is None or one.name > behind.name)
        ),
        key=lambda one: one.name,
        default=None,
    )


def fingerprint_of(sizes: Mapping[str, int]) -> str:
    """Eight hex digits of paths and sizes: an upload that was cut short finds itself again by them.

    What has arrived is compared by checksum, so files of equal size and other content do no harm.
    """
    told = hashlib.sha256()
    for path in sorted(sizes):
        told.update(f"{path}\0{sizes[path]}\0".encode())
    return told.hexdigest()[:8]


def _notes_of(file: ModelFile) -> tuple[object, ...]:
    licence = (file.licence, file.non_commercial)
    return (file.alias, file.notes, file.disabled, *licence, file.trigger_words, file.defaults)
