"""stable-diffusion-webui's request fields and what this server does with each.

Every field of the API's schemas (webui 1.10, Forge's additions, names older clients still send) falls
in one of three groups: used, without effect here (named in the reply when it asked for something), or refused
unless empty. A field in no group is a mistake and refused by name.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from container.serving.engine import Feature
from container.serving.errors import BadRequest

Parse = Callable[[Any, str], Any]
"""From (JSON value, field name) to the value meant; raises `BadRequest` naming the field."""


def text(value: Any, field: str) -> str:
    """Any text; null means empty."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadRequest("must be a text", field=field)
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise BadRequest("holds half a surrogate pair: not valid Unicode", field=field)
    return value


def optional_text(value: Any, field: str) -> str | None:
    """A text with something in it, or None."""
    return text(value, field).strip() or None


def number(low: float, high: float) -> Parse:
    """A finite number in the range, ends included."""

    def parse(value: Any, field: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise BadRequest("must be a finite number", field=field)
        if not low <= value <= high:
            raise BadRequest(f"must be from {low:g} to {high:g}", field=field)
        return float(value)

    return parse


def integer(low: int, high: int) -> Parse:
    """A whole number in the range; 7.0 is one too, as webui's clients send seeds as floats."""

    def parse(value: Any, field: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
            raise BadRequest("must be a whole number", field=field)
        if not low <= value <= high:
            raise BadRequest(f"must be from {low} to {high}", field=field)
        return int(value)

    return parse


def seed(value: Any, field: str) -> int | None:
    """0 .. 2**32-1, or None for "choose one" (webui's -1, null or empty)."""
    if value is None or value == "":
        return None
    parsed = integer(-1, 2**32 - 1)(value, field)
    return None if parsed == -1 else parsed


def side(low: int, high: int) -> Parse:
    """A width or height in pixels: webui's own steps of 8."""

    def parse(value: Any, field: str) -> int:
        pixels: int = integer(low, high)(value, field)
        if pixels % 8:
            nearest = f"{pixels // 8 * 8} or {pixels // 8 * 8 + 8}"
            raise BadRequest(f"must be a multiple of 8, such as {nearest}", field=field)
        return pixels

    return parse


def flag(value: Any, field: str) -> bool:
    """True or false; older clients send 1 and 0."""
    if value not in (True, False):
        raise BadRequest("must be true or false", field=field)
    return bool(value)


def one_of(names: Sequence[str], *aliases: tuple[str, int]) -> Parse:
    """The place of a name in the list, or the place itself."""
    places = {name.lower(): place for place, name in enumerate(names)} | dict(aliases)

    def parse(value: Any, field: str) -> int:
        if not isinstance(value, str):
            place: int = integer(0, len(names) - 1)(value, field)
            return place
        if value.lower() not in places:
            raise BadRequest(f"must be one of {', '.join(names)}", field=field)
        return places[value.lower()]

    return parse


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """A field this server acts on."""

    parse: Parse
    default: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Inert:
    """A field without effect here. `neutral`: the values that ask for nothing, beside null and empty ones."""

    neutral: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Anything:
    """A field that only means something together with another one; taken and passed over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A field that must be empty, and why."""

    reason: str


Field = Used | Inert | Anything | Refused


def read_fields(
    payload: Mapping[str, Any], fields: Mapping[str, Field], *, task: str, prefix: str = ""
) -> tuple[dict[str, Any], list[str]]:
    """The values of the used fields, defaults filled in, and a note that names those without effect.

    Raises `BadRequest` naming a field, `prefix` before it, that is refused, malformed or in no schema.
    """
    idle = []
    for name, value in payload.items():
        field = fields.get(name)
        if field is None:
            raise BadRequest(f"not a field of webui's {task} request", field=prefix + name[:80])
        if isinstance(field, Refused) and value not in (None, "", [], {}, False):
            raise BadRequest(field.reason, field=prefix + name)
        if isinstance(field, Inert) and value and value not in field.neutral:
            idle.append(prefix + name)
    return read_used(payload, fields, prefix=prefix), without_effect(idle)


def read_used(payload: Mapping[str, Any], fields: Mapping[str, Field], *, prefix: str = "") -> dict[str, Any]:
    """The values of the used fields, defaults filled in. Raises `BadRequest` naming a malformed one."""
    return {
        name: field.parse(payload[name], prefix + name) if payload.get(name) is not None else field.default
        for name, field in fields.items()
        if isinstance(field, Used)
    }


def without_effect(names: Sequence[str]) -> list[str]:
    """The note that names what was asked for in vain, if there is anything."""
    return [f"without effect here: {', '.join(names)}"] if names else []


_RUNS_CODE = "scripts are not run by this server"
_HIRES = Anything()  # with `enable_hr`, which is named in its place where there is no second pass

COMMON: Mapping[str, Field] = {
    "styles": Inert(neutral=(["None"], ["None", "None"])),
    "seed_resize_from_h": Inert(neutral=(-1,)),
    "seed_resize_from_w": Inert(neutral=(-1,)),
    "restore_faces": Inert(),
    "tiling": Inert(),
    "eta": Inert(neutral=(1,)),
    "s_min_uncond": Inert(),
    "s_churn": Inert(),
    "s_tmax": Inert(),
    "s_tmin": Inert(),
    "s_noise": Inert(neutral=(1,)),
    "override_settings_restore_afterwards": Anything(),
    "refiner_checkpoint": Inert(neutral=("None",)),
    "refiner_switch_at": Anything(),
    "disable_extra_networks": Anything(),
    "comments": Anything(),
    "distilled_cfg_scale": Anything(),
    "force_task_id": Anything(),
    "do_not_save_samples": Anything(),
    "do_not_save_grid": Anything(),
    "send_images": Anything(),  # pictures are always sent: nothing else could fetch them
    "firstphase_width": Inert(),
    "firstphase_height": Inert(),
    "init_images": Anything(),
    "override_settings": Anything(),
    "script_args": Inert(),  # only with `script_name` would they mean something
    "script_name": Refused(reason=_RUNS_CODE),
    "alwayson_scripts": Refused(reason=_RUNS_CODE),
    "infotext": Refused(reason="settings inside an infotext are not taken over; send the fields themselves"),
    "save_images": Refused(reason="pictures are answered, never written to the server's disk"),
}

TXT2IMG: Mapping[str, Field] = {
    **COMMON,
    "firstpass_image": Refused(reason="text-to-image takes no pictures; send image-to-image"),
    "enable_hr": Inert(),
    "denoising_strength": _HIRES,
    "hr_scale": _HIRES,
    "hr_upscaler": _HIRES,
    "hr_second_pass_steps": _HIRES,
    "hr_resize_x": _HIRES,
    "hr_resize_y": _HIRES,
    "hr_checkpoint_name": _HIRES,
    "hr_additional_modules": _HIRES,
    "hr_sampler_name": _HIRES,
    "hr_scheduler": _HIRES,
    "hr_prompt": _HIRES,
    "hr_negative_prompt": _HIRES,
    "hr_cfg": _HIRES,
    "hr_distilled_cfg": _HIRES,
}

_INPAINTING = Anything()  # with `mask`, which is refused where there is no inpainting

IMG2IMG: Mapping[str, Field] = {
    **COMMON,
    "denoising_strength": Used(parse=number(0, 1), default=0.75),
    "resize_mode": Inert(),
    "image_cfg_scale": Inert(neutral=(1.5,)),
    "initial_noise_multiplier": Inert(neutral=(1,)),
    "include_init_images": Inert(),
    "mask": Refused(reason="inpainting is not offered by this engine"),
    "latent_mask": Refused(reason="inpainting is not offered by this engine"),
    "mask_blur": _INPAINTING,
    "mask_blur_x": _INPAINTING,
    "mask_blur_y": _INPAINTING,
    "mask_round": _INPAINTING,
    "inpainting_fill": _INPAINTING,
    "inpaint_full_res": _INPAINTING,
    "inpaint_full_res_padding": _INPAINTING,
    "inpainting_mask_invert": _INPAINTING,
}

_BY_FEATURE: Mapping[Feature, Mapping[str, Field]] = {
    Feature.CONTROLNET: {"alwayson_scripts": Anything()},
    Feature.ETA: {"eta": Used(parse=number(0, 1), default=None)},
    Feature.HIRES: {"enable_hr": Used(parse=flag, default=False)},
    Feature.INPAINT: {"mask": Anything()},
    Feature.RESIZE_MODE: {"resize_mode": Used(parse=integer(0, 3), default=0)},
    Feature.TILING: {"tiling": Used(parse=flag, default=False)},
}
"""What an engine's features make of fields that are otherwise idle or refused."""


def drawing_fields(task: str, features: Collection[Feature]) -> dict[str, Field]:
    """The fields of text-to-image or image-to-image for an engine with these features.

    Fields that only mean something with another one (a second pass, a mask, control units) are read by
    themselves, where that one is there.
    """
    fields = dict(TXT2IMG if task == "text-to-image" else IMG2IMG)
    for feature in sorted(features):
        changes = _BY_FEATURE.get(feature, {})
        fields.update({name: field for name, field in changes.items() if name in fields})
    return fields


_LONGEST_SIDE = 8192

_UPSCALING: Mapping[str, Field] = {
    "resize_mode": Used(parse=integer(0, 1), default=0),
    "upscaling_resize": Used(parse=number(1, 8), default=2.0),
    "upscaling_resize_w": Used(parse=integer(1, _LONGEST_SIDE), default=512),
    "upscaling_resize_h": Used(parse=integer(1, _LONGEST_SIDE), default=512),
    "upscaling_crop": Used(parse=flag, default=True),
    "upscaler_1": Used(parse=optional_text, default=None),
    "upscaler_2": Used(parse=optional_text, default=None),
    "extras_upscaler_2_visibility": Used(parse=number(0, 1), default=0.0),
    "gfpgan_visibility": Inert(),
    "codeformer_visibility": Inert(),
    "codeformer_weight": Anything(),  # with `codeformer_visibility`
    "upscale_first": Anything(),  # before the face restorers or after them
    "show_extras_results": Anything(),
}

EXTRAS_SINGLE: Mapping[str, Field] = {**_UPSCALING, "image": Anything()}
EXTRAS_BATCH: Mapping[str, Field] = {**_UPSCALING, "imageList": Anything()}

INTERROGATE: Mapping[str, Field] = {
    "image": Anything(),
    "model": Used(parse=text, default="clip"),
}
