"""The embedded engine: a small Stable Diffusion trained for this project, on ONNX Runtime and any CPU."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from container.embedded.canvas import Picture, native_shape, read_picture, resized, to_pictures
from container.embedded.diffusion import Diffusion, Guidance, Walk
from container.embedded.networks import Networks
from container.embedded.noise import PictureNoise, batch_seeds
from container.embedded.samplers import SAMPLERS
from container.embedded.text import PromptEncoder
from container.embedded.words import KnownWords
from container.graphs import Array
from container.prompt_weights import without_networks
from container.serving.engine import (
    Catalogue,
    Drawing,
    DrawRequest,
    EngineInfo,
    Model,
    OnStep,
    Upscaler,
    UpscaleRequest,
)
from container.serving.errors import BadRequest, NotReady, NotSupported, UnknownName
from container.upscaling.choice import open_upscalers
from container.upscaling.tiny import TinyNetwork

MODEL_NAME = "emoji-64"
_LATENT_CHANNELS = 4
_MIN_SIDE, _MAX_SIDE = 64, 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loaded:
    model: Model
    networks: Networks
    encoder: PromptEncoder
    diffusion: Diffusion
    enlarging: TinyNetwork
    upscaler: Upscaler


class EmbeddedEngine:
    """Implements `container.serving.engine.Engine` with the model in `folder`, else the one beside this file.

    Pictures sent to it are enlarged by `upscaler`, else as `open_upscalers` offers. The same request draws
    the same pixels on one machine as long as `threads` stays the same.
    """

    def __init__(
        self, *, folder: Path | None = None, threads: int = 2, upscaler: Upscaler | None = None
    ) -> None:
        self._upscaler = upscaler
        self._folder = folder or Path(__file__).parent
        self._threads = threads
        self._words = KnownWords(self._folder / "vocabulary.json")
        self._loaded: _Loaded | None = None

    def setup(self) -> None:
        """Load the networks. Raises `OSError` or `ValueError` where the files are missing or damaged."""
        digest = hashlib.sha256((self._folder / "model.safetensors").read_bytes()).hexdigest()
        networks = Networks(self._folder, threads=self._threads)
        tiny = TinyNetwork(threads=self._threads)
        self._loaded = _Loaded(
            model=Model(name=MODEL_NAME, hash=digest[:10], sha256=digest),
            networks=networks,
            encoder=PromptEncoder(networks),
            diffusion=Diffusion(networks),
            enlarging=tiny,
            upscaler=self._upscaler or open_upscalers(tiny=tiny),
        )

    def generate(self, request: DrawRequest, *, on_step: OnStep) -> Drawing:
        """Draw one batch; see `Engine.generate`."""
        loaded = self._ready()
        _check(request, loaded.model)
        prompt, extra_networks = without_networks(request.prompt)
        negative_prompt, _ = without_networks(request.negative_prompt)
        positive, negative = loaded.encoder.pair(prompt, negative_prompt)
        guidance = Guidance(prompt=positive, negative_prompt=negative, scale=request.cfg_scale)
        seeds, subseeds = batch_seeds(
            request.seed, request.subseed, request.subseed_strength, request.batch_size
        )
        shape = native_shape(request.width, request.height)
        noise = PictureNoise(seeds, subseeds, request.subseed_strength, (_LATENT_CHANNELS, *shape))
        walk = Walk(sampler=request.sampler_name, steps=request.steps, after_step=on_step)
        pictures = _draw(loaded, request, noise, guidance, walk)
        return Drawing(
            images=tuple(
                resized(picture, loaded.enlarging, width=request.width, height=request.height)
                for picture in pictures
            ),
            seeds=seeds,
            subseeds=subseeds,
            notes=(
                *_notes(extra_networks),
                *loaded.encoder.notes(prompt),
                *loaded.encoder.notes(negative_prompt, name="negative prompt"),
            ),
            unknown_words=self.unknown_words(request.prompt),
        )

    def upscale(self, request: UpscaleRequest) -> Picture:
        """Resize one picture; see `Engine.upscale`."""
        return self._ready().upscaler.upscale(request)

    def interrogate(self, picture: Picture) -> str:
        """Raises `NotSupported`: the demo model has no captioner."""
        del picture
        raise NotSupported("interrogate is not supported by engine embedded", field="task")

    def info(self) -> EngineInfo:
        """The engine's name and its model."""
        model = self._ready().model
        return EngineInfo(name="embedded", model=model.name, model_hash=model.hash)

    def catalogue(self) -> Catalogue:
        """The one model, the samplers and upscalers, the largest size."""
        loaded = self._ready()
        return Catalogue(
            models=(loaded.model,),
            samplers=tuple(SAMPLERS),
            upscalers=loaded.upscaler.names,
            max_width=_MAX_SIDE,
            max_height=_MAX_SIDE,
        )

    def unknown_words(self, prompt: str) -> tuple[str, ...]:
        """Words of the prompt the model was never taught."""
        return self._words.unknown_in(prompt)

    def _ready(self) -> _Loaded:
        if self._loaded is None:
            raise NotReady("the embedded engine is not set up")
        return self._loaded


def _check(request: DrawRequest, model: Model) -> None:
    for field, side in (("width", request.width), ("height", request.height)):
        if not _MIN_SIDE <= side <= _MAX_SIDE:
            raise BadRequest(f"{field} must be {_MIN_SIDE} to {_MAX_SIDE} pixels", field=field)
    if request.sampler_name not in SAMPLERS:
        raise UnknownName("sampler", request.sampler_name, nearest=tuple(SAMPLERS)[:3], field="sampler_name")
    if request.model not in (None, model.name, f"{model.name} [{model.hash}]", model.hash):
        raise UnknownName("model", str(request.model), nearest=(model.name,), field="model")
    if len(request.init_images) not in (0, 1, request.batch_size):
        raise BadRequest("give one picture to start from, or one for each wanted", field="init_images")


def _draw(
    loaded: _Loaded,
    request: DrawRequest,
    noise: PictureNoise,
    guidance: Guidance,
    walk: Walk,
) -> list[Picture]:
    if not request.init_images:
        return to_pictures(loaded.networks.decode(loaded.diffusion.draw(noise, guidance, walk)))
    start = _read_init_images(request, native_shape(request.width, request.height))
    if request.denoising_strength <= 0:
        return to_pictures(start)
    latents = loaded.diffusion.redraw(
        loaded.networks.encode(start), noise, guidance, walk, strength=request.denoising_strength
    )
    return to_pictures(loaded.networks.decode(latents))


def _read_init_images(request: DrawRequest, shape: tuple[int, int]) -> Array:
    try:
        pictures = [read_picture(file, shape=shape) for file in request.init_images]
    except (OSError, ValueError) as error:
        raise BadRequest("the picture to start from does not decode", field="init_images") from error
    return np.concatenate(pictures * (request.batch_size // len(pictures)))


def _notes(extra_networks: tuple[str, ...]) -> tuple[str, ...]:
    if not extra_networks:
        return ()
    return (f"the demo model takes no extra networks; ignored {', '.join(extra_networks)}",)
