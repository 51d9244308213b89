"""`models.toml`: what the team knows about its model files, written by hand beside the folders.

default_model = "Stable-diffusion/dreamshaper_8.safetensors"

["Lora/ink.safetensors"]
alias = "ink"
trigger_words = ["ink wash"]
licence = "CreativeML-OpenRAIL-M"
notes = "weight 0.6 to 0.9"
steps = 24
"""

import dataclasses
import difflib
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model_packaging.catalogue import (
    LONGEST_TEXT,
    MOST_TRIGGER_WORDS,
    SIDES,
    STEPS,
    DrawingDefaults,
    ModelFile,
)
from model_packaging.errors import BadCatalogue, LicenceRefused
from model_packaging.layout import NOTES_BY_THE_TEAM
from model_packaging.licences import licence_named

MOST_BYTES = 2**20
TEXTS = ("alias", "licence", "notes", "sampler")
NUMBERS = {"width": SIDES, "height": SIDES, "steps": STEPS}
KEYS = (*TEXTS, *NUMBERS, "trigger_words", "disabled")


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """Validated values by path and key; only what somebody wrote."""

    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    default_model: str = ""


def read_notes(folder: Path) -> Notes:
    """The folder's `models.toml`, or nothing where there is none. Raises `BadCatalogue`."""
    place = folder / NOTES_BY_THE_TEAM
    try:
        with place.open("rb") as file:
            body = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return Notes()
    except OSError as error:
        raise BadCatalogue(f"{place} cannot be read: {error.strerror}") from error
    return parse_notes(body)


def parse_notes(body: bytes) -> Notes:
    """Raises `BadCatalogue` with the line and what to write instead."""
    if len(body) > MOST_BYTES:
        raise BadCatalogue(f"{NOTES_BY_THE_TEAM} is longer than {MOST_BYTES:,} bytes; keep notes short")
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        line = body[: error.start].count(b"\n") + 1
        raise _wrong(line, "this is not UTF-8; save the file as UTF-8") from error
    try:
        content = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        problem = f"{error}; text stands in double quotes, a file's path too"
        raise _wrong(_line_in(str(error)), problem) from error
    return _checked(content, text)


def unknown_files(notes: Notes, paths: Mapping[str, object]) -> None:
    """Raises `BadCatalogue` where notes are about a file that is not there, with the nearest that is."""
    for path in (*notes.files, *filter(None, [notes.default_model])):
        if path not in paths:
            near = difflib.get_close_matches(path, paths, n=1, cutoff=0.4)
            meant = f"; did you mean {near[0]}?" if near else "; name a file by its path"
            raise BadCatalogue(f'{NOTES_BY_THE_TEAM}: there is no file "{path}"{meant}')


def with_notes(file: ModelFile, written: Mapping[str, Any]) -> ModelFile:
    """The file with what the team wrote; what it did not write stays as it was found."""
    plain = {key: value for key, value in written.items() if key not in (*NUMBERS, "sampler", "licence")}
    drawing = {key: written[key] for key in (*NUMBERS, "sampler") if key in written}
    if "licence" in written:
        licence = licence_named(written["licence"])
        plain |= {"licence": licence.name, "non_commercial": licence.is_flagged}
    return dataclasses.replace(file, **plain, defaults=_over(file.defaults, drawing))


def check_written(written: Mapping[str, Any]) -> None:
    """Values given elsewhere than in the file follow the same rules. Raises `BadCatalogue`."""
    for key, value in written.items():
        if problem := _problem(key, value):
            raise BadCatalogue(problem)


def add_notes(folder: Path, path: str, written: Mapping[str, Any]) -> None:
    """Append a file's table to `models.toml`; one that is there already stays. Raises `BadCatalogue`."""
    if path in read_notes(folder).files:
        return
    lines = [f"{key} = {_toml(value)}" for key, value in written.items() if value]
    place = folder / NOTES_BY_THE_TEAM
    before = place.read_text(encoding="utf-8") if place.exists() else ""
    after = before + ("\n" if before else "") + "\n".join([f"[{_toml(path)}]", *lines]) + "\n"
    parse_notes(after.encode())
    place.write_text(after, encoding="utf-8")


