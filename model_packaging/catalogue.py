"""`catalogue.json`: what a set of model files holds, for the inference server, the bot and people.

The inference server reads `files[path].sha256` (`container/serving/model_folder.py`), the bot reads the rest.
Keys that a reader does not know are for others, so a newer writer does not break an older reader.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from model_packaging.errors import BadCatalogue
from model_packaging.kinds import Kind
from model_packaging.layout import folder_named

FORMAT = 1
MOST_BYTES = 16 * 2**20
MOST_FILES = 10_000
LONGEST_NAME_BYTES = 255
LONGEST_KEY_BYTES = 1024
"""S3's limit for a key; a name over 255 bytes breaks an endpoint's start (SageMaker S3ModelDataSource)."""

LONGEST_TEXT = 500
MOST_TRIGGER_WORDS = 50
SIDES = range(64, 4097)
STEPS = range(1, 151)
_DIGEST = re.compile(r"[0-9a-f]{64}")
_CRC = re.compile(r"[0-9a-f]{8}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawingDefaults:
    """What a file draws best with; None where nobody has said. Sides in pixels."""

    width: int | None = None
    height: int | None = None
    steps: int | None = None
    sampler: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """One model file. `path` is below the model folder, `hash` webui's AutoV2, `crc32` of the whole file.

    `alias` is a name people may use instead of the file's; `source_sha256` the file it was converted from.
    """

    path: str
    size: int
    sha256: str
    crc32: str = ""
    hash: str = ""
    autov3: str = ""
    kind: str = Kind.UNKNOWN
    architecture: str = "unknown"
    prediction: str = "unknown"
    trigger_words: tuple[str, ...] = ()
    licence: str = ""
    non_commercial: bool = False
    alias: str = ""
    notes: str = ""
    disabled: bool = False
    source_sha256: str = ""
    defaults: DrawingDefaults = field(default_factory=DrawingDefaults)

    @property
    def name(self) -> str:
        """As prompts name it: without folder and ending."""
        return self.path.partition("/")[2].rpartition(".")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """`files` by path. `default_model` is the path of the checkpoint to begin with, "" for the first one."""

    files: Mapping[str, ModelFile] = field(default_factory=dict)
    release: str = ""
    default_model: str = ""

    @property
    def size(self) -> int:
        """Bytes of all model files."""
        return sum(file.size for file in self.files.values())

    def find(self, name: str) -> ModelFile:
        """By path, file name, stem or alias. Raises `BadCatalogue` that names what there is."""
        found = [
            file
            for file in self.files.values()
            if name in (file.path, file.path.partition("/")[2], file.name, file.alias)
        ]
        if len(found) == 1:
            return found[0]
        if found:
            paths = ", ".join(sorted(file.path for file in found))
            raise BadCatalogue(f"{name} names {len(found)} files: {paths}; name one by its path")
        known = ", ".join(sorted(self.files)) or "none"
        raise BadCatalogue(f"no model file is called {name}; there are: {known}")

    def with_file(self, file: ModelFile) -> "Catalogue":
        """The same with this file new or changed."""
        return replace(self, files={**self.files, file.path: file})


def to_json(catalogue: Catalogue) -> bytes:
    """The file's content; the same catalogue gives the same bytes. Raises `BadCatalogue` when ambiguous."""
    check_names(catalogue)
    content = {
        "format": FORMAT,
        "release": catalogue.release,
        "default_model": catalogue.default_model,
        "files": {path: _facts(catalogue.files[path]) for path in sorted(catalogue.files)},
    }
    return (json.dumps(content, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()


def from_json(body: bytes, *, place: str = "catalogue.json") -> Catalogue:
    """Read it, trusting nothing. Raises `BadCatalogue`; `place` is named in its text."""
    if len(body) > MOST_BYTES:
        raise BadCatalogue(f"{place} has {len(body):,} bytes; at most {MOST_BYTES:,} are read")
    try:
        content: Any = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadCatalogue(f"{place} is not JSON: {error}", line=getattr(error, "lineno", None)) from error
    if not isinstance(content, dict) or not isinstance(content.get("files"), dict):
        raise BadCatalogue(
            f'{place} must be an object with "files"; pack or upload the folder again to write it'
        )
    if len(content["files"]) > MOST_FILES:
        raise BadCatalogue(f"{place} lists {len(content['files']):,} files; at most {MOST_FILES:,} are read")
    files = {path: _file(path, facts, place) for path, facts in content["files"].items()}
    return Catalogue(
        files=files, release=_text(content.get("release")), default_model=_text(content.get("default_model"))
    )


def check_path(path: str) -> None:
    """A file's path as it may stand in a release: `Lora/ink.safetensors`. Raises `BadCatalogue`.

    SageMaker refuses empty parts, `.` and `..`, names over 255 bytes and NUL (`S3ModelDataSource`).
    """
    parts = path.split("/")
    if len(parts) < 2 or folder_named(parts[0]) is None:
        raise BadCatalogue(f"{path!r} lies in none of the model folders; put it into the folder of its kind")
    for part in parts:
        if part in ("", ".", "..") or len(part.encode(errors="replace")) > LONGEST_NAME_BYTES:
            raise BadCatalogue(
                f"{path!r}: a name has 1 to {LONGEST_NAME_BYTES} bytes and is neither . nor ..; rename it"
            )
    if not path.isprintable() or "\\" in path or not _is_text(path):
        raise BadCatalogue(
            f"{path!r}: control characters, backslashes and broken UTF-8 are refused; rename it"
        )
    if len(path.encode()) > LONGEST_KEY_BYTES - 300:
        raise BadCatalogue(f"{path[:60]!r}…: the path is too long for S3; shorten it")


def check_names(catalogue: Catalogue) -> None:
    """Every name means one file. Raises `BadCatalogue`."""
    taken: dict[tuple[str, str], str] = {}
    for path, file in sorted(catalogue.files.items()):
        for name in {file.name, file.alias} - {""}:
            other = taken.setdefault((file.kind, name.casefold()), path)
            if other != path:
                raise BadCatalogue(f"{path} and {other} would both be called {name}; give one another alias")
    if catalogue.default_model and catalogue.default_model not in catalogue.files:
        raise BadCatalogue(f"the default model {catalogue.default_model} is not among the files")


def _facts(file: ModelFile) -> dict[str, Any]:
    """Without what is empty: people read this file too."""
    facts = {key: value for key, value in asdict(file).items() if key not in ("path", "defaults")}
    drawing = {key: value for key, value in asdict(file.defaults).items() if value is not None}
    kept = {key: value for key, value in facts.items() if value not in ("", ()) and value is not False}
    return {**kept, **({"defaults": drawing} if drawing else {})}


def _file(path: str, facts: object, place: str) -> ModelFile:
    check_path(path)
    if not isinstance(facts, dict):
        raise BadCatalogue(f"{place}: the facts of {path} must be an object")
    size, sha256 = facts.get("size"), facts.get("sha256")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise BadCatalogue(f"{place}: {path} has no size in bytes; pack or upload the folder again")
    if not isinstance(sha256, str) or not _DIGEST.fullmatch(sha256):
        raise BadCatalogue(f"{place}: {path} has no sha256 of 64 hex digits; pack or upload the folder again")
    crc32 = _text(facts.get("crc32"))
    words = facts.get("trigger_words")
    texts = ("hash", "autov3", "architecture", "prediction", "licence", "alias", "notes", "source_sha256")
    return ModelFile(
        path=path,
        size=size,
        sha256=sha256,
        crc32=crc32 if _CRC.fullmatch(crc32) else "",
        kind=_text(facts.get("kind")) or Kind.UNKNOWN,
        trigger_words=tuple(map(_text, words[:MOST_TRIGGER_WORDS])) if isinstance(words, list) else (),
        non_commercial=facts.get("non_commercial") is True,
        disabled=facts.get("disabled") is True,
        defaults=_drawing(facts.get("defaults")),
        **{name: _text(facts.get(name)) for name in texts},
    )


def _drawing(facts: object) -> DrawingDefaults:
    if not isinstance(facts, dict):
        return DrawingDefaults()
    return DrawingDefaults(
        width=_whole(facts.get("width"), SIDES),
        height=_whole(facts.get("height"), SIDES),
        steps=_whole(facts.get("steps"), STEPS),
        sampler=_text(facts.get("sampler")) or None,
    )


def _whole(value: object, within: range) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value in within else None


def _text(value: object) -> str:
    return value[:LONGEST_TEXT] if isinstance(value, str) else ""


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
