"""The diffusers engine: Stable Diffusion 1.x, 2.x and XL checkpoints, in this process."""

from __future__ import annotations

import difflib
import gc
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch

from container.diffusers_engine.extra_networks import read_prompt
from container.diffusers_engine.loaded_model import LoadedModel, ModelSource
from container.diffusers_engine.samplers import SAMPLERS
from container.diffusers_engine.sizes import drawn_size
from container.diffusers_engine.studio import Studio
from container.serving.engine import (
    LATENT_UPSCALERS,
    Catalogue,
    Drawing,
    DrawRequest,
    EngineInfo,
    Feature,
    OnStep,
    Picture,
    Upscaler,
    UpscaleRequest,
)
from container.serving.errors import BadRequest, NotReady, NotSupported, OutOfMemory, UnknownName
from container.serving.model_folder import ModelFolder

_PIXELS_TOGETHER = 4 * 1024 * 1024
"""Sixteen pictures of 512 x 512, four of 1024 x 1024."""

_MOST_TOGETHER = 16
_MAX_SIDE = 2048

_T = TypeVar("_T")


class DiffusersEngine:
    """Implements `container.serving.engine.BatchingEngine` with the files of `folder`, opened by `source`.

    `upscaler` enlarges pictures for hires fix and for `upscale`. The same request drawn alone repeats bit for
    bit on one device and version; drawn together with others it repeats within 1/255.
    """

    def __init__(self, folder: ModelFolder, source: ModelSource, *, upscaler: Upscaler) -> None:
        self._folder = folder
        self._source = source
        self._upscaler = upscaler
        self._current: _Current | None = None

    def setup(self) -> None:
        """Open the folder's default checkpoint, else its first. Raises `FileNotFoundError` if it has none."""
        names = [model.name for model in self._folder.files["checkpoints"]]
        if not names:
            raise FileNotFoundError("no checkpoint: put one into the model folder's Stable-diffusion/")
        # Else cuDNN may choose another way to convolve, with other rounding, each time it starts.
        torch.backends.cudnn.deterministic = True
        self._source.close()  # what a crash may have left behind
        self._open(self._folder.default or names[0])

    def generate(self, request: DrawRequest, *, on_step: OnStep) -> Drawing:
        """Draw one batch; see `Engine.generate`."""
        return self.generate_together((request,), on_step=on_step)[0]

    def generate_together(self, requests: Sequence[DrawRequest], *, on_step: OnStep) -> tuple[Drawing, ...]:
        """Draw requests of one key at once; see `BatchingEngine.generate_together`."""
        for request in requests:
            _check(request, self._upscaler)
        name = requests[0].model or self._ready().name
        return _within_memory(
            lambda: Studio(self._open(name), self._source, self._upscaler, requests).draw(on_step)
        )

    def joins(self, request: DrawRequest) -> Hashable | None:
        """Everything but prompts, seeds and pictures to start from; None for what is always drawn alone.

        Alone: exact requests, hires fix, ControlNet, masks, and samplers that never batch (DPM++ SDE).
        """
        sampler = SAMPLERS.get(request.sampler_name)
        if sampler is None or not sampler.batches:
            return None
        if request.exact or request.hires or request.controls or request.mask:
            return None
        try:
            loras = read_prompt(request.prompt).loras
        except BadRequest:
            return None  # `generate` says what is wrong with it
        start = (request.denoising_strength, request.resize_mode) if request.init_images else None
        return (
            request.model or self._ready().name,
            request.vae,
            (request.width, request.height),
            request.steps,
            (request.sampler_name, request.schedule, request.eta),
            request.cfg_scale,
            request.clip_skip,
            request.tiling,
            start,
            loras,
        )

    def largest_together(self, request: DrawRequest) -> int:
        """How many pictures of this size are drawn at once."""
        size = request.width, request.height
        width, height = drawn_size(size, native_side=self._ready().native_side)
        return max(1, min(_MOST_TOGETHER, _PIXELS_TOGETHER // (width * height)))

    def upscale(self, request: UpscaleRequest) -> Picture:
        """Enlarge one picture; see `Engine.upscale`."""
        return _within_memory(lambda: self._upscaler.upscale(request))

    def interrogate(self, picture: Picture) -> str:
        """Raises `NotSupported`: there is no captioner."""
        del picture
        raise NotSupported("interrogate is not supported by engine diffusers", field="task")

    def info(self) -> EngineInfo:
        """The engine's name and the model it drew with last."""
        current = self._ready()
        return EngineInfo(name="diffusers", model=current.name, model_hash=current.hash)

    def catalogue(self) -> Catalogue:
        """What lies in the folder, and what the engine can do with it."""
        files, current = self._folder.files, self._ready()
        return Catalogue(
            models=files["checkpoints"],
            samplers=tuple(SAMPLERS),
            upscalers=self._upscaler.names,
            loras=files["loras"],
            controlnets=files["controlnets"],
            vaes=files["vaes"],
            embeddings=files["embeddings"],
            schedules={name: sampler.schedules for name, sampler in SAMPLERS.items()},
            features=frozenset(Feature),
            max_width=_MAX_SIDE,
            max_height=_MAX_SIDE,
            warm_up_sides=(current.native_side,) if current.on_accelerator else (),
        )

    def _open(self, name: str) -> LoadedModel:
        """The model, of which nothing is kept here: whoever lends it may need its memory for the next."""
        model = self._source.open(name)
        self._current = _Current(
            name=model.name,
            hash=model.hash,
            native_side=model.native_side,
            on_accelerator=model.device.type != "cpu",
        )
        return model

    def _ready(self) -> _Current:
        if self._current is None:
            raise NotReady("the diffusers engine is not set up")
        return self._current


@dataclass(frozen=True, slots=True, kw_only=True)
class _Current:
    """What is known of the model drawn with last."""

    name: str
    hash: str
    native_side: int
    on_accelerator: bool


def _check(request: DrawRequest, upscaler: Upscaler) -> None:
    """What the server may have let through. Raises `BadRequest` or `UnknownName`."""
    _known("sampler", request.sampler_name, tuple(SAMPLERS), field="sampler_name")
    if request.mask and not request.init_images:
        raise BadRequest("a mask needs a picture to lie on", field="mask")
    if len(request.init_images) > 1:
        raise BadRequest("give one picture to start from", field="init_images")
    if not request.hires:
        return
    if request.init_images:
        raise BadRequest("hires fix is for text-to-image", field="enable_hr")
    _known("upscaler", request.hires.upscaler_name, (*LATENT_UPSCALERS, *upscaler.names), field="hr_upscaler")
    _known("sampler", request.hires.sampler_name or "Euler", tuple(SAMPLERS), field="hr_sampler_name")


def _known(kind: str, name: str, offered: Sequence[str], *, field: str) -> None:
    if name not in offered:
        nearest = difflib.get_close_matches(name, offered, n=3, cutoff=0.0)
        raise UnknownName(kind, name, nearest=nearest, field=field)


def _within_memory(work: Callable[[], _T]) -> _T:
    """The work's result. Raises `OutOfMemory` where the device has no room, everything it held given back."""
    try:
        return work()
    except RuntimeError as error:
        if not _is_out_of_memory(error):
            raise
    # Only here are the error, its traceback and all tensors they held gone.
    gc.collect()
    torch.cuda.empty_cache()
    raise OutOfMemory("the device has no room for this picture: try a smaller size or fewer at once")


def _is_out_of_memory(error: RuntimeError) -> bool:
    """Torch has a class for its own allocator's failures only; the CPU's and the driver's say it in words."""
    words = ("out of memory", "not enough memory", "can't allocate memory", "ALLOC_FAILED")
    return isinstance(error, torch.OutOfMemoryError) or any(word in str(error) for word in words)
