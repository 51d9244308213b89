"""An engine without a model, for tests of everything around one: it draws stripes, not pictures."""

import hashlib
import io
import time

import numpy as np
from PIL import Image

from container.serving.engine import (
    Catalogue,
    Drawing,
    DrawRequest,
    EngineInfo,
    Model,
    OnStep,
    Picture,
    UpscaleRequest,
)
from container.serving.errors import NotSupported
from container.serving.resampling import Resampling

LABEL = "draws no real pictures; for tests"


class PatternEngine:
    """Stripes and colours that are a pure function of prompt, seeds, size and init image.

    `step_s` is the time one step takes, so that tests can watch and cancel a drawing under way.
    """

    def __init__(self, *, step_s: float = 0.0) -> None:
        self._step_s = step_s
        self._upscaler = Resampling()

    def setup(self) -> None:
        """There is nothing to load."""

    def generate(self, request: DrawRequest, *, on_step: OnStep) -> Drawing:
        for step in range(1, request.steps + 1):
            time.sleep(self._step_s)
            on_step(step, request.steps)
        varied = request.subseed_strength > 0
        ordinals = range(request.batch_size)
        seeds = tuple((request.seed + (0 if varied else k)) % 2**32 for k in ordinals)
        subseeds = tuple((request.subseed + k) % 2**32 for k in ordinals)
        pairs = zip(seeds, subseeds, strict=True)
        images = tuple(_picture(request, seed, subseed if varied else 0) for seed, subseed in pairs)
        return Drawing(images=images, seeds=seeds, subseeds=subseeds, notes=(LABEL,))

    def upscale(self, request: UpscaleRequest) -> Picture:
        return self._upscaler.upscale(request)

    def interrogate(self, picture: Picture) -> str:
        del picture
        raise NotSupported("interrogate is not supported by engine pattern", field="task")

    def info(self) -> EngineInfo:
        return EngineInfo(name="pattern", model="stripes", model_hash="0000000000")

    def catalogue(self) -> Catalogue:
        return Catalogue(
            models=(Model(name="stripes", hash="0000000000"),),
            samplers=("Euler", "Euler a", "DDIM", "DPM++ 2M"),
            upscalers=self._upscaler.names,
        )


def _picture(request: DrawRequest, seed: int, subseed: int) -> Picture:
    stripes = _stripes(f"{request.prompt}\0{seed}\0{subseed}", request.width, request.height)
    if not request.init_images:
        return stripes
    start = (
        Image.open(io.BytesIO(request.init_images[0])).convert("RGB").resize((request.width, request.height))
    )
    kept = 1 - request.denoising_strength
    return np.rint(np.asarray(start) * kept + stripes * request.denoising_strength).astype(np.uint8)


def _stripes(text: str, width: int, height: int) -> Picture:
    """Diagonal stripes whose colours, slope and width come from a hash of the text."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    light, dark = np.frombuffer(digest[:6], np.uint8).reshape(2, 3)
    rows, columns = np.mgrid[0:height, 0:width]
    stripe = (rows * (1 + digest[6] % 5) + columns * (1 + digest[7] % 5)) // (8 + digest[8] % 32)
    return np.where((stripe % 2 == 0)[..., None], light, dark)
