"""Drawing with a checkpoint of one's own: a model folder around one file, made of links."""

import importlib.util
from pathlib import Path

from model_packaging.errors import PackagingError
from model_packaging.inspection import inspect_file
from model_packaging.kinds import Kind

READY_PATIENCE = 600.0
"""Seconds a checkpoint may take until its first picture, maybe from a slow disk and on a CPU."""

_CHECKPOINTS = "Stable-diffusion"


class CannotUse(Exception):
    """The file or the environment is not what is needed; the message says what is wrong and the fix."""


def check_model(file: Path) -> None:
    """Raises `CannotUse` where `file` is no checkpoint, or torch and diffusers are not installed.

    Reads the file's header alone. Whether the engine knows its architecture, the engine says.
    """
    if not file.is_file():
        raise CannotUse(f"there is no file {file}; give --model the path of a .safetensors checkpoint")
    try:
        kind = inspect_file(file).kind
    except PackagingError as error:
        raise CannotUse(f"{file} is no model file: {error}") from error
    if kind is not Kind.CHECKPOINT:
        found = "not one" if kind is Kind.UNKNOWN else f"one of the kind {kind}"
        raise CannotUse(f"--model takes a whole checkpoint, and {file} is {found}")
    check_packages()


def check_packages() -> None:
    """Raises `CannotUse` where the packages of the diffusers engine are not installed."""
    missing = [name for name in ("torch", "diffusers", "transformers") if not importlib.util.find_spec(name)]
    if missing:
        raise CannotUse(
            f"--model needs {', '.join(missing)}; `make demo MODEL=FILE` installs what is missing, or say\n"
            "  .venv/bin/python -m pip install --require-hashes -r requirements/diffusers.txt\n"
            "  sh .ci/install-torch .venv/bin/python"
        )


def lay_out(folder: Path, *, model: Path, beside: Path | None = None) -> Path:
    """Make the model folder `folder` with the checkpoint `model` and the other kinds of files of `beside`.

    Everything is linked, nothing copied. Returns `folder`.
    """
    checkpoints = folder / _CHECKPOINTS
    checkpoints.mkdir(parents=True)
    (checkpoints / model.name).symlink_to(model.resolve())
    for place in sorted(beside.iterdir()) if beside else []:
        if place.is_dir() and place.name != _CHECKPOINTS:
            (folder / place.name).symlink_to(place.resolve())
    return folder
