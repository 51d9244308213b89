"""Makes a release: files are sent straight from the folder, unchanged ones are copied inside S3.

One thread hashes part after part, others read it again and send it: that costs less than to hold it in memory
meanwhile. What was interrupted, by kill -9 too, goes on from what S3 lists: there is no file of state, and
every part is compared by checksum.
"""

import functools
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

from isal import isal_zlib

from model_packaging.catalogue import Catalogue, ModelFile, to_json
from model_packaging.contents import SourceFile, opened
from model_packaging.digests import Digesting, Digests, body_offset_of, spans
from model_packaging.errors import Overtaken, StoreRefused
from model_packaging.hashes import OnProgress, unheard
from model_packaging.layout import CATALOGUE
from model_packaging.releases import (
    RELEASES,
    Release,
    difference,
    fingerprint_of,
    key_of,
    list_releases,
    new_name,
    remove_release,
    unfinished_of,
)
from model_packaging.span import Span
from model_packaging.store import Part, Store, Stored, Unfinished

MIB = 2**20
PART = 16 * MIB
LARGE_PART = 32 * MIB
FEWEST_PARTS = 64
"""Below so many, the first and the last part would be sent alone for too long."""
MOST_PARTS = 10_000
COPY_LIMIT = 5 * 10**9
COPY_PART = 512 * MIB
STREAMS = 8
LARGEST_FILE = 5 * 2**40

Sent = TypeVar("Sent")
Describe = Callable[[SourceFile, Digests], ModelFile]
"""What the catalogue says of a file whose digests are known now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Sizes in bytes; tests use small ones. `part` is the least of a file's, and files up to it go in one."""

    streams: int = STREAMS
    part: int = PART
    copy_limit: int = COPY_LIMIT
    copy_part: int = COPY_PART


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A file that an earlier release holds already; `facts` may say something new of it."""

    release: str
    path: str
    facts: ModelFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a release will be made of. `before` is the newest release's catalogue, if there is one.

    `known`: digests of files to send, by path; those are sent without another SHA-256. `changes_newest`: it
    is `before` with a change, so nobody may make another release meanwhile.
    """

    send: tuple[SourceFile, ...]
    keep: tuple[Kept, ...]
    before: Catalogue | None
    default_model: str = ""
    known: Mapping[str, Digests] = field(default_factory=dict)
    changes_newest: bool = False

    @property
    def bytes_sent(self) -> int:
        return sum(file.size for file in self.send)

    @property
    def bytes_kept(self) -> int:
        return sum(kept.facts.size for kept in self.keep)

    @property
    def sizes(self) -> dict[str, int]:
        return {file.path: file.size for file in self.send} | {k.facts.path: k.facts.size for k in self.keep}

    @property
    def changes_nothing(self) -> bool:
        """Whether the newest release says the same of the same files."""
        if self.before is None or self.send:
            return False
        after = replace(self.before, files={kept.facts.path: kept.facts for kept in self.keep})
        return difference(self.before, after).is_empty and self.default_model == self.before.default_model


def make_release(
    store: Store,
    plan: Plan,
    *,
    describe: Describe,
    now: datetime,
    settings: Settings | None = None,
    on_progress: OnProgress = unheard,
    on_stop: Callable[[], None] = lambda: None,
    resumable: bool = True,
) -> Catalogue:
    """Send, copy, check, and publish by writing the catalogue last; returns it.

    Interrupted or refused, it calls `on_stop`, ends the parts under way, and leaves an unfinished release
    that the same call goes on with, or nothing where it is not to be `resumable`. Raises `StoreRefused`,
    `Unreadable`, `Overtaken`, and whatever `describe` raises.
    """
    releases = list_releases(store)
    _check_newest(plan, releases)
    fingerprint = fingerprint_of(plan.sizes)
    begun = unfinished_of(releases, fingerprint)
    name = begun.name if begun else new_name(releases, fingerprint, now=now)
    chosen = settings or Settings()
    with ThreadPoolExecutor(chosen.streams, thread_name_prefix="stream") as streams:
        making = _Making(
            store,
            plan,
            name=name,
            begun=begun,
            settings=chosen,
            streams=streams,
            on_progress=on_progress,
        )
        try:
            files = making.run(describe)
        except BaseException:
            on_stop()
            streams.shutdown(wait=True, cancel_futures=True)
            if not resumable:
                _drop(store, name)
            raise
    catalogue = Catalogue(
        release=name,
        files={file.path: file for file in files},
        default_model=plan.default_model if plan.default_model in plan.sizes else "",
    )
    _publish(store, catalogue)
    _check_alone(store, plan, name)
    return catalogue


