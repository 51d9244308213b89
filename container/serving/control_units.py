"""`alwayson_scripts`: the units of webui's ControlNet extension, and no other script.

Names, aliases and defaults of sd-webui-controlnet (internal_controlnet/args.py, 2024-07) and older ones.
"""

from collections.abc import Mapping
from typing import Any

from container.serving.engine import Catalogue, ControlUnit
from container.serving.errors import BadRequest
from container.serving.init_images import PictureReader
from container.serving.names import find
from container.serving.settings import Limits
from container.serving.webui_fields import (
    Anything,
    Field,
    Inert,
    Refused,
    Used,
    flag,
    number,
    one_of,
    optional_text,
    read_fields,
)

_PLACE = "alwayson_scripts.controlnet.args"


def parse_controls(
    scripts: Any,
    *,
    start: bytes | None,
    pictures: PictureReader,
    catalogue: Catalogue,
    limits: Limits,
) -> tuple[tuple[ControlUnit, ...], list[str]]:
    """The enabled units, and notes. Raises `BadRequest` naming the field, or `UnknownName`.

    `start` is the picture of a unit that brings none. A unit counts unless it says `"enabled": false`.
    """
    units, notes = [], []
    for number_, item in enumerate(_items(scripts, limits=limits)):
        prefix = f"{_PLACE}[{number_}]."
        if not isinstance(item, dict):
            raise BadRequest("must be an object of ControlNet's fields", field=prefix[:-1])
        values, idle = read_fields(_by_newest_names(item), _FIELDS, task="ControlNet", prefix=prefix)
        if values["enabled"]:
            units.append(_unit(values, start, prefix, pictures, catalogue))
            notes += idle
    return tuple(units), notes


def without_pictures(scripts: Any) -> Any:
    """The scripts as a reply echoes them: pictures are long, and the caller has them."""
    if not isinstance(scripts, dict):
        return scripts
    return {name: {"args": [_echoed(unit) for unit in script["args"]]} for name, script in scripts.items()}


def _echoed(unit: Mapping[str, Any]) -> dict[str, Any]:
    return {name: None if name in {"image", "input_image"} else value for name, value in unit.items()}


def _items(scripts: Any, *, limits: Limits) -> list[Any]:
    if not scripts:
        return []
    if not isinstance(scripts, dict):
        raise BadRequest("must be an object of scripts", field="alwayson_scripts")
    for name in scripts:
        if name.lower() != "controlnet":
            reason = "scripts are not run by this server, except ControlNet"
            raise BadRequest(reason, field=f"alwayson_scripts.{name[:80]}")
    if len(scripts) > 1:
        raise BadRequest("names ControlNet twice", field="alwayson_scripts")
    (script,) = scripts.values()
    items = script.get("args") if isinstance(script, dict) else None
    if not isinstance(items, list) or script.keys() != {"args"} or len(items) > limits.control_units:
        raise BadRequest(f"must be a list of at most {limits.control_units} units", field=_PLACE)
    return items


_ALIASES = {"input_image": "image", "mask_image": "mask", "lowvram": "low_vram"}


def _by_newest_names(item: Mapping[str, Any]) -> dict[str, Any]:
    """With one name for each field; of a field sent under two names the newer one's value."""
    older = {_ALIASES[name]: value for name, value in item.items() if name in _ALIASES}
    return older | {name: value for name, value in item.items() if name not in _ALIASES}


def _unit(
    values: Mapping[str, Any], start: bytes | None, prefix: str, pictures: PictureReader, catalogue: Catalogue
) -> ControlUnit:
    model = values["model"]
    if model in (None, "None"):
        raise BadRequest("a unit needs the name of a ControlNet", field=f"{prefix}model")
    found = find(model, catalogue.controlnets, kind="ControlNet", field=f"{prefix}model")
    if values["guidance_start"] >= values["guidance_end"]:
        raise BadRequest("must be less than guidance_end", field=f"{prefix}guidance_start")
    return ControlUnit(
        image=_image(values["image"], start, prefix, pictures),
        model=found.name,
        module=(values["module"] or "none").lower(),
        weight=values["weight"],
        start=values["guidance_start"],
        end=values["guidance_end"],
        control_mode=values["control_mode"],
        resize_mode=values["resize_mode"],
    )


def _image(sent: Any, start: bytes | None, prefix: str, pictures: PictureReader) -> bytes:
    """The unit's picture: base64, or `{"image": base64, "mask": null}`; else the one to start from."""
    if not sent and start is not None:
        return start
    if not isinstance(sent, dict):
        return pictures.read(sent, field=f"{prefix}image")
    if not sent.keys() <= {"image", "mask"} or sent.get("mask"):
        raise BadRequest("takes a picture, and no mask", field=f"{prefix}image")
    return pictures.read(sent.get("image"), field=f"{prefix}image.image")


def _as_it_is(value: Any, _field: str) -> Any:
    return value


_LOADS_MORE = Refused(reason="not offered by this server's ControlNet")

_FIELDS: Mapping[str, Field] = {
    "enabled": Used(parse=flag, default=True),
    "image": Used(parse=_as_it_is, default=None),
    "model": Used(parse=optional_text, default=None),
    "module": Used(parse=optional_text, default=None),
    "weight": Used(parse=number(0, 2), default=1.0),
    "guidance_start": Used(parse=number(0, 1), default=0.0),
    "guidance_end": Used(parse=number(0, 1), default=1.0),
    "control_mode": Used(
        parse=one_of(
            ("Balanced", "My prompt is more important", "ControlNet is more important"),
        ),
        default=0,
    ),
    "resize_mode": Used(
        parse=one_of(
            ("Just Resize", "Crop and Resize", "Resize and Fill"),
            ("inner fit (scale to fit)", 1),
            ("scale to fit (inner fit)", 1),
            ("outer fit (shrink to fit)", 2),
            ("envelope (outer fit)", 2),
        ),
        default=1,
    ),
    "processor_res": Inert(neutral=(-1, 64, 512)),
    "threshold_a": Inert(neutral=(-1, 64)),
    "threshold_b": Inert(neutral=(-1, 64)),
    "hr_option": Inert(neutral=("Both",)),
    "mask": _LOADS_MORE,
    "effective_region_mask": _LOADS_MORE,
    "ipadapter_input": _LOADS_MORE,
    "batch_images": _LOADS_MORE,
    "advanced_weighting": _LOADS_MORE,
    "union_control_type": Inert(neutral=("Unknown",)),
    "guessmode": Inert(),
    "pixel_perfect": Anything(),  # about the resolution of preprocessors
    "low_vram": Anything(),
    "save_detected_map": Anything(),  # maps are never answered
    "inpaint_crop_input_image": Anything(),
    "use_preview_as_input": Anything(),
    "input_mode": Anything(),
}
