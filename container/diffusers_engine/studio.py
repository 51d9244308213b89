"""A loaded model at work: from requests that may be drawn together to their pictures."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace

import torch
from PIL import Image

from container.diffusers_engine.autoencoder import Autoencoder
from container.diffusers_engine.control import Control, control_map
from container.diffusers_engine.denoising import Denoiser, Prompts
from container.diffusers_engine.extra_networks import ReadPrompt, read_prompt
from container.diffusers_engine.hires import enlarged
from container.diffusers_engine.loaded_model import Architecture, LoadedModel, ModelSource
from container.diffusers_engine.noise import PictureNoise, seeds_of
from container.diffusers_engine.pictures import resized
from container.diffusers_engine.prompt_encoder import PromptEncoder
from container.diffusers_engine.samplers import SAMPLERS, AfterStep, Sampler, Walk
from container.diffusers_engine.sigmas import Levels, NoiseLevels
from container.diffusers_engine.sizes import Size, drawn_size, latent_size, second_size
from container.diffusers_engine.starts import Start, nothing_kept, start_of
from container.diffusers_engine.tiling import tiled
from container.serving.engine import (
    LATENT_UPSCALERS,
    Drawing,
    DrawRequest,
    Hires,
    OnStep,
    Picture,
    Upscaler,
    UpscaleRequest,
)

_LATENT_CHANNELS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class _Texts:
    """What one request asks for in words, and how many of its pictures are drawn from them."""

    wanted: ReadPrompt
    unwanted: ReadPrompt
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pass:
    """One walk from noise, or from noise over latents, down the levels."""

    size: Size
    sampler: Sampler
    levels: Levels
    scale: float
    texts: Sequence[_Texts]
    start: Start

    @property
    def steps(self) -> int:
        return max(0, len(self.levels) - 1)


class Studio:
    """Draws with one model. `requests` agree on everything but prompts, seeds and pictures to start from."""

    def __init__(
        self, model: LoadedModel, source: ModelSource, upscaler: Upscaler, requests: Sequence[DrawRequest]
    ) -> None:
        first = requests[0]
        vae = source.vae(first.vae, model) if first.vae else model.vae
        self._model = model
        self._source = source
        self._upscaler = upscaler
        self._requests = requests
        self._common = first
        self._autoencoder = Autoencoder(model, vae, tiling=first.tiling)
        self._encoder = PromptEncoder(model, source.embeddings(model), clip_skip=first.clip_skip)
        is_xl = model.architecture is Architecture.SDXL
        self._noise_levels = NoiseLevels(model.alphas_cumprod.tolist(), is_sdxl=is_xl)
        self._lora_notes: tuple[str, ...] = ()
        self._takes_condition = model.unet.config.in_channels != _LATENT_CHANNELS
        self._seeds = tuple(seed for request in requests for seed in seeds_of(request))

    def draw(self, on_step: OnStep) -> tuple[Drawing, ...]:
        """One drawing for each request, in order."""
        with torch.inference_mode():
            first = self._first_pass()
            second = self._second_pass(first, self._common.hires) if self._common.hires else None
            progress = _Progress(on_step, first.steps + (second.steps if second else 0))
            latents = self._walk(first, progress)
            last = first
            if second and self._common.hires:
                latents = self._enlarged(latents, self._common.hires, second.size)
                last = replace(second, start=replace(second.start, latents=latents))
                latents = self._walk(last, progress) if last.steps else latents
            pictures = [last.start.finish(picture) for picture in self._autoencoder.decode(latents)]
        return tuple(self._drawings(pictures, first.texts))

    def _first_pass(self) -> _Pass:
        request, sampler = self._common, SAMPLERS[self._common.sampler_name]
        size = drawn_size((request.width, request.height), native_side=self._model.native_side)
        start = start_of(
            self._requests,
            size,
            self._autoencoder,
            takes_condition=self._takes_condition,
            noise=lambda: self._noise(size).first(),
        )
        levels = sampler.levels(self._noise_levels, request.schedule, request.steps)
        if start.latents is not None:
            levels = last_levels(levels, request.denoising_strength)
        texts = [_texts(each) for each in self._requests]
        return _Pass(
            size=size, sampler=sampler, levels=levels, scale=request.cfg_scale, texts=texts, start=start
        )

    def _second_pass(self, first: _Pass, hires: Hires) -> _Pass:
        """The second pass of hires fix, but for the latents it starts from."""
        request, final = self._common, (hires.width, hires.height)
        sampler = SAMPLERS[hires.sampler_name] if hires.sampler_name else first.sampler
        levels: Levels = []
        if hires.denoising_strength > 0:
            steps = hires.steps or request.steps
            total = int(steps / min(hires.denoising_strength, 0.999))
            whole = sampler.levels(self._noise_levels, hires.schedule or request.schedule, total)
            levels = whole[-steps - 1 :]
        size = second_size(first.size, (request.width, request.height), final)
        return _Pass(
            size=size,
            sampler=sampler,
            levels=levels,
            scale=request.cfg_scale if hires.cfg_scale is None else hires.cfg_scale,
            texts=[_texts(_with_prompts_of(hires, request))],
            start=Start(
                finish=lambda picture: resized(picture, final),
                condition=nothing_kept(size, self._autoencoder) if self._takes_condition else None,
            ),
        )

    def _walk(self, this: _Pass, progress: _Progress) -> torch.Tensor:
        self._lora_notes += self._source.use_loras(self._model, this.texts[0].wanted.loras)
        denoiser = Denoiser(
            self._model,
            self._noise_levels,
            self._prompts(this),
            size=this.size,
            controls=self._controls(this.size),
            condition=this.start.condition,
            held=this.start.held,
        )
        noise = self._noise(this.size)
        eta = self._common.eta if self._common.eta is not None else this.sampler.eta
        walk = Walk(
            denoise=denoiser,
            noise=noise.fresh,
            after_step=progress.of(denoiser, this.steps),
            eta=eta or 0.0,
        )
        x = noise.first() * this.levels[0]
        if this.start.latents is not None:
            x = x + this.start.latents
        with tiled(self._model.unet) if self._common.tiling else nullcontext():
            latents = this.sampler.method(walk, x, this.levels)
        return this.start.held.keep(latents) if this.start.held else latents

    def _prompts(self, this: _Pass) -> Prompts:
        wanted = [self._encoder.encode(texts.wanted.words) for texts in this.texts]
        unwanted = [self._encoder.encode_negative(texts.unwanted.words) for texts in this.texts]
        counts = [texts.count for texts in this.texts]
        return Prompts(
            wanted=[each for each, count in zip(wanted, counts, strict=True) for _ in range(count)],
            unwanted=[each for each, count in zip(unwanted, counts, strict=True) for _ in range(count)],
            scale=this.scale,
        )

    def _controls(self, size: Size) -> list[Control]:
        return [
            Control(
                network=self._source.controlnet(unit.model, self._model),
                map=control_map(unit, size),
                unit=unit,
            )
            for unit in self._common.controls
        ]

    def _noise(self, size: Size) -> PictureNoise:
        width, height = latent_size(size)
        return PictureNoise(self._seeds, (_LATENT_CHANNELS, height, width), self._model.device)

    def _enlarged(self, latents: torch.Tensor, hires: Hires, size: Size) -> torch.Tensor:
        if hires.upscaler_name in LATENT_UPSCALERS:
            return enlarged(latents, latent_size(size), hires.upscaler_name)
        larger = [
            self._upscaler.upscale(
                UpscaleRequest(
                    picture=picture, upscaler_name=hires.upscaler_name, width=size[0], height=size[1]
                )
            )
            for picture in self._autoencoder.decode(latents)
        ]
        return self._autoencoder.encode([Image.fromarray(picture) for picture in larger])

    def _drawings(self, pictures: Sequence[Picture], texts: Sequence[_Texts]) -> list[Drawing]:
        drawings, first = [], 0
        for request, its in zip(self._requests, texts, strict=True):
            last = first + request.batch_size
            seeds = self._seeds[first:last]
            drawings.append(
                Drawing(
                    images=tuple(pictures[first:last]),
                    seeds=tuple(seed.seed for seed in seeds),
                    subseeds=tuple(seed.subseed for seed in seeds),
                    notes=self._notes(request, its),
                )
            )
            first = last
        return drawings

    def _notes(self, request: DrawRequest, texts: _Texts) -> tuple[str, ...]:
        """Each once: what a request asks for that has no effect, and prompts of more than one chunk."""
        notes = [*texts.wanted.notes, *texts.unwanted.notes, *self._lora_notes]
        notes += self._encoder.notes(texts.wanted.words)
        notes += self._encoder.notes(texts.unwanted.words, name="negative prompt")
        if texts.unwanted.loras:
            notes.append("a LoRA in the negative prompt has no effect: name it in the prompt")
        if request.eta is not None and SAMPLERS[request.sampler_name].eta is None:
            notes.append(f"eta had no effect with sampler {request.sampler_name}")
        if request.clip_skip > 2 and self._encoder.has_fixed_layer:
            notes.append("clip_skip had no effect: SDXL models always draw from the last layer but one")
        return tuple(dict.fromkeys(notes))


class _Progress:
    """Tells the steps of one or two passes as those of one drawing."""

    def __init__(self, on_step: OnStep, steps: int) -> None:
        self._on_step = on_step
        self._steps = steps
        self._done = 0

    def of(self, denoiser: Denoiser, steps: int) -> AfterStep:
        """What a pass of so many steps calls after each; the denoiser is told how far the pass is, too."""

        def after_step(done: int, _steps: int) -> None:
            denoiser.progress = done / steps
            self._done += 1
            self._on_step(self._done, self._steps)

        return after_step


def last_levels(levels: Levels, strength: float) -> Levels:
    """The levels that a picture left by `strength`, 0 to 1, walks: webui's count of steps, at least one."""
    steps = len(levels) - 1
    return levels[-int(min(strength, 0.999) * steps) - 2 :]


def _texts(request: DrawRequest) -> _Texts:
    return _Texts(
        wanted=read_prompt(request.prompt),
        unwanted=read_prompt(request.negative_prompt),
        count=request.batch_size,
    )


def _with_prompts_of(hires: Hires, request: DrawRequest) -> DrawRequest:
    return replace(
        request,
        prompt=request.prompt if hires.prompt is None else hires.prompt,
        negative_prompt=request.negative_prompt if hires.negative_prompt is None else hires.negative_prompt,
    )
