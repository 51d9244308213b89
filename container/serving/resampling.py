"""Upscaling by resampling alone: edges stay clean, no detail is invented. Every engine has it."""

import numpy as np
from PIL import Image

from container.serving.engine import Picture, UpscaleRequest

_FILTERS = {"Lanczos": Image.Resampling.LANCZOS, "Nearest": Image.Resampling.NEAREST}
"""By webui's names for its own two resamplers."""


class Resampling:
    """Implements `container.serving.engine.Upscaler` without a model."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(_FILTERS)

    def upscale(self, request: UpscaleRequest) -> Picture:
        """The picture at exactly the size asked for."""
        image = Image.fromarray(request.picture)
        resized = image.resize((request.width, request.height), _FILTERS[request.upscaler_name])
        return np.asarray(resized)
