"""Noise levels: a model's own, and stable-diffusion-webui's schedules through them.

A level is a sigma in k-diffusion's convention: a noised picture is `x0 + sigma * noise`. Sources: k-diffusion
`sampling.py` and `external.py` (MIT); Karras et al. 2022; Sabour et al. 2024 (Align Your Steps, KL Optimal);
Lee et al. 2024 (Beta); the names and defaults of webui 1.10.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Levels = list[float]
"""Falling noise levels, the last 0: one more than there are steps."""

_FAINTEST_SIGNAL = 4.8973451890853435e-08
"""What is left of the picture at the last timestep of a zero-terminal-SNR model, whose sigma would otherwise
be infinite; webui's figure."""


class NoiseLevels:
    """The timesteps a model was trained on, and the sigma of each.

    `signal`: its cumulated alphas, from the clearest timestep to the noisiest.
    """

    def __init__(self, signal: Sequence[float], *, is_sdxl: bool = False) -> None:
        kept = np.maximum(np.asarray(signal, dtype=np.float64), _FAINTEST_SIGNAL)
        self.sigmas: NDArray[np.float64] = np.sqrt((1 - kept) / kept)
        self.is_sdxl = is_sdxl
        self._log_sigmas = np.log(self.sigmas)
        self._timesteps = np.arange(len(kept), dtype=np.float64)

    @property
    def lowest(self) -> float:
        return float(self.sigmas[0])

    @property
    def highest(self) -> float:
        return float(self.sigmas[-1])

    def sigma(self, timesteps: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sigmas at timesteps, between two by log-linear interpolation."""
        return np.exp(np.interp(timesteps, self._timesteps, self._log_sigmas))

    def timestep(self, sigma: float) -> float:
        """The timestep whose sigma this is; the ends hold outside the trained range."""
        return float(np.interp(np.log(sigma), self._log_sigmas, self._timesteps))


Schedule = Callable[[NoiseLevels, int], Levels]
"""The levels for a number of steps of at least 1."""


def uniform(model: NoiseLevels, steps: int) -> Levels:
    """Evenly spaced timesteps, from the last to the first."""
    return _at(model, np.linspace(len(model.sigmas) - 1, 0, steps))


def karras(model: NoiseLevels, steps: int) -> Levels:
    """Karras et al. 2022, equation 5, with rho 7."""
    return karras_between(model.highest, model.lowest, steps)


def karras_between(highest: float, lowest: float, steps: int) -> Levels:
    """As `karras`, from one level down to another, then 0."""
    high, low = highest ** (1 / 7), lowest ** (1 / 7)
    return _to_zero((high + np.linspace(0, 1, steps) * (low - high)) ** 7)


def exponential(model: NoiseLevels, steps: int) -> Levels:
    """Evenly spaced logarithms; webui's Polyexponential with its exponent of 1 is the same."""
    return _to_zero(np.exp(np.linspace(np.log(model.highest), np.log(model.lowest), steps)))


def sgm_uniform(model: NoiseLevels, steps: int) -> Levels:
    """Evenly spaced timesteps that stop one short of the first, as Stability's generative-models has them."""
    return _at(model, np.linspace(len(model.sigmas) - 1, 0, steps + 1)[:-1])


def kl_optimal(model: NoiseLevels, steps: int) -> Levels:
    """Evenly spaced arc tangents."""
    return _to_zero(np.tan(np.linspace(np.arctan(model.highest), np.arctan(model.lowest), steps)))


_ALIGNED_SD1 = (14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029)
_ALIGNED_SDXL = (14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029)


def align_your_steps(model: NoiseLevels, steps: int) -> Levels:
    """The published levels for Stable Diffusion 1.5 or XL, between two by log-linear interpolation."""
    published = np.log(_ALIGNED_SDXL if model.is_sdxl else _ALIGNED_SD1)
    places = np.linspace(0, len(published) - 1, steps)
    return _to_zero(np.exp(np.interp(places, np.arange(len(published)), published)))


def simple(model: NoiseLevels, steps: int) -> Levels:
    """Every n-th trained level, counted from the noisiest."""
    places = (np.arange(steps) * (len(model.sigmas) / steps)).astype(int)
    return _to_zero(model.sigmas[::-1][places])


def ddim(model: NoiseLevels, steps: int) -> Levels:
    """DDIM's evenly strided timesteps, 1 and every (1000 / steps)-th after it, falling."""
    trained = len(model.sigmas)
    places = np.minimum(np.floor(np.arange(steps) * (trained / steps)) + 1, trained - 1).astype(int)
    return _to_zero(model.sigmas[places[::-1]])


def beta(model: NoiseLevels, steps: int) -> Levels:
    """Quantiles of the beta distribution (0.6, 0.6) between the trained ends."""
    shares = _beta_quantiles(1 - np.linspace(0, 1, steps))
    return _to_zero(model.lowest + shares * (model.highest - model.lowest))


def lcm(model: NoiseLevels, steps: int) -> Levels:
    """Evenly spaced among the 50 timesteps that latent consistency models are distilled on."""
    trained = len(model.sigmas)
    return _at(model, np.linspace(trained - 1, trained // 50 - 1, steps))


SCHEDULES: dict[str, Schedule] = {
    "Uniform": uniform,
    "Karras": karras,
    "Exponential": exponential,
    "Polyexponential": exponential,
    "SGM Uniform": sgm_uniform,
    "KL Optimal": kl_optimal,
    "Align Your Steps": align_your_steps,
    "Simple": simple,
    "Normal": uniform,
    "DDIM": ddim,
    "Beta": beta,
}
"""By webui's names. All end at 0: webui's own KL Optimal and its DDIM stop at the lowest trained level."""


def _at(model: NoiseLevels, timesteps: NDArray[np.float64]) -> Levels:
    return _to_zero(model.sigma(timesteps))


def _to_zero(sigmas: NDArray[np.float64]) -> Levels:
    return [*map(float, sigmas), 0.0]


def _beta_quantiles(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse of the cumulated beta density with both parameters 0.6.

    With x = sin^2 the density is flat enough for the trapezoid rule.
    """
    angles = np.linspace(0, np.pi / 2, 20_001)
    density = (np.sin(angles) * np.abs(np.cos(angles))) ** 0.2
    mass = np.concatenate([[0.0], np.cumsum(density[1:] + density[:-1])])
    quantiles: NDArray[np.float64] = np.interp(shares, mass / mass[-1], np.sin(angles) ** 2)
    return quantiles
