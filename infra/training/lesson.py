"""What is to be learnt: pictures, captions and settings, held to the trainer's own rules before anything is
sent or paid.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from container.train.captioned import Captioned, read_captioned
from container.train.errors import BadHyperparameter, TrainingError
from container.train.hyperparameters import Hyperparameters
from infra.training.errors import NotTrainable

CAPTIONS = "metadata.jsonl"
PROOF_SIDE = 64
"""Pixels to which each picture is drawn down once, to prove that it can be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """A folder that can be learnt from. `files` are pictures and captions; `digest` tells all content."""

    files: tuple[Path, ...]
    pictures: int
    digest: str

    @property
    def size(self) -> int:
        """Bytes to send."""
        return sum(file.stat().st_size for file in self.files)


def read_lesson(folder: Path, *, trigger: str) -> Lesson:
    """Check every picture and caption. Raises NotTrainable naming the file and the fix."""
    if not folder.is_dir():
        raise NotTrainable(f"{folder} is no folder; name the one that holds the pictures")
    try:
        captioned = read_captioned(folder, trigger=trigger)
        for picture in captioned:
            picture.pixels(PROOF_SIDE)
    except TrainingError as error:
        raise NotTrainable(f"{folder}: {_for_people(str(error))}") from error
    listed = folder / CAPTIONS
    files = [*(path for picture in captioned for path in _files_of(picture)), listed]
    told = json.dumps([picture.digest() for picture in captioned]).encode()
    return Lesson(
        files=tuple(file for file in files if file.is_file()),
        pictures=len(captioned),
        digest=hashlib.sha256(told).hexdigest(),
    )


def check_hyperparameters(given: Mapping[str, str]) -> None:
    """Raises NotTrainable naming the option."""
    try:
        Hyperparameters.from_strings(given)
    except BadHyperparameter as error:
        option = f"--{error.key.replace('_', '-')}"
        raise NotTrainable(f"{option}: {error}") from error


def _files_of(picture: Captioned) -> tuple[Path, Path]:
    return picture.path, picture.path.with_suffix(".txt")


def _for_people(reason: str) -> str:
    """The container speaks of channels and hyperparameters; here they are a folder and options."""
    return reason.replace("channel train", "the folder").replace(
        "set hyperparameter trigger", "give --trigger"
    )
