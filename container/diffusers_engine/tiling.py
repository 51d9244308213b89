"""Pictures that continue on their opposite edge."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn


@contextmanager
def tiled(*networks: Any) -> Iterator[None]:
    """Let every convolution look around the edges while inside; afterwards each pads as it did before.

    Not for use from two threads at once.
    """
    convolutions = [
        module for network in networks for module in network.modules() if isinstance(module, nn.Conv2d)
    ]
    before = [convolution.padding_mode for convolution in convolutions]
    try:
        for convolution in convolutions:
            convolution.padding_mode = "circular"
        yield
    finally:
        for convolution, mode in zip(convolutions, before, strict=True):
            convolution.padding_mode = mode
