"""Noise by seed: every picture has its own stream, so that a batch draws what single calls would."""

from __future__ import annotations

import numpy as np

from container.graphs import Array

SEEDS = 2**32


class PictureNoise:
    """The noise of one batch.

    Each picture's noise may lean towards its subseed's: at strength 1 it is the subseed's own picture. The
    first noise leans as in webui's variations. The later noise of ancestral samplers leans too, which webui's
    does not: it decides more of this small model's picture than the first noise, and varied pictures could
    come out the same.
    """

    def __init__(
        self,
        seeds: tuple[int, ...],
        subseeds: tuple[int, ...],
        subseed_strength: float,
        shape: tuple[int, ...],
    ) -> None:
        self._streams = _streams(seeds)
        self._others = _streams(subseeds) if subseed_strength > 0 else ()
        self._strength = subseed_strength
        self._shape = shape

    def draw(self) -> Array:
        """The next noise of every picture, (n, *shape): at first what it starts from."""
        base = self._normal(self._streams)
        if not self._others:
            return base
        leaning = self._normal(self._others)
        return np.stack([slerp(a, b, self._strength) for a, b in zip(base, leaning, strict=True)])

    def _normal(self, streams: tuple[np.random.Generator, ...]) -> Array:
        return np.stack([stream.standard_normal(self._shape, dtype=np.float32) for stream in streams])


def batch_seeds(
    seed: int, subseed: int, subseed_strength: float, batch_size: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Seeds and subseeds of a batch: they count up by one, the seed only where no variation is asked for."""
    step = 0 if subseed_strength > 0 else 1
    seeds = tuple((seed + step * index) % SEEDS for index in range(batch_size))
    return seeds, tuple((subseed + index) % SEEDS for index in range(batch_size))


def slerp(low: Array, high: Array, share: float) -> Array:
    """Spherical interpolation: noise between two noises that is still of unit variance."""
    cosine = float((low * high).sum() / (np.linalg.norm(low) * np.linalg.norm(high)))
    if abs(cosine) > 0.9995:
        return (low * np.float32(1 - share) + high * np.float32(share)).astype(np.float32)
    angle = np.arccos(cosine)
    parts = np.sin((1 - share) * angle) / np.sin(angle), np.sin(share * angle) / np.sin(angle)
    return low * np.float32(parts[0]) + high * np.float32(parts[1])


def _streams(seeds: tuple[int, ...]) -> tuple[np.random.Generator, ...]:
    return tuple(np.random.Generator(np.random.PCG64(seed)) for seed in seeds)
