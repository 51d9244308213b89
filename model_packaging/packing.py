"""`pack`: a release tree of hard links, or `model.tar.gz`; both hold the same `catalogue.json`."""

import itertools
import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from model_packaging.catalogue import Catalogue, ModelFile, check_names, from_json, to_json
from model_packaging.contents import Contents, SourceFile, list_contents, opened
from model_packaging.digests import Digesting, Digests, body_offset_of, spans
from model_packaging.errors import BadCatalogue, WrongPlace
from model_packaging.hashes import OnProgress, unheard
from model_packaging.inspection import inspect_file
from model_packaging.kinds import Kind
from model_packaging.layout import CATALOGUE, folder_named, is_model_file
from model_packaging.licences import licence_named
from model_packaging.models_toml import Notes, read_notes, unknown_files, with_notes
from model_packaging.tar_writer import PIECE, TarWriter, archive


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A model folder ready to pack: its files, what the team wrote, and the hashes that still hold."""

    root: Path
    contents: Contents
    notes: Notes
    known: Mapping[str, ModelFile]


def read_folder(root: Path, *, rehash: bool = False) -> Folder:
    """Look at names, sizes and notes. Raises `WrongPlace`, `BadCatalogue`, `Unreadable`.

    Hashes in the folder's own `catalogue.json` hold for a file of the same size that was last changed before
    that catalogue was written; `rehash` trusts none.
    """
    contents, notes = list_contents(root), read_notes(root)
    unknown_files(notes, {file.path: file for file in contents.files})
    known = {} if rehash else _known(root / CATALOGUE, contents)
    return Folder(root=root, contents=contents, notes=notes, known=known)


def describe(file: SourceFile, digests: Digests) -> ModelFile:
    """What the file says of itself. Raises `Unreadable` or `Hostile`, as `inspect_file` does."""
    facts = ModelFile(
        path=file.path,
        size=file.size,
        sha256=digests.sha256,
        crc32=f"{digests.crc32:08x}",
        hash=digests.sha256[:10],
        autov3=digests.body_sha256[:12],
    )
    if not is_model_file(file.path):
        return facts
    seen = inspect_file(file.place)
    licence = licence_named(seen.licence)
    return replace(
        facts,
        kind=kind_of(file.path, seen.kind),
        architecture=seen.architecture,
        prediction=seen.prediction,
        trigger_words=tuple(word.word for word in seen.trigger_words[:10]),
        licence=licence.name,
        non_commercial=licence.is_flagged,
        source_sha256=seen.metadata.get("source_sha256", ""),
    )


def stated_licence(file: SourceFile, notes: Notes) -> str:
    """What the team wrote, else what the file says of itself, as written. Raises as `describe` does."""
    if written := notes.files.get(file.path, {}).get("licence"):
        return str(written)
    return inspect_file(file.place).licence if is_model_file(file.path) else ""


def kind_of(path: str, seen: Kind) -> Kind:
    """What the file is; where its tensors do not tell, what its folder is for."""
    folder = folder_named(path.partition("/")[0])
    return folder.kind if seen is Kind.UNKNOWN and folder else seen


def annotated(file: ModelFile, notes: Notes, before: Catalogue | None) -> ModelFile:
    """With what was said about the same file in the release before, then what `models.toml` says now."""
    old = before.files.get(file.path) if before else None
    if old and old.sha256 == file.sha256:
        file = replace(
            file,
            alias=old.alias,
            notes=old.notes,
            disabled=old.disabled,
            licence=file.licence or old.licence,
            non_commercial=file.non_commercial or old.non_commercial,
            trigger_words=file.trigger_words or old.trigger_words,
            defaults=old.defaults,
        )
    return with_notes(file, notes.files.get(file.path, {}))


def pack_tree(folder: Folder, place: Path, on_progress: OnProgress = unheard) -> Catalogue:
    """A tree for an uncompressed S3 prefix: hard links and `catalogue.json`, no second copy of anything.

    Raises `WrongPlace` when `place` has something in it, lies inside the folder or on another disk.
    """
    if place.resolve().is_relative_to(folder.root.resolve()):
        raise WrongPlace(f"{place} lies inside {folder.root}; name a folder beside it")
    if place.exists() and any(place.iterdir()):
        raise WrongPlace(f"{place} is not empty; name a folder that does not exist yet")
    catalogue = make_catalogue(folder, on_progress)
    for file in folder.contents.files:
        _link(file.place, place / file.path)
    (place / CATALOGUE).write_bytes(to_json(catalogue))
    return catalogue


def make_catalogue(folder: Folder, on_progress: OnProgress = unheard) -> Catalogue:
    """Hash what is not known yet. Raises `Unreadable`, `Hostile`, `BadCatalogue`."""
    reading = _Reading(folder, on_progress)
    return catalogue_of(folder, [reading.described(file) for file in folder.contents.files])


def pack_archive(
    folder: Folder, place: Path, *, small: bool = False, on_progress: OnProgress = unheard
) -> Catalogue:
    """`model.tar.gz` in the seed's layout, hashed in the same reading; `catalogue.json` is its last member.

    The same files give the same bytes. Raises as `make_catalogue`, and `WrongPlace` where the disk is full.
    """
    try:
        with archive(place, small=small) as tar, ThreadPoolExecutor(1, "writer") as writer:
            for path in _folders(folder.contents):
                tar.add_folder(path)
            reading = _Reading(folder, on_progress, _Archive(tar, writer))
            catalogue = catalogue_of(folder, [reading.described(file) for file in folder.contents.files])
            body = to_json(catalogue)
            tar.begin_file(CATALOGUE, len(body))
            tar.write(memoryview(body))
            tar.end_file(len(body))
    except OSError as error:
        raise WrongPlace(f"{place} cannot be written: {error.strerror}; name a disk with room") from error
    return catalogue


def catalogue_of(folder: Folder, files: Iterable[ModelFile]) -> Catalogue:
    """Raises `BadCatalogue` where two files go by one name."""
    catalogue = Catalogue(files={file.path: file for file in files}, default_model=folder.notes.default_model)
    check_names(catalogue)
    return catalogue


def write_catalogue(root: Path, catalogue: Catalogue) -> bool:
    """Beside the files, for the inference server and the next packing; False where that is not allowed."""
    partial = root / f".{CATALOGUE}.{os.getpid()}"
    try:
        partial.write_bytes(to_json(catalogue))
        partial.replace(root / CATALOGUE)
    except OSError:
        partial.unlink(missing_ok=True)
        return False
    return True


class _Archive:
    """Members of an archive, written by another thread than the one that reads them."""

    def __init__(self, tar: TarWriter, writer: ThreadPoolExecutor) -> None:
        self._tar = tar
        self._writer = writer
        self._under_way: deque[Future[None]] = deque()

    @contextmanager
    def member(self, file: SourceFile) -> Iterator[None]:
        self._tar.begin_file(file.path, file.size)
        yield
        self.wait_for(0)
        self._tar.end_file(file.size)

    def write(self, piece: memoryview) -> None:
        """Begin to write; the piece must stay as it is until so much is written."""
        self._under_way.append(self._writer.submit(self._tar.write, piece))

    def wait_for(self, pieces: int) -> None:
        """Until at most so many pieces are left to write. Raises OSError, such as for a full disk."""
        while len(self._under_way) > pieces:
            self._under_way.popleft().result()


class _Reading:
    """Reads files one after another through two buffers: one is filled while the other is still written."""

    def __init__(self, folder: Folder, on_progress: OnProgress, archived: _Archive | None = None) -> None:
        self._folder = folder
        self._on_progress = on_progress
        self._archived = archived
        self._buffers = itertools.cycle([memoryview(bytearray(PIECE)), memoryview(bytearray(PIECE))])
        self._done = 0

    def described(self, file: SourceFile) -> ModelFile:
        known = self._folder.known.get(file.path)
        digests = digests_of(known) if known else None
        if digests is None or self._archived is not None:
            digests = self._read(file, known=digests)
        return annotated(describe(file, digests), self._folder.notes, None)

    def _read(self, file: SourceFile, *, known: Digests | None) -> Digests:
        with opened(file) as descriptor, self._archived.member(file) if self._archived else nullcontext():
            digesting = Digesting(body_offset=body_offset_of(file, descriptor), known=known)
            for start, length in spans(file.size, PIECE):
                if self._archived:
                    self._archived.wait_for(1)
                piece = next(self._buffers)[:length]
                digesting.read(descriptor, piece, start)
                if self._archived:
                    self._archived.write(piece)
                self._done += length
                self._on_progress(self._done, self._folder.contents.size)
            return digesting.finish()


def digests_of(known: ModelFile) -> Digests | None:
    """The digests that a catalogue states, or None where it does not state them all."""
    if not known.crc32:
        return None
    return Digests(sha256=known.sha256, crc32=int(known.crc32, 16), body_sha256=known.autov3)


def _known(place: Path, contents: Contents) -> dict[str, ModelFile]:
    """Files whose size is the stated one and that did not change since; a broken catalogue knows nothing."""
    try:
        written_ns = place.lstat().st_mtime_ns
        catalogue = from_json(place.read_bytes(), place=str(place))
    except (OSError, BadCatalogue):
        return {}
    sizes = {path: file.size for path, file in catalogue.files.items()}
    return {
        file.path: catalogue.files[file.path]
        for file in contents.files
        if sizes.get(file.path) == file.size and file.changed_ns < written_ns
    }


def _folders(contents: Contents) -> list[str]:
    """Every folder above a file, parents first."""
    return sorted(
        {parent.as_posix() for file in contents.files for parent in PurePosixPath(file.path).parents} - {"."}
    )


def _link(place: Path, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(place, target, follow_symlinks=False)
    except OSError as error:
        raise WrongPlace(
            f"{target} cannot be a hard link to {place}: {error.strerror}; name a folder on the same disk,"
            " or upload the folder as it is"
        ) from error
