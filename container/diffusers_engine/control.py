"""ControlNet units as webui's extension has them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from container.diffusers_engine.edges import edge_map
from container.diffusers_engine.pictures import fitted, read_picture
from container.serving.engine import ControlUnit
from container.serving.errors import NotSupported

BALANCED, PROMPT_FIRST, CONTROL_FIRST = range(3)
"""webui's `control_mode`."""

_SOFTER = 0.825
"""How much less each earlier residual counts where prompt or ControlNet goes first (the extension's)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Residuals:
    """What ControlNets add to a UNet: one tensor for each skip connection, and one for its middle."""

    down: tuple[torch.Tensor, ...]
    mid: torch.Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """One unit ready to steer: its network and its map, (1, 3, height, width) in 0 .. 1."""

    network: Any
    map: torch.Tensor
    unit: ControlUnit

    def acts_at(self, progress: float) -> bool:
        """Whether it steers at that share of the steps."""
        return self.unit.start <= progress <= self.unit.end

    def residuals(
        self,
        sample: torch.Tensor,
        timesteps: torch.Tensor,
        states: torch.Tensor,
        added: dict[str, torch.Tensor] | None,
        guided: torch.Tensor,
    ) -> Residuals:
        """For rows of `sample`, of which `guided` says which follow the prompt and not its opposite."""
        down, mid = self.network(
            sample,
            timesteps,
            encoder_hidden_states=states,
            controlnet_cond=self.map.to(sample).expand(len(sample), -1, -1, -1),
            added_cond_kwargs=added,
            return_dict=False,
        )
        scales = self._scales(len(down) + 1)
        rows = guided.to(sample)[:, None, None, None] if self.unit.control_mode == CONTROL_FIRST else 1.0
        scaled = [each * (scale * rows) for each, scale in zip([*down, mid], scales, strict=True)]
        return Residuals(down=tuple(scaled[:-1]), mid=scaled[-1])

    def _scales(self, count: int) -> list[float]:
        if self.unit.control_mode == BALANCED:
            return [self.unit.weight] * count
        return [self.unit.weight * _SOFTER ** (count - 1 - place) for place in range(count)]


def total(several: Sequence[Residuals]) -> Residuals | None:
    """The sum of what several units add; None of none."""
    if not several:
        return None
    down = tuple(sum(each[1:], each[0]) for each in zip(*(one.down for one in several), strict=True))
    return Residuals(down=down, mid=sum((one.mid for one in several[1:]), several[0].mid))


def control_map(unit: ControlUnit, size: tuple[int, int]) -> torch.Tensor:
    """The unit's map at (width, height).

    Raises `NotSupported` for a module that is not one of `MODULES`.
    """
    make = MODULES.get(unit.module.lower())
    if make is None:
        offer = ", ".join(MODULES)
        raise NotSupported(
            f"ControlNet module {unit.module[:40]!r} is not in this engine; it has {offer}: "
            "send the finished map with module none",
            field="module",
        )
    image = fitted(make(read_picture(unit.image, field="image")), size, unit.resize_mode)
    return torch.from_numpy(np.array(image, dtype=np.float32) / 255).permute(2, 0, 1)[None]


def _as_it_is(image: Image.Image) -> Image.Image:
    return image


def _inverted(image: Image.Image) -> Image.Image:
    return Image.eval(image, lambda level: 255 - level)


MODULES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "none": _as_it_is,
    "invert": _inverted,
    "canny": edge_map,
}