def _toml(value: str | Sequence[str]) -> str:
    """JSON's strings and arrays of them are TOML's too, but for DEL, which no value here may hold."""
    return json.dumps(value if isinstance(value, str) else list(value), ensure_ascii=False)


def _over(found: DrawingDefaults, drawing: Mapping[str, Any]) -> DrawingDefaults:
    return dataclasses.replace(found, **drawing)


def _checked(content: Mapping[str, Any], text: str) -> Notes:
    default = content.get("default_model", "")
    if not isinstance(default, str):
        raise _wrong(
            _line_of(text, None, "default_model"), 'default_model = "Stable-diffusion/x.safetensors"'
        )
    files = {}
    for path, written in content.items():
        if path == "default_model":
            continue
        if not isinstance(written, dict):
            line = _line_of(text, None, path)
            raise _wrong(line, f'"{path}" is no table; write ["Lora/name.safetensors"] above its keys')
        files[path] = {key: _value(text, path, key, value) for key, value in written.items()}
    return Notes(files=files, default_model=default)


def _value(text: str, path: str, key: str, value: object) -> object:
    problem = _problem(key, value)
    if problem:
        raise _wrong(_line_of(text, path, key), problem)
    return tuple(value) if isinstance(value, list) else value


def _problem(key: str, value: object) -> str:
    """What to write instead, or "" for a value that is fine."""
    if key not in KEYS:
        near = difflib.get_close_matches(key, KEYS, n=1, cutoff=0.5)
        return f"there is no key {key}; " + (
            f"did you mean {near[0]}?" if near else f"there are {', '.join(KEYS)}"
        )
    if key in NUMBERS:
        span = NUMBERS[key]
        good = isinstance(value, int) and not isinstance(value, bool) and value in span
        return (
            ""
            if good
            else f"{key} must be a whole number from {span.start} to {span.stop - 1}, such as {key} = 28"
        )
    if key == "disabled":
        return "" if isinstance(value, bool) else "disabled must be true or false"
    if key == "trigger_words":
        return "" if _are_words(value) else 'write trigger_words = ["first", "second"]'
    return _text_problem(key, value)


def _text_problem(key: str, value: object) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        return f'{key} must be text in double quotes of at most {LONGEST_TEXT} characters: {key} = "…"'
    if key == "alias" and not re.fullmatch(r"[\w.+-]{1,64}", value):
        return 'an alias has up to 64 letters, digits and "_-+." and no blanks, such as alias = "ink"'
    if key == "licence":
        return _licence_problem(value)
    return "" if value.isprintable() else f"{key} holds control characters; write plain text"


def _licence_problem(value: str) -> str:
    try:
        licence_named(value)
    except LicenceRefused as refused:
        return str(refused)
    return ""


def _are_words(value: object) -> bool:
    if not isinstance(value, list) or len(value) > MOST_TRIGGER_WORDS:
        return False
    return all(
        isinstance(word, str) and 0 < len(word) <= LONGEST_TEXT and word.isprintable() for word in value
    )


def _wrong(line: int | None, text: str) -> BadCatalogue:
    place = f"{NOTES_BY_THE_TEAM}, line {line}" if line else NOTES_BY_THE_TEAM
    return BadCatalogue(f"{place}: {text}", line=line)


def _line_in(message: str) -> int | None:
    """Python names the line in its message alone (Python 3.11 to 3.13)."""
    found = re.search(r"line (\d+)", message)
    return int(found[1]) if found else None


def _line_of(text: str, path: str | None, key: str) -> int | None:
    """Where this key of this table was written, as far as plain TOML shows it."""
    table: str | None = None
    header = re.compile(r"\s*\[\s*[\"']?(.*?)[\"']?\s*\]\s*(#.*)?$")
    named = re.compile(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=")
    for number, line in enumerate(text.splitlines(), start=1):
        if found := header.match(line):
            table = found[1]
        elif table == path and named.match(line):
            return number
    return None
