"""Objects as files: the port Objects on one machine."""

import heapq
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from errno import errorcode
from pathlib import Path

from bot.domain.errors import Ambiguous, Rejected, Unavailable
from bot.domain.object_keys import MOST_LISTED, check_key, check_prefix

UNFINISHED = ".unfinished"
ABANDONED_AFTER = 3600.0


class FolderObjects:
    """The port Objects below one folder, which it makes. Written bytes survive a crash of the machine.

    A body is written beside the objects and then linked to its key, so that a key holds all of a body or
    does not exist, and the first of two writers wins. All calls raise Unavailable for a failing disk.
    """

    def __init__(self, root: Path | str) -> None:
        self._root = Path(root)
        self._unfinished = self._root / UNFINISHED
        with _disk_errors():
            self._unfinished.mkdir(parents=True, exist_ok=True)
            self._drop_abandoned()

    def put(self, key: str, body: bytes) -> None:
        """See Objects.put. Raises Rejected("already_exists") for other bytes under a used key."""
        path = self._path(key)
        with _disk_errors():
            _make_folder_of(path)
            draft = self._write_draft(body)
            try:
                os.link(draft, path)
            except FileExistsError:
                _expect_same(path, body)
                return
            finally:
                draft.unlink()
        _keep_names(path.parent)

    def get(self, key: str) -> bytes | None:
        """See Objects.get."""
        path = self._path(key)
        with _disk_errors():
            try:
                return path.read_bytes()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                return None

    def list(self, prefix: str) -> tuple[str, ...]:
        """See Objects.list."""
        check_prefix(prefix)
        with _disk_errors():
            found = (key for key in self._keys(prefix.rpartition("/")[0]) if key.startswith(prefix))
            return tuple(heapq.nsmallest(MOST_LISTED, found))

    def delete(self, key: str) -> None:
        """See Objects.delete."""
        path = self._path(key)
        with _disk_errors():
            try:
                path.unlink()
            except (FileNotFoundError, NotADirectoryError):
                return
        _keep_names(path.parent)

    def _path(self, key: str) -> Path:
        check_key(key)
        return self._root / key

    def _keys(self, folder: str) -> Iterator[str]:
        for parent, folders, files in os.walk(self._root / folder):
            if UNFINISHED in folders:
                folders.remove(UNFINISHED)
            for name in files:
                yield (Path(parent) / name).relative_to(self._root).as_posix()

    def _write_draft(self, body: bytes) -> Path:
        draft = self._unfinished / secrets.token_hex(16)
        with draft.open("xb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        return draft

    def _drop_abandoned(self) -> None:
        """Remove what a killed process left; another process may be writing the younger ones."""
        for draft in self._unfinished.iterdir():
            if time.time() - draft.stat().st_mtime > ABANDONED_AFTER:
                draft.unlink(missing_ok=True)


def _expect_same(path: Path, body: bytes) -> None:
    if not path.is_file() or path.read_bytes() != body:
        raise Rejected("already_exists")


def _make_folder_of(path: Path) -> None:
    try:
        _make_folder(path.parent)
    except (FileExistsError, NotADirectoryError) as error:
        raise Rejected("key_below_an_object") from error


def _make_folder(folder: Path) -> None:
    """Make `folder` and those above it, so that their names too survive a crash of the machine."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync_folder(folder.parent)


def _keep_names(folder: Path) -> None:
    try:
        _sync_folder(folder)
    except OSError as error:
        raise Ambiguous(_code(error)) from error


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(_code(error)) from error


def _code(error: OSError) -> str:
    return errorcode.get(error.errno or 0, "disk")
