"""The folder of model files in the seed project's layout, read in place: nothing is copied, opened or hashed.

`Stable-diffusion/`, `Lora/`, `ControlNet/`, `VAE/` (or `Vae/`), `embeddings/`, `ESRGAN/`: each may be absent
or empty. What somebody has found out about the files stands in `catalogue.json` beside them:
`{"files": {"Stable-diffusion/x.safetensors": {"sha256": "64 hex digits", "verdict": "safe"}}}`, other keys
being for others.
"""

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from container.serving.engine import Model

_KINDS = {
    "checkpoints": ("Stable-diffusion",),
    "loras": ("Lora",),
    "controlnets": ("ControlNet",),
    "vaes": ("VAE", "Vae"),
    "embeddings": ("embeddings",),
    "upscalers": ("ESRGAN",),
}
_SUFFIXES = {".safetensors", ".ckpt", ".pt", ".pth", ".bin"}
_MOST_CATALOGUE_BYTES = 16 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """One file: what it is called, where it lies, and what the catalogue file says about it.

    `verdict` is "" where nobody has looked at it. A pickle that somebody found "safe" is the one with the
    SHA-256 in `model`, so a reader compares that first.
    """

    path: Path
    model: Model
    verdict: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFolder:
    """What lies in `root`. `contents` has every kind; names are paths below the kind's folder, in order.

    `default`: the checkpoint to begin with, if it is among them. `allow_pickle`: load pickles that no
    catalogue vouches for. `problem`: what a person should know, or "".
    """

    root: Path
    contents: Mapping[str, tuple[ModelFile, ...]]
    default: str | None = None
    allow_pickle: bool = False
    problem: str = ""

    @property
    def files(self) -> Mapping[str, tuple[Model, ...]]:
        """Names and hashes by kind."""
        return {kind: tuple(file.model for file in files) for kind, files in self.contents.items()}

    def file(self, kind: str, name: str) -> ModelFile | None:
        """The file listed under that very name, or None: a name never leads to a path by itself."""
        return next((file for file in self.contents[kind] if file.model.name == name), None)

    @classmethod
    def of_checkpoint(cls, path: Path) -> "ModelFolder":
        """A folder that holds one checkpoint and nothing else."""
        contents: dict[str, tuple[ModelFile, ...]] = dict.fromkeys(_KINDS, ())
        contents["checkpoints"] = (ModelFile(path=path, model=Model(name=path.name)),)
        return cls(root=path.parent, contents=contents, default=path.name)


def read_model_folder(folder: Path, *, default: str | None = None, allow_pickle: bool = False) -> ModelFolder:
    """List the folder. `default` is the seed's `ckpt`: a path in `Stable-diffusion/`, or a name there.

    Raises `NotADirectoryError` or `FileNotFoundError` where there is no such folder.
    """
    os.scandir(folder).close()
    facts, problem = _read_facts(folder / "catalogue.json")
    contents = {kind: _listed(folder, places, facts) for kind, places in _KINDS.items()}
    chosen = _chosen(default, [file.model.name for file in contents["checkpoints"]])
    if default and chosen is None:
        problem = f"ckpt names {default}, which is not there" + (f"; {problem}" if problem else "")
    return ModelFolder(
        root=folder, contents=contents, default=chosen, allow_pickle=allow_pickle, problem=problem
    )


def _listed(folder: Path, places: Sequence[str], facts: Mapping[str, Any]) -> tuple[ModelFile, ...]:
    """The files of one kind by name; of two with the same name the first place's."""
    found: dict[str, ModelFile] = {}
    for place in places:
        for path in _model_files(folder / place):
            name = path.relative_to(folder / place).as_posix()
            known = facts.get(path.relative_to(folder).as_posix())
            found.setdefault(name, _model_file(path, name, known if isinstance(known, dict) else {}))
    return tuple(found[name] for name in sorted(found))


def _model_files(place: Path) -> list[Path]:
    return [
        Path(root, name)
        for root, _, names in os.walk(place)
        for name in names
        if Path(name).suffix in _SUFFIXES and not name.startswith(".")
    ]


def _model_file(path: Path, name: str, facts: Mapping[str, Any]) -> ModelFile:
    sha256, verdict = _digest(facts.get("sha256")), facts.get("verdict")
    return ModelFile(
        path=path,
        model=Model(name=name, hash=sha256[:10], sha256=sha256),
        verdict=verdict if isinstance(verdict, str) else "",
    )


def _chosen(default: str | None, names: list[str]) -> str | None:
    """The listed name that a path ends in."""
    if not default:
        return None
    ends = PurePosixPath(default).parts
    matching = [
        name for name in names if ends[-len(PurePosixPath(name).parts) :] == PurePosixPath(name).parts
    ]
    return max(matching, key=len, default=None)


def _read_facts(catalogue: Path) -> tuple[Mapping[str, Any], str]:
    """Facts by path, and what is wrong with the catalogue, if anything; having none is fine."""
    try:
        with catalogue.open("rb") as file:
            content: Any = json.loads(file.read(_MOST_CATALOGUE_BYTES))
    except FileNotFoundError:
        return {}, ""
    except (OSError, ValueError, RecursionError):
        return {}, "catalogue.json cannot be read, so hashes are unknown"
    files = content.get("files") if isinstance(content, dict) else None
    if not isinstance(files, dict):
        return {}, "catalogue.json lists no files, so hashes are unknown"
    return files, ""


def _digest(text: object) -> str:
    return text if isinstance(text, str) and re.fullmatch("[0-9a-f]{64}", text) else ""
