"""Where a job stands, kept so that it may be killed at any moment and go on as if it had not been."""

import os
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from container.train.errors import TrainingError

_FILE = "training.pt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """After `step` steps: the adapter's values and the optimizer's. `job` tells what was being trained."""

    job: str
    step: int
    adapter: dict[str, torch.Tensor]
    optimizer: dict[str, Any]


def save_standing(folder: Path, standing: Standing) -> None:
    """Whole or not at all, whenever the process dies."""
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f"{_FILE}.unfinished"
    with unfinished.open("wb") as file:
        content = {name: getattr(standing, name) for name in ("job", "step", "adapter", "optimizer")}
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(folder / _FILE)


def read_standing(folder: Path, *, job: str) -> Standing | None:
    """What was saved last, None if nothing was. Raises `TrainingError` if it is of another job or damaged."""
    file = folder / _FILE
    if not file.is_file():
        return None
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
        standing = Standing(**content)
    except (RuntimeError, pickle.UnpicklingError, EOFError, TypeError, OSError) as error:
        raise TrainingError(f"{file.name} in the checkpoints cannot be read: empty that folder") from error
    if standing.job != job:
        raise TrainingError(
            "the checkpoints are of a job with other hyperparameters, pictures or base model: "
            "give this job a checkpoint folder of its own"
        )
    return standing
