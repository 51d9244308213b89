"""Says which of the model's named things a picture looks most like, by small thumbnails of the art."""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 16
STYLES = 2
_MODEL = Path(__file__).parents[3] / "container" / "embedded"
_BACKGROUND_DISTANCE = 26


class NearestThing:
    """Nearest neighbour among the thumbnails, whatever the picture's background, place, scale or facing."""

    def __init__(self, folder: Path = _MODEL) -> None:
        vocabulary = json.loads((folder / "vocabulary.json").read_text(encoding="utf-8"))
        self.names: tuple[str, ...] = tuple(vocabulary["things"])
        thumbnails = _cells(folder / "thumbnails.webp", count=len(self.names) * STYLES)
        both_ways = np.concatenate([thumbnails, thumbnails[:, :, ::-1]])
        self._colour, self._alpha = both_ways[..., :3], both_ways[..., 3:] / 255

    def ranking(self, picture: NDArray[np.uint8]) -> list[str]:
        """All names, the likeliest first."""
        background, seen = _centred(picture)
        expected = self._colour * self._alpha + background * (1 - self._alpha)
        distance = np.square(expected - seen).mean(axis=(1, 2, 3)).reshape(2, len(self.names), STYLES)
        return [self.names[i] for i in distance.min(axis=(0, 2)).argsort()]

    def of(self, picture: NDArray[np.uint8]) -> str:
        """The name of the thing the picture looks most like."""
        return self.ranking(picture)[0]


def _cells(sheet: Path, *, count: int) -> NDArray[np.float64]:
    """The sheet's 16x16 RGBA cells, row by row."""
    pixels = np.asarray(Image.open(sheet).convert("RGBA"), dtype=float)
    rows, columns = pixels.shape[0] // SIDE, pixels.shape[1] // SIDE
    cells = pixels.reshape(rows, SIDE, columns, SIDE, 4).transpose(0, 2, 1, 3, 4)
    return cells.reshape(-1, SIDE, SIDE, 4)[:count]


def _centred(picture: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The background colour, and the thing itself cut out square and shrunk to a thumbnail's size."""
    image = np.asarray(Image.fromarray(picture).resize((64, 64), Image.Resampling.BOX), dtype=float)
    border = np.concatenate(
        [image[:2].reshape(-1, 3), image[-2:].reshape(-1, 3), image[:, :2].reshape(-1, 3)]
    )
    background: NDArray[np.float64] = np.median(border, axis=0)
    rows, columns = np.nonzero(np.abs(image - background).max(axis=2) > _BACKGROUND_DISTANCE)
    if not len(rows):
        rows = columns = np.array([0, 63])
    cut = image[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    side = max(cut.shape[:2])
    square = np.empty((side, side, 3))
    square[:] = background
    top, left = (side - cut.shape[0]) // 2, (side - cut.shape[1]) // 2
    square[top : top + cut.shape[0], left : left + cut.shape[1]] = cut
    small = Image.fromarray(square.astype(np.uint8)).resize((SIDE, SIDE), Image.Resampling.BOX)
    return background, np.asarray(small, dtype=float)
