"""The task interrogate: a caption for a picture, from engines that have a captioner."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from container.serving.engine import Engine, OnStep
from container.serving.image_check import ImageCheck
from container.serving.image_files import FileOptions
from container.serving.init_images import read_init_image
from container.serving.settings import Limits
from container.serving.webui_fields import INTERROGATE, read_fields


@dataclass(frozen=True, slots=True, kw_only=True)
class InterrogateTask:
    """A picture file to caption."""

    task: ClassVar[str] = "interrogate"
    steps: ClassVar[int] = 1
    proves_engine: ClassVar[bool] = False

    file: bytes

    def run(self, engine: Engine, *, on_step: OnStep) -> str:
        """The caption. Raises `NotSupported` where the engine has no captioner."""
        with Image.open(io.BytesIO(self.file)) as image:
            picture = np.asarray(image.convert("RGB"))
        caption = engine.interrogate(picture)
        on_step(1, 1)
        return caption

    def reply(self, result: str, *, files: FileOptions, check: ImageCheck) -> bytes:
        del files, check
        return json.dumps({"caption": result}).encode()

    def summary(self) -> str:
        return self.task


def parse_interrogation(payload: Mapping[str, Any], *, limits: Limits) -> InterrogateTask:
    """One picture in `image`. Raises `BadRequest` naming the field."""
    read_fields(payload, INTERROGATE, task="interrogate")
    file = read_init_image(payload.get("image"), field="image", max_pixels=limits.init_image_pixels)
    return InterrogateTask(file=file)
