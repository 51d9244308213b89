"""The folder of model files in the seed project's layout, read in place: nothing is copied, opened or hashed.

`Stable-diffusion/`, `Lora/`, `ControlNet/`, `VAE/` (or `Vae/`), `embeddings/`, `ESRGAN/`: each may be absent
or empty. Hashes come from `catalogue.json` beside them, where somebody has computed them:
`{"files": {"Stable-diffusion/x.safetensors": {"sha256": "64 hex digits"}}}`, other keys being for others.
"""

import json
import os
import re
from collections.abc import Mapping
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
class ModelFolder:
    """What lies there. `files` has every kind; names are paths below the kind's folder, in order.

    `default`: the checkpoint to begin with, if it is among them. `problem`: what a person should know, or "".
    """

    files: Mapping[str, tuple[Model, ...]]
    default: str | None = None
    problem: str = ""


def read_model_folder(folder: Path, *, default: str | None = None) -> ModelFolder:
    """List the folder. `default` is the seed's `ckpt`: a path in `Stable-diffusion/`, or a name there.

    Raises `NotADirectoryError` or `FileNotFoundError` where there is no such folder.
    """
    os.scandir(folder).close()
    hashes, problem = _read_hashes(folder / "catalogue.json")
    files = {
        kind: tuple(
            sorted(
                (model for name in names for model in _listed(folder / name, hashes, below=folder)),
                key=lambda model: model.name,
            )
        )
        for kind, names in _KINDS.items()
    }
    chosen = _chosen(default, [model.name for model in files["checkpoints"]])
    if default and chosen is None:
        problem = f"ckpt names {default}, which is not there" + (f"; {problem}" if problem else "")
    return ModelFolder(files=files, default=chosen, problem=problem)


def _listed(place: Path, hashes: Mapping[str, str], *, below: Path) -> list[Model]:
    found = [
        Path(root, name)
        for root, _, names in os.walk(place)
        for name in names
        if Path(name).suffix in _SUFFIXES and not name.startswith(".")
    ]
    return [
        _model(path.relative_to(place).as_posix(), hashes.get(path.relative_to(below).as_posix(), ""))
        for path in found
    ]


def _model(name: str, sha256: str) -> Model:
    return Model(name=name, hash=sha256[:10], sha256=sha256)


def _chosen(default: str | None, names: list[str]) -> str | None:
    """The listed name that a path ends in."""
    if not default:
        return None
    ends = PurePosixPath(default).parts
    matching = [
        name for name in names if ends[-len(PurePosixPath(name).parts) :] == PurePosixPath(name).parts
    ]
    return max(matching, key=len, default=None)


def _read_hashes(catalogue: Path) -> tuple[dict[str, str], str]:
    """Digests by path, and what is wrong with the catalogue, if anything; having none is fine."""
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
    return {path: digest for path, facts in files.items() if (digest := _digest(facts))}, ""


def _digest(facts: object) -> str:
    digest = facts.get("sha256") if isinstance(facts, dict) else None
    return digest if isinstance(digest, str) and re.fullmatch("[0-9a-f]{64}", digest) else ""
