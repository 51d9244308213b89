"""The pictures to learn and their captions: a `.txt` beside each picture, or one `metadata.jsonl` for all."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from container.train.errors import TrainingError

_ENDINGS = {".png", ".jpg", ".jpeg", ".webp"}
_MOST_PIXELS = 64 * 10**6


@dataclass(frozen=True, slots=True, kw_only=True)
class Captioned:
    """One picture's file and what it shows."""

    path: Path
    caption: str

    def pixels(self, side: int) -> NDArray[np.float32]:
        """The middle square, `side` pixels wide: shape (3, side, side), -1 to 1. Raises `TrainingError`."""
        try:
            with Image.open(self.path) as opened:
                if opened.width * opened.height > _MOST_PIXELS:
                    raise TrainingError(f"{self.path.name} has more than {_MOST_PIXELS // 10**6} megapixels")
                upright = ImageOps.exif_transpose(opened).convert("RGB")
        except (OSError, ValueError, SyntaxError) as error:
            raise TrainingError(f"{self.path.name} is not a picture that can be read") from error
        square = ImageOps.fit(upright, (side, side), Image.Resampling.LANCZOS)
        return np.asarray(square, dtype=np.float32).transpose(2, 0, 1) / 127.5 - 1

    def digest(self) -> str:
        """SHA-256 of picture and caption."""
        return hashlib.sha256(self.path.read_bytes() + b"\0" + self.caption.encode()).hexdigest()


def read_captioned(folder: Path, *, trigger: str) -> tuple[Captioned, ...]:
    """Every picture of the folder, in order of name; one without a caption gets the trigger words.

    Raises `TrainingError` where there is no picture, or one with neither.
    """
    listed = _listed(folder / "metadata.jsonl")
    found = tuple(_captioned(path, listed.get(path.name), trigger) for path in _pictures(folder))
    if not found:
        raise TrainingError(f"channel train has no picture ({', '.join(sorted(_ENDINGS))})")
    return found


def _pictures(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.glob("*")) if path.suffix.lower() in _ENDINGS)


def _captioned(path: Path, listed: str | None, trigger: str) -> Captioned:
    beside = path.with_suffix(".txt")
    caption = beside.read_text(errors="replace").strip() if beside.is_file() else listed
    if not caption and not trigger:
        reason = f"has no caption: put {beside.name} beside it, or set hyperparameter trigger"
        raise TrainingError(f"{path.name} {reason}")
    return Captioned(path=path, caption=caption or trigger)


def _listed(file: Path) -> Mapping[str, str]:
    """Captions by file name, as the `datasets` library's image folders have them: {"file_name", "text"}."""
    if not file.is_file():
        return {}
    try:
        rows = [json.loads(line) for line in file.read_text().splitlines() if line.strip()]
        return {str(row["file_name"]): str(row["text"]) for row in rows}
    except (ValueError, KeyError, TypeError) as error:
        raise TrainingError('metadata.jsonl must have {"file_name": …, "text": …} on each line') from error
