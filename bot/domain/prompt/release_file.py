"""A release's `catalogue.json` (docs/models.md), read for the names and facts that prompts need.

It comes from a bucket or over HTTP, so nothing in it is trusted: what does not fit is left out.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bot.domain.prompt.catalogue import Kind, ModelFile, Release
from bot.domain.prompt.hygiene import tidy

FOLDERS = {"Stable-diffusion": Kind.MODEL, "Lora": Kind.LORA}
ENDINGS = (".safetensors", ".ckpt", ".pt", ".pth", ".bin")
LONGEST_NAME = 255
LONGEST_WORD = 80
MOST_WORDS = 5
MOST_FILES = 500
MOST_COMING = 20
MOST_BYTES = 64 * 1024
"""What a shared row holds: every worker reads it once a minute, and DynamoDB takes at most 400 KB."""

SIDES, STEPS = range(64, 4097), range(1, 151)


def read_release(content: object) -> Release:
    """The checkpoints and LoRAs of a `catalogue.json`, or of what `shared` made of one; never raises."""
    told = content if isinstance(content, dict) else {}
    listed = told.get("files")
    every = [_file(path, facts) for path, facts in listed.items()] if isinstance(listed, dict) else []
    files = tuple(file for file in every if file is not None)
    default = _named(told.get("default_model"))
    return Release(
        files=files[:MOST_FILES],
        name=_line(told.get("release")),
        default_model=default[1] if default else "",
        is_whole=told.get("is_whole") is not False and len(files) <= MOST_FILES,
        newer=_line(told.get("newer")),
        coming=_named_files(told.get("coming")),
    )


def read_server_list(content: object) -> Release:
    """What the task `catalogue` of an inference server answers; never raises. It tells names alone."""
    told = content if isinstance(content, dict) else {}
    names: dict[str, Any] = {
        f"{folder}/{name}": {}
        for folder, key in (("Stable-diffusion", "models"), ("Lora", "loras"))
        for name in _names(told.get(key))
    }
    return read_release({"files": names})


def paths_coming(now: Release, newer: Release) -> list[str]:
    """Paths of the files that a newer release adds and offers, for the key `coming` of what is shared."""
    there = {(file.kind, file.name) for file in now.files}
    fresh = [file for file in newer.files if (file.kind, file.name) not in there and not file.disabled]
    return [_path(file.kind, file.name) for file in fresh[:MOST_COMING]]


def shared(release: Release, *, newer: str = "") -> dict[str, Any]:
    """The release as JSON-ready facts that `read_release` reads, in at most `MOST_BYTES`; what does not fit
    is left out, and said to be.
    """
    files: dict[str, Any] = {}
    coming = [_path(file.kind, file.name) for file in release.coming]
    room = MOST_BYTES - 2048 - len(json.dumps(coming))
    for file in release.files:
        path, facts = _path(file.kind, file.name), _facts(file)
        room -= len(json.dumps({path: facts}).encode())
        if room < 0:
            break
        files[path] = facts
    return {
        "release": release.name,
        "newer": newer,
        "coming": coming,
        "default_model": _path(Kind.MODEL, release.default_model) if release.default_model else "",
        "is_whole": release.is_whole and len(files) == len(release.files),
        "files": files,
    }


def _file(path: object, facts: object) -> ModelFile | None:
    named = _named(path)
    if named is None or not isinstance(facts, dict):
        return None
    kind, name = named
    drawing = facts.get("defaults")
    drawing = drawing if isinstance(drawing, dict) else {}
    alias = _line(facts.get("alias"))
    architecture = _line(facts.get("architecture"))
    return ModelFile(
        kind=kind,
        name=name,
        alias=alias if _can_be_typed(alias) else "",
        architecture="" if architecture == "unknown" else architecture,
        trigger_words=tuple(filter(None, map(_line, _list(facts.get("trigger_words")))))[:MOST_WORDS],
        non_commercial=facts.get("non_commercial") is True,
        disabled=facts.get("disabled") is True,
        width=_whole(drawing.get("width"), SIDES),
        height=_whole(drawing.get("height"), SIDES),
        steps=_whole(drawing.get("steps"), STEPS),
        sampler=_line(drawing.get("sampler")) or None,
    )


def _named_files(paths: object) -> tuple[ModelFile, ...]:
    named = [_named(path) for path in _list(paths)[:MOST_COMING]]
    return tuple(ModelFile(kind=kind, name=name) for kind, name in filter(None, named))


def _facts(file: ModelFile) -> dict[str, Any]:
    drawing = {
        "width": file.width,
        "height": file.height,
        "steps": file.steps,
        "sampler": file.sampler,
    }
    facts = {
        "alias": file.alias,
        "architecture": file.architecture,
        "trigger_words": list(file.trigger_words),
        "non_commercial": file.non_commercial,
        "disabled": file.disabled,
        "defaults": {key: value for key, value in drawing.items() if value is not None},
    }
    return {key: value for key, value in facts.items() if value}


def _named(path: object) -> tuple[Kind, str] | None:
    """Kind and name of a file that prompts can name."""
    folder, _, file = path.partition("/") if isinstance(path, str) else ("", "", "")
    ending = next((ending for ending in ENDINGS if file.endswith(ending)), "")
    name = file.removesuffix(ending)
    return (FOLDERS[folder], name) if folder in FOLDERS and _can_be_typed(name) else None


def _path(kind: Kind, name: str) -> str:
    """Names may have dots of their own, so an ending is put back."""
    folder = next(folder for folder, known in FOLDERS.items() if known is kind)
    return f"{folder}/{name}{ENDINGS[0]}"


def _can_be_typed(name: str) -> bool:
    """Whether a line can hold the name in quotes and read back the same, and a LoRA's tag can hold it."""
    is_line = 0 < len(name) <= LONGEST_NAME and name.isprintable() and tidy(name) == name
    return is_line and not set(name) & set('<>:"\\') and name[0] not in "'-" and name[-1] not in ".,;'"


def _names(listed: object) -> Sequence[str]:
    items = [item.get("name") for item in _list(listed) if isinstance(item, Mapping)]
    return [item for item in items if isinstance(item, str)]


def _list(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else ()


def _line(value: object) -> str:
    """A short text in one line."""
    return tidy(value[:LONGEST_WORD]) if isinstance(value, str) else ""


def _whole(value: object, within: range) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value in within else None
