"""Samplers of stable-diffusion-webui on numpy.

All walk a falling list of noise levels sigma (k-diffusion's convention: a noised picture is
`x0 + sigma * noise`). A denoiser answers, for `x` at `sigma`, its estimate of `x0`. Sources: k-diffusion
`sampling.py` (MIT); Karras et al. 2022 (schedule, Euler); Song et al. 2020 (DDIM); Lu et al. 2022
(DPM-Solver++ 2M and 2S).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from container.graphs import Array

Denoise = Callable[[Array, float], Array]
"""The estimate of x0 for x (n, 4, h, w) at sigma."""

Noise = Callable[[], Array]
"""Fresh noise, one stream per picture of the batch."""

AfterStep = Callable[[int, int], None]
"""Called with steps done and steps in all; may raise to stop."""

TRAINED_STEPS = 1000


class NoiseSchedule:
    """Stable Diffusion 1.x's training noise: 1,000 timesteps and the sigma of each."""

    def __init__(self) -> None:
        betas = np.linspace(0.00085**0.5, 0.012**0.5, TRAINED_STEPS) ** 2
        signal = np.cumprod(1 - betas)
        self._sigmas = np.sqrt((1 - signal) / signal)
        self._log_sigmas = np.log(self._sigmas)

    def sigma(self, timestep: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """Sigma at a timestep in 0 .. 999, between two by log-linear interpolation."""
        return np.exp(np.interp(timestep, np.arange(TRAINED_STEPS), self._log_sigmas))

    def timestep(self, sigma: float) -> float:
        """The timestep whose sigma this is; the ends hold outside the trained range."""
        return float(np.interp(np.log(sigma), self._log_sigmas, np.arange(TRAINED_STEPS)))

    def uniform(self, steps: int) -> list[float]:
        """Sigmas at evenly spaced timesteps, then 0: webui's plain schedule."""
        timesteps = np.linspace(TRAINED_STEPS - 1, 0, steps) if steps > 1 else np.array([TRAINED_STEPS - 1.0])
        return [*self.sigma(timesteps).tolist(), 0.0]

    def karras(self, steps: int, *, rho: float = 7.0) -> list[float]:
        """Karras et al. 2022, equation 5, then 0."""
        low, high = self._sigmas[0] ** (1 / rho), self._sigmas[-1] ** (1 / rho)
        ramp = np.linspace(0, 1, steps)
        return [*((high + ramp * (low - high)) ** rho).tolist(), 0.0]

    def ddim(self, steps: int) -> list[float]:
        """Sigmas at DDIM's evenly strided timesteps (1, 1 + 1000 / steps, ...), falling, then 0."""
        stride = TRAINED_STEPS / steps
        timesteps = np.floor(np.arange(steps) * stride + 1).clip(max=TRAINED_STEPS - 1)[::-1]
        return [*self.sigma(timesteps).tolist(), 0.0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampler:
    """A way from noise to a picture: a list of sigmas, and a walk along it."""

    name: str
    sigmas: Callable[[NoiseSchedule, int], list[float]]
    walk: Callable[[Denoise, Array, Sequence[float], Noise, AfterStep], Array]


def euler(denoise: Denoise, x: Array, sigmas: Sequence[float], noise: Noise, after_step: AfterStep) -> Array:
    """Euler's method along the probability-flow equation; with DDIM's sigmas this is DDIM with eta 0."""
    del noise
    for step, (sigma, following) in enumerate(_pairs(sigmas), start=1):
        direction = (x - denoise(x, sigma)) / np.float32(sigma)
        x = x + direction * np.float32(following - sigma)
        after_step(step, len(sigmas) - 1)
    return x


def euler_ancestral(
    denoise: Denoise, x: Array, sigmas: Sequence[float], noise: Noise, after_step: AfterStep
) -> Array:
    """Euler steps below each level, then fresh noise up to it (eta 1)."""
    for step, (sigma, following) in enumerate(_pairs(sigmas), start=1):
        down, up = _ancestral(sigma, following)
        direction = (x - denoise(x, sigma)) / np.float32(sigma)
        x = x + direction * np.float32(down - sigma)
        if following > 0:
            x = x + noise() * np.float32(up)
        after_step(step, len(sigmas) - 1)
    return x


def dpm_solver_2m(
    denoise: Denoise, x: Array, sigmas: Sequence[float], noise: Noise, after_step: AfterStep
) -> Array:
    """DPM-Solver++ of second order, multistep, in log sigma."""
    del noise
    previous: Array | None = None
    last_width = 0.0
    for step, (sigma, following) in enumerate(_pairs(sigmas), start=1):
        estimate = denoise(x, sigma)
        width = float(np.log(sigma / following)) if following > 0 else np.inf
        if previous is None or following == 0:
            blended = estimate
        else:
            ratio = last_width / width
            blended = estimate * np.float32(1 + 1 / (2 * ratio)) - previous * np.float32(1 / (2 * ratio))
        x = x * np.float32(following / sigma) - blended * np.float32(np.expm1(-width))
        previous, last_width = estimate, width
        after_step(step, len(sigmas) - 1)
    return x


def dpm_solver_2s_ancestral(
    denoise: Denoise, x: Array, sigmas: Sequence[float], noise: Noise, after_step: AfterStep
) -> Array:
    """DPM-Solver++ of second order, single step, below each level, then fresh noise up to it (eta 1).

    Asks the denoiser twice a step but for the last: at the level, and halfway down in log sigma.
    """
    for step, (sigma, following) in enumerate(_pairs(sigmas), start=1):
        down, up = _ancestral(sigma, following)
        estimate = denoise(x, sigma)
        if down > 0:
            middle = (sigma * down) ** 0.5
            estimate = denoise(_towards(estimate, x, middle / sigma), middle)
        x = _towards(estimate, x, down / sigma)
        if following > 0:
            x = x + noise() * np.float32(up)
        after_step(step, len(sigmas) - 1)
    return x


def _ancestral(sigma: float, following: float) -> tuple[float, float]:
    """How far down to go without noise, and the noise that leads back up to the following level."""
    up = min(following, (following**2 * (sigma**2 - following**2) / sigma**2) ** 0.5)
    return (following**2 - up**2) ** 0.5, up


def _towards(estimate: Array, x: Array, kept: float) -> Array:
    """X with its noise scaled by `kept`, were the estimate of x0 right."""
    return x * np.float32(kept) + estimate * np.float32(1 - kept)


def _pairs(sigmas: Sequence[float]) -> list[tuple[float, float]]:
    return list(pairwise(sigmas))


SAMPLERS = {
    sampler.name: sampler
    for sampler in (
        Sampler(name="Euler", sigmas=NoiseSchedule.uniform, walk=euler),
        Sampler(name="Euler a", sigmas=NoiseSchedule.uniform, walk=euler_ancestral),
        Sampler(name="DDIM", sigmas=NoiseSchedule.ddim, walk=euler),
        Sampler(name="DPM++ 2M", sigmas=NoiseSchedule.karras, walk=dpm_solver_2m),
        Sampler(name="DPM++ 2S a", sigmas=NoiseSchedule.karras, walk=dpm_solver_2s_ancestral),
        Sampler(name="Euler Karras", sigmas=NoiseSchedule.karras, walk=euler),
        Sampler(name="Euler a Karras", sigmas=NoiseSchedule.karras, walk=euler_ancestral),
        Sampler(name="DPM++ 2M Karras", sigmas=NoiseSchedule.karras, walk=dpm_solver_2m),
        Sampler(name="DPM++ 2S a Karras", sigmas=NoiseSchedule.karras, walk=dpm_solver_2s_ancestral),
        Sampler(name="DPM++ 2M Uniform", sigmas=NoiseSchedule.uniform, walk=dpm_solver_2m),
        Sampler(name="DPM++ 2S a Uniform", sigmas=NoiseSchedule.uniform, walk=dpm_solver_2s_ancestral),
    )
}
"""By webui's names; a schedule of its own is joined to the name, as older versions wrote it. "DPM++ 2M"
and "DPM++ 2S a" alone mean Karras, as in webui."""
