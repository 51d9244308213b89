"""stable-diffusion-webui's samplers, written over falling noise levels.

A denoiser answers, for `x` at a level sigma, its estimate of the picture `x0`, where `x` is
`x0 + sigma * noise`. Levels are plain floats and everything that differs between pictures lies in the batch
dimension, so a batch draws what single calls would. diffusers' scheduler classes are not used: several ignore
schedule, eta or generator without a word. Sources: k-diffusion `sampling.py` (MIT); Liu et al. 2022 (PLMS);
Lu et al. 2022 (DPM-Solver++); Xu et al. 2023 (Restart); Zhao et al. 2023 (UniPC); Luo et al. 2023 (LCM).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch

from container.diffusers_engine.sigmas import (
    SCHEDULES,
    Levels,
    NoiseLevels,
    Schedule,
    ddim,
    exponential,
    karras,
    karras_between,
    lcm,
    uniform,
)

Denoise = Callable[[torch.Tensor, float], torch.Tensor]
"""The estimate of x0 for x (n, channels, height, width) at a level."""

Noise = Callable[[], torch.Tensor]
"""Fresh noise of unit variance, one stream per picture of the batch."""

AfterStep = Callable[[int, int], None]
"""Called with steps done and steps in all; may raise to stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """What a sampler works with. `eta`: how much of each step is fresh noise, 1 being all there can be."""

    denoise: Denoise
    noise: Noise
    after_step: AfterStep
    eta: float

    def direction(self, x: torch.Tensor, sigma: float) -> torch.Tensor:
        """The noise in x by the denoiser's estimate: dx / dsigma of the probability-flow equation."""
        return (x - self.denoise(x, sigma)) / sigma


