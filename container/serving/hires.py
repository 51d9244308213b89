"""webui's "hires fix": a second, larger pass over what the first has drawn."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from container.serving.engine import LATENT_UPSCALERS, Catalogue, Hires
from container.serving.errors import BadRequest
from container.serving.names import find_name
from container.serving.samplers import choose_sampler
from container.serving.settings import Limits
from container.serving.webui_fields import (
    Field,
    Used,
    integer,
    number,
    optional_text,
    read_used,
    side,
    without_effect,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Passes:
    """The size of the first pass in pixels, the second pass if there is one, and notes about it."""

    width: int
    height: int
    hires: Hires | None = None
    notes: tuple[str, ...] = ()


def parse_passes(
    payload: Mapping[str, Any], values: Mapping[str, Any], *, catalogue: Catalogue, limits: Limits
) -> Passes:
    """Read the fields of the second pass where `values` enable one.

    `values`: the payload's fields outside it. Raises `BadRequest` naming the field, or `UnknownName`.
    """
    width, height = values["width"], values["height"]
    if not values.get("enable_hr"):
        return Passes(width=width, height=height)
    asked = read_used(payload, _fields(limits))
    if asked["firstphase_width"] or asked["firstphase_height"]:
        first, target = _first_phase(asked, width, height, limits=limits), (width, height)
    else:
        first, target = (width, height), _target(asked, width, height)
    _check_size(*target, asked, catalogue=catalogue, limits=limits)
    return _passes(first, target, asked, values, catalogue)


def _fields(limits: Limits) -> dict[str, Field]:
    pixels = integer(0, limits.max_side)
    return {
        "denoising_strength": Used(parse=number(0, 1), default=0.75),
        "hr_scale": Used(parse=number(1, 8), default=2.0),
        "hr_resize_x": Used(parse=pixels, default=0),
        "hr_resize_y": Used(parse=pixels, default=0),
        "firstphase_width": Used(parse=pixels, default=0),
        "firstphase_height": Used(parse=pixels, default=0),
        "hr_second_pass_steps": Used(parse=integer(0, limits.max_steps), default=0),
        "hr_upscaler": Used(parse=optional_text, default=None),
        "hr_sampler_name": Used(parse=optional_text, default=None),
        "hr_scheduler": Used(parse=optional_text, default=None),
        "hr_prompt": Used(parse=optional_text, default=None),
        "hr_negative_prompt": Used(parse=optional_text, default=None),
        "hr_cfg": Used(parse=number(0, 30), default=None),
        "hr_checkpoint_name": Used(parse=optional_text, default=None),
    }


def _first_phase(asked: Mapping[str, Any], width: int, height: int, *, limits: Limits) -> tuple[int, int]:
    """What older clients send: the size of the first pass, `width` x `height` being the second's."""
    first_width, first_height = asked["firstphase_width"], asked["firstphase_height"]
    first_width = first_width or _by_eight(first_height * width / height)
    first_height = first_height or _by_eight(first_width * height / width)
    smallest = side(limits.min_side, limits.max_side)
    return smallest(first_width, "firstphase_width"), smallest(first_height, "firstphase_height")


def _target(asked: Mapping[str, Any], width: int, height: int) -> tuple[int, int]:
    """By webui's rule: by a factor, or to a size of which one side may be left open."""
    wide, high = asked["hr_resize_x"], asked["hr_resize_y"]
    if not wide and not high:
        return _by_eight(width * asked["hr_scale"]), _by_eight(height * asked["hr_scale"])
    return _by_eight(wide or high * width / height), _by_eight(high or wide * height / width)


def _by_eight(pixels: float) -> int:
    """Whole latents, as webui cuts them off."""
    return int(pixels) // 8 * 8


def _check_size(
    width: int, height: int, asked: Mapping[str, Any], *, catalogue: Catalogue, limits: Limits
) -> None:
    widest, highest = min(limits.max_side, catalogue.max_width), min(limits.max_side, catalogue.max_height)
    if limits.min_side <= width <= widest and limits.min_side <= height <= highest:
        return
    by_size = asked["hr_resize_x"] or asked["hr_resize_y"]
    field = "hr_resize_x" if by_size else "hr_scale"
    reason = f"would draw {width}x{height}; from {limits.min_side} up to {widest}x{highest} pixels"
    raise BadRequest(reason, field=field)


def _passes(
    first: tuple[int, int],
    target: tuple[int, int],
    asked: Mapping[str, Any],
    values: Mapping[str, Any],
    catalogue: Catalogue,
) -> Passes:
    sampler, schedule, notes = _sampler(asked, values, catalogue)
    checkpoint = asked["hr_checkpoint_name"]
    idle = [] if checkpoint in (None, "Use same checkpoint") else ["hr_checkpoint_name"]
    hires = Hires(
        width=target[0],
        height=target[1],
        upscaler_name=_upscaler(asked["hr_upscaler"], catalogue),
        steps=asked["hr_second_pass_steps"],
        denoising_strength=asked["denoising_strength"],
        sampler_name=sampler,
        schedule=schedule,
        prompt=asked["hr_prompt"],
        negative_prompt=asked["hr_negative_prompt"],
        cfg_scale=asked["hr_cfg"],
    )
    return Passes(width=first[0], height=first[1], hires=hires, notes=(*notes, *without_effect(idle)))


def _sampler(
    asked: Mapping[str, Any], values: Mapping[str, Any], catalogue: Catalogue
) -> tuple[str | None, str | None, tuple[str, ...]]:
    """Sampler and schedule of the second pass, each None where it is the first's."""
    same = (None, "Use same sampler", "Use same scheduler")
    name, schedule = asked["hr_sampler_name"], asked["hr_scheduler"]
    if name in same and schedule in same:
        return None, None, ()
    choice = choose_sampler(
        (values["sampler_name"] or values["sampler_index"]) if name in same else name,
        schedule=values["scheduler"] if schedule in same else schedule,
        catalogue=catalogue,
        field="hr_sampler_name",
        schedule_field="hr_scheduler",
    )
    return choice.name, choice.schedule, choice.notes


def _upscaler(asked: str | None, catalogue: Catalogue) -> str:
    """By webui's names, of which "None" means no network: its plain resampling."""
    if asked is None:
        return LATENT_UPSCALERS[0]
    name = "Lanczos" if asked == "None" else asked
    return find_name(name, [*LATENT_UPSCALERS, *catalogue.upscalers], kind="upscaler", field="hr_upscaler")
