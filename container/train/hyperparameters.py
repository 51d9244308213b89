"""A job's hyperparameters: every value comes as a string, whatever it means."""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

from container.train.errors import BadHyperparameter, TrainingError


@dataclass(frozen=True, slots=True, kw_only=True)
class Hyperparameters:
    """What a job may be told.

    `name`: of the LoRA, as people write it in `<lora:name:1>`. `trigger`: words every caption of a picture
    without one is made of, and the default preview. `resolution`: side in pixels, 0 for the base model's own.
    `steps`, `save_every`: optimizer steps. `previews`: prompts, one a line. `caption_dropout`: share of the
    steps without a caption.
    """

    name: str = "lora"
    trigger: str = ""
    base_model: str = ""
    rank: int = 16
    alpha: float = 16.0
    steps: int = 1000
    batch_size: int = 1
    learning_rate: float = 1e-4
    resolution: int = 0
    seed: int = 0
    save_every: int = 100
    caption_dropout: float = 0.05
    previews: str = ""

    @classmethod
    def from_strings(cls, given: Mapping[str, Any]) -> Self:
        """Raises `BadHyperparameter` for the first that is unknown or out of its range."""
        known = {field.name for field in fields(cls)}
        for key in given:
            # SageMaker's own, such as sagemaker_region, come along with some SDKs.
            if key not in known and not key.startswith("sagemaker_"):
                raise BadHyperparameter(key[:60], f"is unknown; there are {', '.join(sorted(known))}")
        return cls(**{key: _READ[key](key, str(given[key])) for key in given if key in known})


def read_hyperparameters(file: Path) -> Hyperparameters:
    """Those in the file, or the defaults where there is none. Raises `TrainingError`."""
    if not file.is_file():
        return Hyperparameters()
    try:
        given = json.loads(file.read_text())
    except ValueError as error:
        raise TrainingError(f"{file.name} is not JSON: {error}") from error
    if not isinstance(given, dict):
        raise TrainingError(f"{file.name} must be an object of strings")
    return Hyperparameters.from_strings(given)


def _whole(lowest: int, highest: int, *, multiple_of: int = 1) -> Callable[[str, str], int]:
    def read(key: str, text: str) -> int:
        if not re.fullmatch(r"-?[0-9]{1,12}", text) or not lowest <= int(text) <= highest:
            raise BadHyperparameter(
                key, f"must be a whole number from {lowest} to {highest}, not {text[:20]!r}"
            )
        if int(text) % multiple_of:
            raise BadHyperparameter(key, f"must be a multiple of {multiple_of}, not {text}")
        return int(text)

    return read


def _number(lowest: float, highest: float) -> Callable[[str, str], float]:
    def read(key: str, text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not lowest <= number <= highest:
            raise BadHyperparameter(key, f"must be a number from {lowest} to {highest}, not {text[:20]!r}")
        return number

    return read


def _name(key: str, text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", text):
        raise BadHyperparameter(key, "must be up to 64 letters, digits, dots, dashes or underscores")
    return text


def _text(key: str, text: str) -> str:
    if len(text) > 2000:
        raise BadHyperparameter(key, "must have at most 2000 characters")
    return text.strip()


_READ: dict[str, Callable[[str, str], Any]] = {
    "name": _name,
    "trigger": _text,
    "base_model": _name,
    "rank": _whole(1, 256),
    "alpha": _number(0.001, 1024),
    "steps": _whole(1, 100_000),
    "batch_size": _whole(1, 64),
    "learning_rate": _number(1e-8, 1),
    "resolution": _whole(0, 2048, multiple_of=64),
    "seed": _whole(0, 2**32 - 1),
    "save_every": _whole(1, 100_000),
    "caption_dropout": _number(0, 1),
    "previews": _text,
}
