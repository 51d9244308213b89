"""A model's UNet as the denoiser samplers walk with: guidance, prediction types, ControlNets, inpainting."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from container.diffusers_engine.control import Control, total
from container.diffusers_engine.loaded_model import Architecture, LoadedModel
from container.diffusers_engine.prompt_encoder import Conditioning
from container.diffusers_engine.sigmas import NoiseLevels

_AESTHETIC, _NEGATIVE_AESTHETIC = 6.0, 2.5
"""What SDXL's refiner is told about prompt and negative prompt (generative-models' defaults)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompts:
    """What steers a batch: one conditioning a picture on either side, and how strongly."""

    wanted: Sequence[Conditioning]
    unwanted: Sequence[Conditioning]
    scale: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a mask keeps: latents as they were where `mask` (1, 1, h, w) is 0."""

    latents: torch.Tensor
    mask: torch.Tensor

    def keep(self, latents: torch.Tensor) -> torch.Tensor:
        return latents * self.mask + self.latents * (1 - self.mask)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """Rows of one UNet call: prompts of equal length.

    `rows` says where their results go, `pictures` whose latents they see, `guided` which follow the prompt.
    """

    rows: torch.Tensor
    pictures: torch.Tensor
    guided: torch.Tensor
    states: torch.Tensor
    added: dict[str, torch.Tensor] | None


class Denoiser:
    """Answers the estimate of x0 for x at a level; what a `samplers.Walk` needs.

    `size` is (width, height) in pixels, which SDXL is told. `condition`: the five channels an inpainting UNet
    wants beside the latents. `progress`, from 0 to 1, says which ControlNets act; whoever walks keeps it.
    Prompts of unequal length are drawn in calls of their own, so what a picture becomes does not depend on
    what it is drawn together with.
    """

    def __init__(
        self,
        model: LoadedModel,
        levels: NoiseLevels,
        prompts: Prompts,
        *,
        size: tuple[int, int],
        controls: Sequence[Control] = (),
        condition: torch.Tensor | None = None,
        held: Held | None = None,
    ) -> None:
        self.progress = 0.0
        self._model = model
        self._levels = levels
        self._scale = prompts.scale
        self._controls = controls
        self._condition = condition
        self._held = held
        self._groups = _groups(model, prompts, size)

    def __call__(self, x: torch.Tensor, sigma: float) -> torch.Tensor:
        estimate = self._guided(x, sigma)
        return self._held.keep(estimate) if self._held else estimate

    def _guided(self, x: torch.Tensor, sigma: float) -> torch.Tensor:
        predicted = self._predict(x / math.sqrt(sigma**2 + 1), self._levels.timestep(sigma))
        if self._scale != 1:
            wanted, unwanted = predicted.chunk(2)
            predicted = unwanted + (wanted - unwanted) * self._scale
        if self._model.prediction_type == "v_prediction":
            return x / (sigma**2 + 1) - predicted * (sigma / math.sqrt(sigma**2 + 1))
        return x - predicted * sigma

    def _predict(self, latents: torch.Tensor, timestep: float) -> torch.Tensor:
        """What the UNet says of latents of unit variance, by row."""
        rows = len(latents) * (1 if self._scale == 1 else 2)
        predicted = torch.empty((rows, *latents.shape[1:]), device=latents.device)
        for group in self._groups:
            sample = latents[group.pictures].to(self._model.dtype)
            predicted[group.rows] = self._call(sample, timestep, group).float()
        return predicted

    def _call(self, sample: torch.Tensor, timestep: float, group: _Group) -> torch.Tensor:
        timesteps = torch.full((len(sample),), timestep, device=sample.device)
        residuals = total(
            [
                control.residuals(sample, timesteps, group.states, group.added, group.guided)
                for control in self._controls
                if control.acts_at(self.progress)
            ]
        )
        if self._condition is not None:
            sample = torch.cat([sample, self._condition.to(sample).expand(len(sample), -1, -1, -1)], dim=1)
        steered: dict[str, Any] = {}
        if residuals:
            steered["down_block_additional_residuals"] = residuals.down
            steered["mid_block_additional_residual"] = residuals.mid
        predicted: torch.Tensor = self._model.unet(
            sample,
            timesteps,
            encoder_hidden_states=group.states,
            added_cond_kwargs=group.added,
            return_dict=False,
            **steered,
        )[0]
        return predicted


def _groups(model: LoadedModel, prompts: Prompts, size: tuple[int, int]) -> list[_Group]:
    sides = (
        [(prompts.wanted, True)]
        if prompts.scale == 1
        else [(prompts.wanted, True), (prompts.unwanted, False)]
    )
    rows = [(picture, each, guided) for side, guided in sides for picture, each in enumerate(side)]
    by_length: dict[int, list[int]] = {}
    for row, (_, conditioning, _) in enumerate(rows):
        by_length.setdefault(conditioning.states.shape[1], []).append(row)
    return [_group(model, places, [rows[place] for place in places], size) for places in by_length.values()]


def _group(
    model: LoadedModel,
    places: Sequence[int],
    rows: Sequence[tuple[int, Conditioning, bool]],
    size: tuple[int, int],
) -> _Group:
    def indices(values: Sequence[Any]) -> torch.Tensor:
        return torch.tensor(values, device=model.device)

    return _Group(
        rows=indices(places),
        pictures=indices([picture for picture, _, _ in rows]),
        guided=indices([guided for _, _, guided in rows]),
        states=torch.cat([conditioning.states for _, conditioning, _ in rows]).to(model.dtype),
        added=_added(model, rows, size),
    )


def _added(
    model: LoadedModel, rows: Sequence[tuple[int, Conditioning, bool]], size: tuple[int, int]
) -> dict[str, torch.Tensor] | None:
    """SDXL's further conditions: the pooled prompt, and sizes: original, crop from the corner, target."""
    pooled = [conditioning.pooled for _, conditioning, _ in rows if conditioning.pooled is not None]
    if not pooled:
        return None
    width, height = size
    times = [
        (height, width, 0, 0, _AESTHETIC if guided else _NEGATIVE_AESTHETIC)
        if model.architecture is Architecture.SDXL_REFINER
        else (height, width, 0, 0, height, width)
        for _, _, guided in rows
    ]
    return {
        "text_embeds": torch.cat(pooled).to(model.dtype),
        "time_ids": torch.tensor(times, device=model.device, dtype=model.dtype),
    }
