"""Latent diffusion: noise and a prompt to latents."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from container.embedded.networks import Networks
from container.embedded.noise import PictureNoise
from container.embedded.samplers import SAMPLERS, AfterStep, Denoise, NoiseSchedule
from container.graphs import Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Guidance:
    """What steers the denoiser: hidden states of both prompts, (1, tokens, width) each, and how strongly."""

    prompt: Array
    negative_prompt: Array
    scale: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """How to denoise: one of `SAMPLERS` by name, how many steps, and whom to tell after each."""

    sampler: str
    steps: int
    after_step: AfterStep


class Diffusion:
    """Draws latents with a UNet that predicts noise."""

    def __init__(self, networks: Networks) -> None:
        self._networks = networks
        self._schedule = NoiseSchedule()

    def draw(self, noise: PictureNoise, guidance: Guidance, walk: Walk) -> Array:
        """Latents from pure noise."""
        sampler = SAMPLERS[walk.sampler]
        sigmas = sampler.sigmas(self._schedule, walk.steps)
        start = noise.draw() * np.float32(sigmas[0])
        return sampler.walk(self._denoiser(guidance), start, sigmas, noise.draw, walk.after_step)

    def redraw(
        self, latents: Array, noise: PictureNoise, guidance: Guidance, walk: Walk, *, strength: float
    ) -> Array:
        """Latents that keep what `strength` (above 0, to 1) leaves of the given ones.

        Walks only the last `strength` of the steps, at least one.
        """
        sampler = SAMPLERS[walk.sampler]
        kept = max(1, round(walk.steps * min(strength, 1.0)))
        sigmas = sampler.sigmas(self._schedule, walk.steps)[-kept - 1 :]
        start = latents + noise.draw() * np.float32(sigmas[0])
        return sampler.walk(self._denoiser(guidance), start, sigmas, noise.draw, walk.after_step)

    def _denoiser(self, guidance: Guidance) -> Denoise:
        def denoise(x: Array, sigma: float) -> Array:
            scaled = x / np.float32((sigma**2 + 1) ** 0.5)
            predicted = self._guided(scaled, self._schedule.timestep(sigma), guidance)
            return x - predicted * np.float32(sigma)

        return denoise

    def _guided(self, latents: Array, timestep: float, guidance: Guidance) -> Array:
        count = len(latents)
        if guidance.scale == 1:
            return self._networks.predict_noise(latents, timestep, guidance.prompt.repeat(count, axis=0))
        context = np.concatenate([guidance.negative_prompt, guidance.prompt]).repeat(count, axis=0)
        both = self._networks.predict_noise(np.concatenate([latents, latents]), timestep, context)
        without, wanted = both[:count], both[count:]
        return without + (wanted - without) * np.float32(guidance.scale)
