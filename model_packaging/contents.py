"""The model files of a folder, as packing and uploading read them: links are never followed."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from model_packaging.catalogue import check_path
from model_packaging.errors import Unreadable, WrongPlace
from model_packaging.layout import CATALOGUE, NOTE, NOTES_BY_THE_TEAM, folder_named, is_model_file

SIDECARS = (".yaml", ".yml")
"""webui reads `name.yaml` beside a checkpoint as its configuration."""

_OURS = (CATALOGUE, NOTES_BY_THE_TEAM, NOTE)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file to pack or send. `path` is below the model folder, `place` where it lies on this machine."""

    path: str
    place: Path
    size: int
    changed_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """`files` in order of their paths; `left_out` are files that no inference server would read."""

    files: tuple[SourceFile, ...]
    left_out: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)


def list_contents(folder: Path) -> Contents:
    """Walk the folder. Raises `WrongPlace` for links and for a folder without model files, `BadCatalogue`."""
    if not folder.is_dir():
        raise WrongPlace(f"{folder} is no folder; name the one that holds Stable-diffusion/")
    files, left_out = [], []
    for path, place in _walk(folder):
        if not _belongs(path):
            left_out += [path] if place.name not in _OURS else []
            continue
        check_path(path)
        files.append(source_file(place, path))
    if not files:
        raise WrongPlace(f"{folder} holds no model file; put checkpoints into {folder / 'Stable-diffusion'}")
    return Contents(files=tuple(sorted(files, key=lambda file: file.path)), left_out=tuple(sorted(left_out)))


def source_file(place: Path, path: str) -> SourceFile:
    """One file that will lie at `path`. Raises `WrongPlace` for anything but a plain file with content."""
    try:
        found = place.lstat()
    except OSError as error:
        raise WrongPlace(f"{place} cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(found.st_mode):
        raise WrongPlace(f"{place} is a link or no plain file; links are not followed: copy the file there")
    if not found.st_size:
        raise Unreadable("empty", f"{place} is empty; copy or download it again")
    return SourceFile(path=path, place=place, size=found.st_size, changed_ns=found.st_mtime_ns)


@contextmanager
def opened(file: SourceFile) -> Iterator[int]:
    """A descriptor of the very file that was listed. Raises `Unreadable` when it changed since."""
    try:
        descriptor = os.open(file.place, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise Unreadable("unreadable", f"{file.place} cannot be read: {error.strerror}") from error
    try:
        _check_same(descriptor, file)
        yield descriptor
        _check_same(descriptor, file)
    except Exception:
        _check_same(descriptor, file)  # a file that changed is why all else failed
        raise
    finally:
        os.close(descriptor)


def _check_same(descriptor: int, file: SourceFile) -> None:
    now = os.fstat(descriptor)
    if not stat.S_ISREG(now.st_mode) or (now.st_size, now.st_mtime_ns) != (file.size, file.changed_ns):
        raise Unreadable("changed", f"{file.place} changed meanwhile; run it again once nobody writes to it")


def _walk(folder: Path) -> Iterator[tuple[str, Path]]:
    for root, folders, names in os.walk(folder):
        for name in (*folders, *names):
            if Path(root, name).is_symlink():
                raise WrongPlace(f"{Path(root, name)} is a link; links are not followed: copy the file there")
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            place = Path(root, name)
            yield place.relative_to(folder).as_posix(), place


def _belongs(path: str) -> bool:
    top, slash, _ = path.partition("/")
    inside = bool(slash) and folder_named(top) is not None
    return inside and (
        is_model_file(path) or (path.endswith(SIDECARS) and not Path(path).name.startswith("."))
    )
