"""Whether files lie where the inference server looks, by their paths alone; case counts."""

import shlex
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from pathlib import PurePosixPath

from model_packaging.findings import Finding, error, note, warning
from model_packaging.layout import (
    CATALOGUE,
    FOLDERS,
    MODEL_SUFFIXES,
    NOTE,
    NOTES_BY_THE_TEAM,
    folder_meant_by,
    folder_named,
    is_model_file,
)
from model_packaging.member_names import printable

_EXPECTED = (CATALOGUE, NOTES_BY_THE_TEAM, NOTE)
_SIDECARS = (".yaml", ".yml")
_NAMES = ", ".join(folder.name for folder in FOLDERS)


def placement_findings(paths: Iterable[str], there: Collection[str] = ()) -> Iterator[Finding]:
    """`paths` are of files, relative to the root; `there`: the folders at the root."""
    tops: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        if _is_hidden(path):
            continue
        top, slash, _ = path.partition("/")
        tops[top if slash else ""].append(path)
    for path in tops.pop("", []):
        yield from _at_the_root(path)
    for top, inside in sorted(tops.items()):
        yield from _in_a_folder(top, inside, there)


def folder_findings(folders: Iterable[str], there: Collection[str] = ()) -> Iterator[Finding]:
    """Folders at the root whose spelling is off and that hold nothing yet; `there`: all of them."""
    for name in folders:
        if folder_named(name) is None and (meant := folder_meant_by(name)) is not None:
            yield _misspelt(name, meant.name, there)


def duplicate_findings(paths: Iterable[str]) -> Iterator[Finding]:
    """Requests name a model by its file's stem: within one kind it must mean one file."""
    alike: dict[tuple[str, str], list[str]] = defaultdict(list)
    for path in paths:
        folder = folder_named(path.partition("/")[0])
        if folder is not None and is_model_file(path):
            alike[folder.name, PurePosixPath(path).stem.casefold()].append(path)
    for group in alike.values():
        first, *others = sorted(group)
        for path in others:
            what = f"{printable(first)} has the same name: a request could mean either"
            yield error(printable(path), "duplicate-name", what, "rename or delete one of them")


def _at_the_root(path: str) -> Iterator[Finding]:
    if is_model_file(path):
        fix = f"move it into one of {_NAMES}"
        yield error(
            printable(path), "outside-folders", "it lies beside the folders, where no server looks", fix
        )
    elif path not in _EXPECTED:
        yield note(printable(path), "foreign-file", "no server reads it; packing leaves it out")


def _in_a_folder(top: str, inside: list[str], there: Collection[str]) -> Iterator[Finding]:
    if folder_named(top) is not None:
        for path in inside:
            yield from _file_in_its_folder(path)
        return
    models = [path for path in inside if is_model_file(path)]
    below = {path.split("/")[1] for path in inside if path.count("/") > 1}
    if any(folder_named(name) or folder_meant_by(name) for name in below):
        what = "the model folders lie one level too deep"
        yield error(printable(top), "too-deep", what, f"pack from inside {printable(top)}/")
    elif (meant := folder_meant_by(top)) is not None:
        yield _misspelt(top, meant.name, there)
    elif models:
        what = f"no server looks into this folder; {len(models)} model files in it would not be found"
        yield error(printable(top), "unknown-folder", what, f"move them into one of {_NAMES}")
    else:
        yield note(printable(top), "foreign-folder", "no server reads it; packing leaves it out")


def _misspelt(name: str, meant: str, there: Collection[str]) -> Finding:
    """`mv` would put it into a folder of the right name."""
    shown = printable(name)
    fix = f"move what it holds to {meant}/" if meant in there else f"mv {shlex.quote(shown)} {meant}"
    return error(shown, "folder-name", f'the folder must be called "{meant}", letter by letter', fix)


def _file_in_its_folder(path: str) -> Iterator[Finding]:
    name = PurePosixPath(path)
    if is_model_file(path) or name.name == NOTE or name.suffix in _SIDECARS:
        return
    if name.suffix.lower() in MODEL_SUFFIXES:
        fix = f"rename it to {printable(name.stem)}{name.suffix.lower()}"
        yield error(printable(path), "suffix-case", f"the server lists {name.suffix.lower()} only", fix)
    else:
        yield warning(printable(path), "foreign-file", "it is no model file; packing leaves it out")


def _is_hidden(path: str) -> bool:
    """Finder's and git's own files, which neither packing nor the server looks at."""
    return any(part.startswith(".") for part in path.split("/"))
