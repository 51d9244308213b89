"""Noise by seed: every picture has its own stream, so that a batch draws what single calls would."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from container.serving.engine import DrawRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """Where one picture's noise comes from: `variation` of 0 to 1 leans it towards the subseed's."""

    seed: int
    subseed: int
    variation: float = 0.0


def seeds_of(request: DrawRequest) -> tuple[Seed, ...]:
    """One for each picture of the batch, by the rule of `DrawRequest`."""
    parts = (request.part(place, 1) for place in range(request.batch_size))
    return tuple(
        Seed(seed=part.seed, subseed=part.subseed, variation=part.subseed_strength) for part in parts
    )


class PictureNoise:
    """The noise of one batch, drawn on the CPU whatever the device: webui's "RNG: CPU".

    `shape` is one picture's: (channels, height, width).
    """

    def __init__(self, seeds: Sequence[Seed], shape: tuple[int, ...], device: torch.device) -> None:
        self._seeds = seeds
        self._streams = [_stream(each.seed) for each in seeds]
        self._shape = shape
        self._device = device

    def first(self) -> torch.Tensor:
        """The noise each picture starts from, (n, *shape)."""
        pairs = zip(self._seeds, self._streams, strict=True)
        return torch.stack([self._leaning(seed, self._normal(stream)) for seed, stream in pairs]).to(
            self._device
        )

    def fresh(self) -> torch.Tensor:
        """The next noise of every stream, (n, *shape)."""
        return torch.stack([self._normal(stream) for stream in self._streams]).to(self._device)

    def _leaning(self, seed: Seed, noise: torch.Tensor) -> torch.Tensor:
        if seed.variation <= 0:
            return noise
        return slerp(noise, self._normal(_stream(seed.subseed)), seed.variation)

    def _normal(self, stream: torch.Generator) -> torch.Tensor:
        return torch.randn(self._shape, generator=stream)


def slerp(low: torch.Tensor, high: torch.Tensor, share: float) -> torch.Tensor:
    """Between two noises, still of unit variance: spherical interpolation along the last dimension but one.

    The axis is webui's, so that its variations come out the same.
    """
    unit_low = low / torch.linalg.vector_norm(low, dim=1, keepdim=True)
    unit_high = high / torch.linalg.vector_norm(high, dim=1, keepdim=True)
    cosine = (unit_low * unit_high).sum(dim=1)
    if float(cosine.mean()) > 0.9995:
        return low * (1 - share) + high * share
    angle = torch.acos(cosine)[:, None]
    return (torch.sin((1 - share) * angle) * low + torch.sin(share * angle) * high) / torch.sin(angle)


def _stream(seed: int) -> torch.Generator:
    return torch.Generator("cpu").manual_seed(seed)
