"""Names that SageMaker, S3 or another file system would refuse, or understand differently."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from model_packaging.findings import Finding, error

LONGEST_PART = 255
LONGEST_KEY = 900
"""Bytes. S3 takes 1,024 for the whole key; the rest is for the release's prefix."""

Key = tuple[str, int]
"""A path below the root as S3 would hold it, and its size in bytes; a folder's ends in a slash."""


def name_findings(keys: Iterable[Key]) -> Iterator[Finding]:
    """In SageMaker's words no part may be empty, "." or "..", over 255 bytes, or contain NUL."""
    held = list(keys)
    for key, size in held:
        yield from _of_one(key, size)
    names = [key for key, _ in held]
    yield from _twice(names)
    yield from _by_case(names)
    yield from _file_and_folder(names)


def _of_one(key: str, size: int) -> Iterator[Finding]:
    shown = printable(key)
    if key.endswith("/"):
        yield from _folder_object(shown, size)
        key = key.removesuffix("/")
        if not key:
            return
    if key.startswith("/") or key[1:3] in {":\\", ":/"}:
        yield error(shown, "absolute-path", "the path is absolute", "pack from inside the model folder")
        return
    parts = key.split("/")
    if ".." in parts:
        yield error(shown, "traversal", 'the path has ".." in it and leads outside', "pack it anew")
    elif "" in parts or "." in parts:
        yield error(shown, "empty-part", "a part of the path is empty", "rename it; SageMaker refuses it")
    yield from _letters(shown, key)


def _letters(shown: str, key: str) -> Iterator[Finding]:
    """What the name is written with, and how long it is."""
    parts = key.split("/")
    if any(len(_bytes(part)) > LONGEST_PART for part in parts):
        yield error(shown, "long-name", f"a name is longer than {LONGEST_PART} bytes", "rename it")
    elif len(_bytes(key)) > LONGEST_KEY:
        yield error(shown, "long-name", f"the path is longer than {LONGEST_KEY} bytes", "use fewer folders")
    if not _is_utf8(key):
        yield error(shown, "not-utf8", "the name is not UTF-8", "rename it with plain letters")
    elif any(ord(letter) < 32 or ord(letter) == 127 for letter in key):
        yield error(shown, "control-character", "the name has a control character", "rename it")
    if "\\" in key:
        yield error(
            shown, "backslash", "the name has a backslash", "pack with / between folders, or rename it"
        )


def _folder_object(shown: str, size: int) -> Iterator[Finding]:
    """S3 has no folders: consoles write an empty object, which SageMaker would make a file in a folder's
    place.
    """
    what = "an empty object that stands for a folder" if not size else "an object whose name ends in a slash"
    yield error(
        shown,
        "folder-object",
        f"{what}; SageMaker cannot place it",
        "delete it: files bring their folders along",
    )


def _twice(names: list[str]) -> Iterator[Finding]:
    for name, count in Counter(names).items():
        if count > 1:
            yield error(
                printable(name), "duplicate-member", f"the name is there {count} times", "pack it anew"
            )


def _by_case(names: list[str]) -> Iterator[Finding]:
    """File systems of macOS and Windows keep only one of them."""
    alike: dict[str, set[str]] = defaultdict(set)
    for name in names:
        alike[name.rstrip("/").casefold()].add(name.rstrip("/"))
    for group in alike.values():
        if len(group) > 1:
            first, *others = sorted(group)
            what = f"it differs from {printable(others[0])} in case only"
            yield error(printable(first), "case-collision", what, "rename one of them")


def _file_and_folder(names: list[str]) -> Iterator[Finding]:
    files = {name for name in names if not name.endswith("/")}
    folders = {str(parent) for name in files for parent in PurePosixPath(name).parents}
    for name in sorted(files & folders):
        what = "a file and a folder have this name; SageMaker's deployment fails on it"
        yield error(printable(name), "file-and-folder", what, "rename one of them")


def special_file(path: str, what: str) -> Finding:
    """A link, a device and the like: `what` names it."""
    fix = "copy the file itself there (cp -L)" if "link" in what else "remove it"
    return error(printable(path), what, f"it is a {what}, not a file; nothing follows it", fix)


def printable(name: str) -> str:
    """Somebody else's name for one line on a terminal."""
    line = "".join(letter if letter.isprintable() else "\ufffd" for letter in name)
    return line if len(line) <= 300 else f"{line[:200]}…{line[-80:]}"


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _is_utf8(text: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in text)
