"""Brings a release's files into a folder: several spans at a time, compared with the catalogue's SHA-256.

A download that was cut short leaves `.name.partial`, which holds the file from its beginning; the next one
goes on behind it.
"""

import hashlib
import shutil
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from model_packaging.catalogue import Catalogue, ModelFile, check_path, to_json
from model_packaging.errors import StoreRefused, WrongPlace
from model_packaging.hashes import OnProgress, hash_file, unheard
from model_packaging.layout import CATALOGUE, partial_of
from model_packaging.releases import key_of
from model_packaging.store import Store

MIB = 2**20
SPAN = 8 * MIB
STREAMS = 8
SPARE = 64 * MIB
"""Bytes a disk keeps free."""


def download(
    store: Store,
    catalogue: Catalogue,
    folder: Path,
    *,
    span: int = SPAN,
    on_progress: OnProgress = unheard,
) -> tuple[str, ...]:
    """Fetch what the folder does not hold yet; returns those paths. Files that are there unchanged stay.

    Raises `WrongPlace` where another file is in the way or the disk is too small, `StoreRefused` where a file
    does not arrive as the catalogue says; what is complete stays.
    """
    missing = [file for file in catalogue.files.values() if not _is_here(file, folder)]
    _check_room(sum(file.size for file in missing), folder)
    done = catalogue.size - sum(file.size for file in missing)
    with ThreadPoolExecutor(STREAMS, thread_name_prefix="stream") as streams:
        for file in missing:
            for got in _fetched(
                store, catalogue.release, file, folder / file.path, streams=streams, span=span
            ):
                done += got
                on_progress(done, catalogue.size)
    (folder / CATALOGUE).write_bytes(to_json(catalogue))
    return tuple(file.path for file in missing)


def _is_here(file: ModelFile, folder: Path) -> bool:
    check_path(file.path)
    place = folder / file.path
    if not place.exists():
        return False
    if place.is_symlink() or not place.is_file() or place.stat().st_size != file.size:
        raise WrongPlace(f"{place} is another file; move it away or name another folder")
    if hash_file(place).sha256 != file.sha256:
        raise WrongPlace(f"{place} has other content than the release; move it away or name another folder")
    return True


def _check_room(size: int, folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise WrongPlace(f"{folder} cannot be written: {error.strerror}; name another folder") from error
    if free < size + SPARE:
        raise WrongPlace(
            f"{folder} has {free:,} bytes free and {size + SPARE:,} are needed; name a larger disk"
        )


def _fetched(
    store: Store, release: str, file: ModelFile, place: Path, *, streams: ThreadPoolExecutor, span: int
) -> Iterator[int]:
    """Yields the bytes that came with each step; the file is in its place at the end."""
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_of(place)
    told = hashlib.sha256()
    done = _begun(partial, file.size, told)
    yield done
    with partial.open("ab") as target:
        for piece in _pieces(store, key_of(release, file.path), (done, file.size), streams, span):
            told.update(piece)
            target.write(piece)
            yield len(piece)
    if told.hexdigest() != file.sha256:
        partial.unlink()
        raise StoreRefused(f"{file.path} did not arrive as its catalogue says; run the same line again")
    partial.replace(place)


def _begun(partial: Path, size: int, told: "hashlib._Hash") -> int:
    """The bytes of an earlier attempt, which are hashed; one that is longer than the file is dropped."""
    if partial.is_symlink() or not partial.is_file() or partial.stat().st_size > size:
        partial.unlink(missing_ok=True)
        return 0
    with partial.open("rb") as file:
        while piece := file.read(SPAN):
            told.update(piece)
    return partial.stat().st_size


def _pieces(
    store: Store, key: str, reach: tuple[int, int], streams: ThreadPoolExecutor, span: int
) -> Iterator[bytes]:
    """The object's bytes within `reach`, in order, while the next spans are on their way."""
    start, size = reach
    stored = store.head(key)
    if stored is None or stored.size != size:
        raise StoreRefused(f"{store.place}{key} is gone or has another size; download another release")
    under_way: deque[Future[bytes]] = deque()
    for at in range(start, size, span):
        if len(under_way) == STREAMS:
            yield under_way.popleft().result()
        under_way.append(streams.submit(store.read_range, key, at, min(span, size - at), etag=stored.etag))
    while under_way:
        yield under_way.popleft().result()