Method = Callable[[Walk, torch.Tensor, Levels], torch.Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampler:
    """A way from noise to a picture.

    `automatic`: webui's schedule for it. `schedules`: those it follows. `eta`: webui's default, None where
    the method has no use for it. `skips_second_last`: it leaves out the level before 0, for which the
    schedule is asked one step more. `batches`: pictures of several requests may be drawn with it in one go.
    """

    name: str
    method: Method
    automatic: Schedule
    schedules: tuple[str, ...] = tuple(SCHEDULES)
    eta: float | None = None
    skips_second_last: bool = False
    batches: bool = True

    def levels(self, model: NoiseLevels, schedule: str, steps: int) -> Levels:
        """The levels of so many steps by "Automatic" or one of `schedules`."""
        chosen = SCHEDULES.get(schedule, self.automatic)
        if not self.skips_second_last:
            return chosen(model, steps)
        longer = chosen(model, steps + 1)
        return [*longer[:-2], longer[-1]]


def euler(walk: Walk, x: torch.Tensor, levels: Levels) -> torch.Tensor:
    """Euler's method along the probability-flow equation."""
    for step in _steps(levels):
        x = _towards(walk.denoise(x, step.sigma), x, step.following / step.sigma)
        walk.after_step(step.number, step.total)
    return x


def euler_ancestral(walk: Walk, x: torch.Tensor, levels: Levels) -> torch.Tensor:
    """Euler steps below each level, then fresh noise up to it; over DDIM's levels this is DDIM with eta."""
    for step in _steps(levels):
        down, up = ancestral(step.sigma, step.following, walk.eta)
        x = _towards(walk.denoise(x, step.sigma), x, down / step.sigma)
        x = _noised(walk, x, up)
        walk.after_step(step.number, step.total)
    return x


def heun(walk: Walk, x: torch.Tensor, levels: Levels) -> torch.Tensor:
    """Heun's second-order method. Where the levels rise, fresh noise leads up (Restart)."""
    for step in _steps(levels):
        x = _noised(walk, x, math.sqrt(max(0.0, step.sigma**2 - step.reached**2)))
        direction = walk.direction(x, step.sigma)
        ahead = x + direction * (step.following - step.sigma)
        if step.following > 0:
            direction = (direction + walk.direction(ahead, step.following)) / 2
        x = x + direction * (step.following - step.sigma)
        walk.after_step(step.number, step.total)
    return x


def dpm_2(walk: Walk, x: torch.Tensor, levels: Levels) -> torch.Tensor:
    """Karras et al.'s DPM-Solver-2: the direction halfway down in log sigma."""
    for step in _steps(levels):
        x = _midpoint(walk, x, step.sigma, step.following)
        walk.after_step(step.number, step.total)
    return x


def dpm_2_ancestral(walk: Walk, x: torch.Tensor, levels: Levels) -> torch.Tensor:
    """As `dpm_2` below each level, then fresh noise up to it."""
    for step in _steps(levels):
        down, up = ancestral(step.sigma, step.following, walk.eta)
        x = _noised(walk, _midpoint(walk, x, step.sigma, down), up)
        walk.after_step(step.number, step.total)
    return x


def linear_multistep(walk: Walk, x: torch.Tensor, levels: Levels) -> torch.Tensor:
    """Adams-Bashforth of up to fourth order with the exact coefficients for uneven levels."""
    directions: list[torch.Tensor] = []
    for step in _steps(levels):
        directions = [*directions[-3:], walk.direction(x, step.sigma)]
        known = levels[step.number - len(directions) : step.number]
        for direction, factor in zip(directions, _adams(known, step.following), strict=True):
            x = x + direction * factor
        walk.after_step(step.number, step.total)
    return x


def plms(walk: Walk, x: torch.Tensor, levels: Levels) -> torch.Tensor:
    """Pseudo linear multistep of fourth order, as if the levels were even; Heun's method to begin with."""
    directions: list[torch.Tensor] = []
    for step in _steps(levels):
        direction = walk.direction(x, step.sigma)
        blended = _plms_blend([*directions, direction])
        if not directions and step.following > 0:
            ahead = x + direction * (step.following - step.sigma)
            blended = (direction + walk.direction(ahead, step.following)) / 2
        directions = [*directions[-2:], direction]
        x = x + blended * (step.following - step.sigma)
        walk.after_step(step.number, step.total)
    return x


def dpmpp_2m(walk: Walk, x: torch.Tensor, levels: Levels) -> torch.Tensor:
    """DPM-Solver++ of second order, multistep, in log sigma."""
    previous: torch.Tensor | None = None
    last_width = 0.0
    for step in _steps(levels):
        estimate = walk.denoise(x, step.sigma)
        blended = estimate
        if previous is not None and step.following > 0:
            blended = estimate + (estimate - previous) * (step.width / (2 * last_width))
        x = _towards(blended, x, step.following / step.sigma)
        previous, last_width = estimate, step.width
        walk.after_step(step.number, step.total)
    return x


def dpmpp_2s_ancestral(walk: Walk, x: torch.Tensor, levels: Levels) -> torch.Tensor:
    """DPM-Solver++ of second order, single step, below each level, then fresh noise up to it."""
    for step in _steps(levels):
        down, up = ancestral(step.sigma, step.following, walk.eta)
        estimate = walk.denoise(x, step.sigma)
        if down > 0:
            middle = math.sqrt(step.sigma * down)
            estimate = walk.denoise(_towards(estimate, x, middle / step.sigma), middle)
        x = _noised(walk, _towards(estimate, x, down / step.sigma), up)
        walk.after_step(step.number, step.total)
    return x


def dpmpp_sde(walk: Walk, x: torch.Tensor, levels: Levels) -> torch.Tensor:
    """DPM-Solver++ of second order, stochastic.

    The noise of the half step is part of the noise of the whole: both are increments of one Brownian motion
    in sigma, drawn from the picture's own stream.
    """
    for step in _steps(levels):
        estimate = walk.denoise(x, step.sigma)
        if step.following == 0:
            x = estimate
        else:
            middle = math.sqrt(step.sigma * step.following)
            first, whole = _brownian(walk, step.sigma, middle, step.following)
            down, up = ancestral(step.sigma, middle, walk.eta)
            halfway = _towards(estimate, x, down / step.sigma) + first * up
            estimate = walk.denoise(halfway, middle)
            down, up = ancestral(step.sigma, step.following, walk.eta)
            x = _towards(estimate, x, down / step.sigma) + whole * up
        walk.after_step(step.number, step.total)
    return x


def dpmpp_2m_sde(walk: Walk, x: torch.Tensor, levels: Levels) -> torch.Tensor:
    """DPM-Solver++ of second order, multistep, stochastic; the midpoint form."""
    return _dpmpp_2m_sde(walk, x, levels, correction=lambda gain, _width: gain / 2)


def dpmpp_2m_sde_heun(walk: Walk, x: torch.Tensor, levels: Levels) -> torch.Tensor:
    """As `dpmpp_2m_sde`, in Heun's form."""
    return _dpmpp_2m_sde(walk, x, levels, correction=lambda gain, width: 1 - gain / width)


def dpmpp_3m_sde(walk: Walk, x: torch.Tensor, levels: Levels) -> torch.Tensor:
    """DPM-Solver++ of third order, multistep, stochastic."""
    estimates: list[torch.Tensor] = []
    widths: list[float] = []
    for step in _steps(levels):
        estimates = [*estimates[-2:], walk.denoise(x, step.sigma)]
        widths = [*widths[-2:], step.width]
        if step.following == 0:
            x = estimates[-1]
        else:
            width = step.width * (1 + walk.eta)
            x = _towards(estimates[-1], x, math.exp(-width)) + _third_order(estimates, widths, width)
            x = _noised(walk, x, _fresh_share(step, walk.eta))
        walk.after_step(step.number, step.total)
    return x


def unipc(walk: Walk, x: torch.Tensor, levels: Levels) -> torch.Tensor:
    """UniPC of third order with B1: each new estimate first corrects the step that led to it."""
    estimates: list[torch.Tensor] = []
    before, order = x, 0
    for step in _steps(levels):
        estimate = walk.denoise(x, step.sigma)
        if estimates:
            known = levels[step.number - 1 - order : step.number - 1]
            x = _unipc_step(before, estimates[-order:], known, step.sigma, newest=estimate)
        estimates = [*estimates[-2:], estimate]
        # The last steps lower the order, as webui does, so that the way to 0 stays stable.
        order = min(3, len(estimates), step.total - step.number + 1)
        before = x
        x = _unipc_step(x, estimates[-order:], levels[step.number - order : step.number], step.following)
        walk.after_step(step.number, step.total)
    return x


def consistency(walk: Walk, x: torch.Tensor, levels: Levels) -> torch.Tensor:
    """The estimate itself, noised anew to each following level: for latent consistency models."""
    for step in _steps(levels):
        x = _noised(walk, walk.denoise(x, step.sigma), step.following)
        walk.after_step(step.number, step.total)
    return x


def restart(walk: Walk, x: torch.Tensor, levels: Levels) -> torch.Tensor:
    """Heun's method, with returns to higher levels on the way."""
    return heun(walk, x, with_returns(levels))


def with_returns(levels: Levels) -> Levels:
    """Restart's way down: Karras levels with one or two returns from 0.1 up to 2, where steps allow it.

    Of 20 steps and more nine, of 36 and more twice a quarter, go into the returns (webui's figures).
    """
    steps = len(levels) - 1
    if steps < 20:
        return levels
    returning, times = (9, 1) if steps < 36 else (steps // 4, 2)
    main = karras_between(levels[0], levels[-2], steps - returning * times)
    low = min(range(len(main)), key=lambda place: abs(main[place] - 0.1))
    high = min(range(len(main)), key=lambda place: abs(main[place] - 2))
    if high >= low or low == len(main) - 1:
        return levels
    again = karras_between(main[high], main[low], returning + 1)[:-1]
    return [*main[: low + 1], *again * times, *main[low + 1 :]]


def ancestral(sigma: float, following: float, eta: float) -> tuple[float, float]:
    """How far down to go without noise, and the noise that leads back up to the following level."""
    up = min(following, eta * math.sqrt(following**2 * (sigma**2 - following**2) / sigma**2))
    return math.sqrt(following**2 - up**2), up


class _Step(NamedTuple):
    number: int
    total: int
    reached: float
    sigma: float
    following: float

    @property
    def width(self) -> float:
        """In log sigma."""
        return math.log(self.sigma / self.following) if self.following > 0 else math.inf


def _steps(levels: Levels) -> list[_Step]:
    """The descents between levels; `reached` is the level the one before ended on."""
    downwards = [(high, low) for high, low in pairwise(levels) if low < high]
    reached = [levels[0], *(low for _, low in downwards)]
    return [
        _Step(number, len(downwards), reached[number - 1], high, low)
        for number, (high, low) in enumerate(downwards, start=1)
    ]


def _noised(walk: Walk, x: torch.Tensor, strength: float) -> torch.Tensor:
    return x + walk.noise() * strength if strength > 0 else x


def _towards(estimate: torch.Tensor, x: torch.Tensor, kept: float) -> torch.Tensor:
    """X with its noise scaled by `kept`, were the estimate of x0 right."""
    return x * kept + estimate * (1 - kept)


def _midpoint(walk: Walk, x: torch.Tensor, sigma: float, following: float) -> torch.Tensor:
    direction = walk.direction(x, sigma)
    if following > 0:
        middle = math.sqrt(sigma * following)
        direction = walk.direction(x + direction * (middle - sigma), middle)
    return x + direction * (following - sigma)


def _adams(known: Sequence[float], following: float) -> list[float]:
    """Integrals from the last known level to the following one of the Lagrange polynomials of all known."""
    factors = []
    for place, level in enumerate(known):
        others = [other for index, other in enumerate(known) if index != place]
        integral = np.polyint(np.poly1d(others, r=True) / math.prod(level - other for other in others))
        factors.append(float(integral(following) - integral(known[-1])))
    return factors


_PLMS = ((1.0,), (-1 / 2, 3 / 2), (5 / 12, -16 / 12, 23 / 12), (-9 / 24, 37 / 24, -59 / 24, 55 / 24))


def _plms_blend(directions: Sequence[torch.Tensor]) -> torch.Tensor:
    factors = _PLMS[len(directions) - 1]
    blended = directions[-1] * factors[-1]
    for direction, factor in zip(directions[:-1], factors[:-1], strict=True):
        blended = blended + direction * factor
    return blended


def _brownian(walk: Walk, sigma: float, middle: float, following: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Increments over the first part and over the whole way, each of unit variance."""
    first, second = walk.noise(), walk.noise()
    whole = sigma - following
    return first, first * math.sqrt((sigma - middle) / whole) + second * math.sqrt(
        (middle - following) / whole
    )


def _fresh_share(step: _Step, eta: float) -> float:
    return step.following * math.sqrt(-math.expm1(-2 * eta * step.width))


def _dpmpp_2m_sde(
    walk: Walk, x: torch.Tensor, levels: Levels, *, correction: Callable[[float, float], float]
) -> torch.Tensor:
    previous: torch.Tensor | None = None
    last_width = 0.0
    for step in _steps(levels):
        estimate = walk.denoise(x, step.sigma)
        if step.following == 0:
            x = estimate
        else:
            width = step.width * (1 + walk.eta)
            gain = -math.expm1(-width)
            x = _towards(estimate, x, math.exp(-width))
            if previous is not None:
                x = x + (estimate - previous) * (correction(gain, width) * step.width / last_width)
            x = _noised(walk, x, _fresh_share(step, walk.eta))
        previous, last_width = estimate, step.width
        walk.after_step(step.number, step.total)
    return x


def _third_order(estimates: Sequence[torch.Tensor], widths: Sequence[float], width: float) -> torch.Tensor:
    """What the estimates before the last add to a step of `width`; as many as there are."""
    if len(estimates) == 1:
        return torch.zeros_like(estimates[0])
    phi_2 = math.expm1(-width) / width + 1
    ratio = widths[-2] / widths[-1]
    slope = (estimates[-1] - estimates[-2]) / ratio
    if len(estimates) == 2:
        return slope * phi_2
    older = widths[-3] / widths[-1]
    bend = (slope - (estimates[-2] - estimates[-3]) / older) / (ratio + older)
    return (slope + bend * ratio) * phi_2 - bend * (phi_2 / width - 0.5)


def _unipc_step(
    x: torch.Tensor,
    estimates: Sequence[torch.Tensor],
    known: Sequence[float],
    following: float,
    *,
    newest: torch.Tensor | None = None,
) -> torch.Tensor:
    """From the last known level to the following one; with the estimate there, `newest`, as corrector.

    Zhao et al. 2023, equations 8 and 9, for data prediction with B(h) = h.
    """
    plain = _towards(estimates[-1], x, following / known[-1])
    if following == 0 or (len(estimates) == 1 and newest is None):
        return plain
    width = math.log(known[-1] / following)
    places = [math.log(known[-1] / level) / width for level in known[-2::-1]]
    slopes = [(older - estimates[-1]) / place for older, place in zip(estimates[-2::-1], places, strict=True)]
    if newest is not None:
        places, slopes = [*places, 1.0], [*slopes, newest - estimates[-1]]
    for slope, factor in zip(slopes, _unipc_factors(places, width), strict=True):
        plain = plain + slope * (width * factor)
    return plain


def _unipc_factors(places: Sequence[float], width: float) -> list[float]:
    """The weights that make the step exact for polynomials of the given order."""
    if len(places) == 1:
        return [0.5]  # webui and diffusers shorten the second order so
    phi = math.expm1(-width) / -width - 1
    rows, wanted = [], []
    for order in range(1, len(places) + 1):
        rows.append([place ** (order - 1) for place in places])
        wanted.append(phi * math.factorial(order) / -width)
        phi = phi / -width - 1 / math.factorial(order + 1)
    return [float(factor) for factor in np.linalg.solve(np.array(rows), np.array(wanted))]


SAMPLERS = {
    sampler.name: sampler
    for sampler in (
        Sampler(name="DPM++ 2M", method=dpmpp_2m, automatic=karras),
        Sampler(name="DPM++ SDE", method=dpmpp_sde, automatic=karras, eta=1.0, batches=False),
        Sampler(name="DPM++ 2M SDE", method=dpmpp_2m_sde, automatic=exponential, eta=1.0),
        Sampler(name="DPM++ 2M SDE Heun", method=dpmpp_2m_sde_heun, automatic=exponential, eta=1.0),
        Sampler(name="DPM++ 2S a", method=dpmpp_2s_ancestral, automatic=karras, eta=1.0),
        Sampler(
            name="DPM++ 3M SDE", method=dpmpp_3m_sde, automatic=exponential, eta=1.0, skips_second_last=True
        ),
        Sampler(name="Euler a", method=euler_ancestral, automatic=uniform, eta=1.0),
        Sampler(name="Euler", method=euler, automatic=uniform),
        Sampler(name="LMS", method=linear_multistep, automatic=uniform),
        Sampler(name="Heun", method=heun, automatic=uniform),
        Sampler(name="DPM2", method=dpm_2, automatic=karras, skips_second_last=True),
        Sampler(name="DPM2 a", method=dpm_2_ancestral, automatic=karras, eta=1.0, skips_second_last=True),
        Sampler(name="Restart", method=restart, automatic=karras, schedules=("Karras",)),
        Sampler(name="DDIM", method=euler_ancestral, automatic=ddim, eta=0.0),
        Sampler(name="PLMS", method=plms, automatic=ddim),
        Sampler(name="UniPC", method=unipc, automatic=uniform),
        Sampler(name="LCM", method=consistency, automatic=lcm),
    )
}
"""By webui's names. DPM fast and DPM adaptive choose levels of their own and are left out."""
