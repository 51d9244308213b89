"""Noise by seed: every picture has its own stream, so that a batch draws what single calls would."""

from __future__ import annotations

import numpy as np

from container.graphs import Array

SEEDS = 2**32


class PictureNoise:
    """The noise of one batch.

    Each picture's first noise may lean towards its subseed's, as in webui's variations.
    """

    def __init__(
        self,
        seeds: tuple[int, ...],
        subseeds: tuple[int, ...],
        subseed_strength: float,
        shape: tuple[int, ...],
    ) -> None:
        self._streams = [np.random.Generator(np.random.PCG64(seed)) for seed in seeds]
        self._subseeds = subseeds
        self._strength = subseed_strength
        self._shape = shape

    def first(self) -> Array:
        """The noise a picture starts from, (n, *shape)."""
        base = self.fresh()
        if self._strength <= 0:
            return base
        others = [np.random.Generator(np.random.PCG64(seed)) for seed in self._subseeds]
        leaning = [_normal(stream, self._shape) for stream in others]
        return np.stack([slerp(a, b, self._strength) for a, b in zip(base, leaning, strict=True)])

    def fresh(self) -> Array:
        """The next noise of every stream, (n, *shape)."""
        return np.stack([_normal(stream, self._shape) for stream in self._streams])


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


def _normal(stream: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return stream.standard_normal(shape, dtype=np.float32)