def part_size(size: int, *, least: int = PART) -> int:
    """Whole MiB so that a file has at most 10,000 parts, and a large one no more requests than it needs.

    Raises `StoreRefused` above S3's 5 TiB.
    """
    if size > LARGEST_FILE:
        raise StoreRefused(f"a file of {size:,} bytes is larger than the {LARGEST_FILE:,} that S3 takes")
    wanted = max(-(-size // MOST_PARTS), min(size // FEWEST_PARTS, LARGE_PART))
    return least if wanted <= least else -(-wanted // MIB) * MIB


class _Making:
    """One release under way."""

    def __init__(
        self,
        store: Store,
        plan: Plan,
        *,
        name: str,
        begun: Release | None,
        settings: Settings,
        streams: ThreadPoolExecutor,
        on_progress: OnProgress,
    ) -> None:
        self._store = store
        self._name = name
        self._there = begun.objects if begun else {}
        self._settings = settings
        self._streams = streams
        self._plan = plan
        self._on_progress = on_progress
        self._counting = threading.Lock()
        self._done = 0
        # Hashing stays a little ahead, so that what is sent is still in the page cache.
        self._ahead = threading.Semaphore(settings.streams + 2)
        self._failed: list[BaseException] = []
        self._uploads = _by_key(store, f"{RELEASES}{name}/") if begun else {}

    def run(self, describe: Describe) -> list[ModelFile]:
        """Every file of the release as the catalogue lists it."""
        copies = [self._streams.submit(self._copy, kept) for kept in self._plan.keep]
        sent = [(file, self._send(file)) for file in self._plan.send]
        files = [describe(file, digests) for file, (digests, _) in sent]
        for _, (_, stored) in sent:
            stored.result()
        for copy in copies:
            copy.result()
        return [*files, *(kept.facts for kept in self._plan.keep)]

    # --- sending

    def _send(self, file: SourceFile) -> "tuple[Digests, Future[None]]":
        """Read the file once; returns its digests, and a future that ends when S3 holds it."""
        key = key_of(self._name, file.path)
        with opened(file) as descriptor:
            known = self._plan.known.get(file.path)
            digesting = Digesting(body_offset=body_offset_of(file, descriptor), known=known)
            if file.path in self._there:
                return self._compare(file, descriptor, digesting)
            if file.size <= self._settings.part:
                return self._send_small(file, descriptor, digesting)
            begun, there = self._begun(key)
            parts = self._read_parts(file, descriptor, digesting, begun, there)
            digests = digesting.finish()
        self._raise_failure()
        return digests, self._streams.submit(self._complete, begun, parts, file.size, digests.crc32)

    def _send_small(
        self, file: SourceFile, descriptor: int, digesting: Digesting
    ) -> "tuple[Digests, Future[None]]":
        key, span = key_of(self._name, file.path), (0, file.size)
        crc32 = self._hashed(descriptor, span, digesting)
        put = self._streams.submit(self._in_turn, file, span, lambda body: self._store.put(key, body, crc32))
        return digesting.finish(), put

    def _compare(
        self, file: SourceFile, descriptor: int, digesting: Digesting
    ) -> "tuple[Digests, Future[None]]":
        """An interrupted run has finished this object: if it is this file, it need not be sent again."""
        stored = self._store.head(key_of(self._name, file.path))
        digesting.skim(descriptor, 0, file.size)
        digests = digesting.finish()
        if stored and (stored.size, stored.crc32) == (file.size, f"{digests.crc32:08x}"):
            self._progress(file.size)
            return digests, _ended()
        self._there = {path: one for path, one in self._there.items() if path != file.path}
        return self._send(file)

    def _begun(self, key: str) -> tuple[Unfinished, Mapping[int, Part]]:
        """The upload to go on with, or a new one."""
        begun = self._uploads.get(key)
        if begun is None:
            return Unfinished(key=key, upload_id=self._store.begin(key)), {}
        return begun, self._store.parts(begun)

    def _read_parts(
        self,
        file: SourceFile,
        descriptor: int,
        digesting: Digesting,
        begun: Unfinished,
        there: Mapping[int, Part],
    ) -> "list[Part | Future[Part]]":
        size = part_size(file.size, least=self._settings.part)
        parts: list[Part | Future[Part]] = []
        for number, span in enumerate(spans(file.size, size), start=1):
            crc32 = self._hashed(descriptor, span, digesting)
            held = there.get(number)
            if held is not None and (held.size, held.crc32) == (span[1], crc32):
                self._ahead.release()
                self._progress(held.size)
                parts.append(held)
                continue
            send = functools.partial(self._store.send_part, begun.key, begun.upload_id, number, crc32)
            parts.append(self._streams.submit(self._in_turn, file, span, send))
        return parts

    def _hashed(self, descriptor: int, span: tuple[int, int], digesting: Digesting) -> int:
        """The CRC-32 of this span, once not too many before it are still to be sent."""
        self._ahead.acquire()
        self._raise_failure()
        return digesting.skim(descriptor, *span)

    def _in_turn(self, file: SourceFile, span: tuple[int, int], send: Callable[[Span], Sent]) -> Sent:
        """Send a span; another may be hashed then."""
        try:
            with opened(file) as descriptor:
                sent = send(Span(descriptor, *span))
            self._progress(span[1])
            return sent
        except BaseException as error:
            self._failed.append(error)
            raise
        finally:
            self._ahead.release()

    def _complete(
        self, begun: Unfinished, parts: "Sequence[Part | Future[Part]]", size: int, crc32: int
    ) -> None:
        """Runs behind its parts: the pool takes what came first, so nothing it waits for is still queued."""
        ended = [part if isinstance(part, Part) else part.result() for part in parts]
        self._store.complete(begun.key, begun.upload_id, ended, size=size, crc32=crc32)

    def _raise_failure(self) -> None:
        if self._failed:
            raise self._failed[0]

    # --- copying

    def _copy(self, kept: Kept) -> None:
        key = key_of(self._name, kept.facts.path)
        if self._is_there(kept):
            self._progress(kept.facts.size)
            return
        source = self._store.head(key_of(kept.release, kept.path))
        if source is None or source.size != kept.facts.size:
            raise StoreRefused(
                f"{kept.path} of release {kept.release} is gone or has another size;"
                " upload the whole folder again"
            )
        if source.size <= self._settings.copy_limit:
            self._store.copy(source, key)
        else:
            self._copy_large(source, key)
        self._check_copy(kept, key)
        self._progress(source.size)

    def _is_there(self, kept: Kept) -> bool:
        if kept.facts.path not in self._there:
            return False
        stored = self._store.head(key_of(self._name, kept.facts.path))
        return stored is not None and _is_same(stored, kept.facts)

    def _copy_large(self, source: Stored, key: str) -> None:
        """Part by part: one call copies 5 GB at most."""
        for begun in filter(None, [self._uploads.get(key)]):
            self._store.abort(begun)
        upload_id = self._store.begin(key)
        parts = [
            self._store.copy_part(source, key, upload_id, number, span)
            for number, span in enumerate(spans(source.size, self._settings.copy_part), start=1)
        ]
        self._store.complete(key, upload_id, parts, size=source.size, crc32=None)

    def _check_copy(self, kept: Kept, key: str) -> None:
        stored = self._store.head(key)
        if stored is None or not _is_same(stored, kept.facts):
            raise StoreRefused(
                f"the copy of {kept.path} is not what its catalogue says; upload the folder again"
            )

    def _progress(self, size: int) -> None:
        with self._counting:
            self._done += size
            self._on_progress(self._done, self._plan.bytes_sent + self._plan.bytes_kept)


def _publish(store: Store, catalogue: Catalogue) -> None:
    """Drop what does not belong, see that all is there, then make the release visible."""
    prefix = f"{RELEASES}{catalogue.release}/"
    for begun in store.unfinished(prefix):
        store.abort(begun)
    there = {stored.key.removeprefix(prefix): stored.size for stored in store.objects(prefix)}
    for path in there.keys() - catalogue.files.keys():
        store.delete(prefix + path)
    wrong = sorted(path for path, file in catalogue.files.items() if there.get(path) != file.size)
    if wrong:
        raise StoreRefused(f"S3 does not hold {', '.join(wrong)} as sent; run the same line again")
    body = to_json(catalogue)
    store.put(prefix + CATALOGUE, body, isal_zlib.crc32(body), only_new=True)


def _check_alone(store: Store, plan: Plan, name: str) -> None:
    """Of two changes at once at least one sees the other here, behind its own catalogue, and steps back."""
    if not plan.changes_newest:
        return
    try:
        _check_newest(plan, list_releases(store), own=name)
    except Overtaken:
        _drop(store, name)
        raise


def _check_newest(plan: Plan, releases: Sequence[Release], *, own: str = "") -> None:
    """Raises `Overtaken` where a change of `plan.before` would hide somebody else's release."""
    if not plan.changes_newest or plan.before is None:
        return
    others = [one.name for one in releases if one.finished and one.name not in (own, plan.before.release)]
    if newer := [name for name in others if name > plan.before.release]:
        raise Overtaken(f"release {newer[-1]} was made meanwhile; run the same line again to change that one")


def _drop(store: Store, name: str) -> None:
    try:
        for release in list_releases(store):
            if release.name == name:
                remove_release(store, release)
    except StoreRefused as refused:
        fix = "what was sent is still there: imagine models remove --unfinished"
        raise StoreRefused(f"{refused}; {fix}") from refused


def _by_key(store: Store, prefix: str) -> dict[str, Unfinished]:
    """One unfinished upload a key, the one with most parts; the others are dropped."""
    kept: dict[str, tuple[int, Unfinished]] = {}
    for begun in store.unfinished(prefix):
        found = (len(store.parts(begun)), begun)
        other = kept.get(begun.key)
        better, worse = (found, other) if other is None or found[0] > other[0] else (other, found)
        kept[begun.key] = better
        if worse is not None:
            store.abort(worse[1])
    return {key: begun for key, (_, begun) in kept.items()}


def _is_same(stored: Stored, facts: ModelFile) -> bool:
    """By size, and by checksum where both sides know one."""
    return stored.size == facts.size and (not stored.crc32 or not facts.crc32 or stored.crc32 == facts.crc32)


def _ended() -> "Future[None]":
    future: Future[None] = Future()
    future.set_result(None)
    return future


def plan_upload(
    files: Sequence[SourceFile], before: Catalogue | None, digest: Callable[[SourceFile], str]
) -> tuple[tuple[SourceFile, ...], tuple[tuple[SourceFile, ModelFile], ...]]:
    """Which files to send, and which ones the newest release holds already under what path.

    Only a file of a size that is there can be there: the others are not hashed beforehand.
    """
    by_size: dict[int, list[ModelFile]] = {}
    for held in before.files.values() if before else ():
        by_size.setdefault(held.size, []).append(held)
    send, keep = [], []
    for file in files:
        candidates = by_size.get(file.size, [])
        sha256 = digest(file) if candidates else ""
        same = next((held for held in candidates if held.sha256 == sha256), None)
        if same is None:
            send.append(file)
        else:
            keep.append((file, same))
    return tuple(send), tuple(keep)
