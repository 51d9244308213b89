"""The project's own upscaler: a tiny network for drawn art, on ONNX Runtime and any CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from container.graphs import Array, Graph
from container.serving.engine import Picture, UpscaleRequest
from container.upscaling.tiles import enlarged
from container.weights import read_tensors

NAME = "Tiny 4x"


class TinyNetwork:
    """Implements `container.upscaling.tiles.Network` with Real-ESRGAN's compact architecture.

    Raises `OSError` or `ValueError` where its two files are missing or damaged.
    """

    factor = 4
    context = 10
    """Ten 3x3 convolutions, one after the other."""

    def __init__(self, folder: Path | None = None, *, threads: int = 2) -> None:
        folder = folder or Path(__file__).parent
        weights = read_tensors(folder / "tiny_4x.safetensors")
        self._graph = Graph(folder / "tiny_4x.onnx", weights, prefix="body.", threads=threads)

    def __call__(self, pictures: Array, /) -> Array:
        return self._graph.run(pictures=pictures.astype(np.float32, copy=False))


class TinyUpscaler:
    """Implements `container.serving.engine.Upscaler` with one network."""

    def __init__(self, network: TinyNetwork) -> None:
        self._network = network

    @property
    def names(self) -> tuple[str, ...]:
        return (NAME,)

    def upscale(self, request: UpscaleRequest) -> Picture:
        """The picture at exactly the size asked for."""
        return enlarged(request.picture, self._network, width=request.width, height=request.height)
