"""From the body of `POST /invocations` to batches the engine can draw.

The body is that of the seed's container (generation G1): `task`, `model` and a payload in webui's fields.
Unknown keys at the top are ignored, as every generation of that container does; unknown keys in a payload
are refused.
"""

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from container.serving.engine import Catalogue, DrawRequest, Model
from container.serving.errors import BadRequest, UnknownName
from container.serving.init_images import read_init_image
from container.serving.samplers import SamplerChoice, choose_sampler, nearest
from container.serving.settings import Limits
from container.serving.webui_fields import (
    IMG2IMG,
    TXT2IMG,
    Field,
    Inert,
    Refused,
    Used,
    integer,
    number,
    optional_text,
    seed,
    side,
    text,
)

TASKS = {
    "text-to-image": ("txt2img_payload", TXT2IMG),
    "image-to-image": ("img2img_payload", IMG2IMG),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """A request as understood.

    `batches`: one per `n_iter`. `parameters`: what the reply echoes. `notes`: sentences about what was asked
    for and has no effect.
    """

    task: str
    batches: tuple[DrawRequest, ...]
    parameters: Mapping[str, Any]
    notes: tuple[str, ...]


def parse_invocation(
    body: bytes, *, catalogue: Catalogue, limits: Limits, choose_seed: Callable[[], int]
) -> Invocation:
    """Understand a request body. Raises `BadRequest` naming the field, or `UnknownName`.

    `choose_seed` answers a number in 0 .. 2**32-1 where the request leaves a seed open.
    """
    top = _read_object(body)
    task, payload, fields = _payload(top)
    values, notes = _read_fields(payload, {**_used_fields(limits), **fields}, task=task)
    _check_amount(values, catalogue=catalogue, limits=limits)
    settings_model, settings_notes = _override_settings(payload.get("override_settings"))
    model = _model(optional_text(top.get("model"), "model") or settings_model, catalogue)
    sampler = _sampler(values, catalogue)
    understood = {**values, **_seeds(values, choose_seed), "sampler_name": sampler.name}
    request = DrawRequest(
        **{name: value for name, value in understood.items() if name in _REQUEST_FIELDS},
        init_images=_init_images(payload, task, limits=limits),
        model=model,
    )
    return Invocation(
        task=task,
        batches=_batches(request, values["n_iter"]),
        parameters={**payload, **understood, "init_images": None},
        notes=(*notes, *settings_notes, *sampler.notes),
    )


_REQUEST_FIELDS = {field.name for field in dataclasses.fields(DrawRequest)}


def _used_fields(limits: Limits) -> dict[str, Field]:
    width_or_height = side(limits.min_side, limits.max_side)
    return {
        "prompt": Used(parse=text, default=""),
        "negative_prompt": Used(parse=text, default=""),
        "seed": Used(parse=seed, default=None),
        "subseed": Used(parse=seed, default=None),
        "subseed_strength": Used(parse=number(0, 1), default=0.0),
        "sampler_name": Used(parse=optional_text, default=None),
        "sampler_index": Used(parse=text, default="Euler"),
        "scheduler": Used(parse=optional_text, default=None),
        "batch_size": Used(parse=integer(1, limits.max_images), default=1),
        "n_iter": Used(parse=integer(1, limits.max_images), default=1),
        "steps": Used(parse=integer(1, limits.max_steps), default=50),
        "cfg_scale": Used(parse=number(0, 30), default=7.0),
        "width": Used(parse=width_or_height, default=512),
        "height": Used(parse=width_or_height, default=512),
    }


_READ_ELSEWHERE = {"init_images", "override_settings", "script_args"}


def _read_object(body: bytes) -> dict[str, Any]:
    try:
        top = json.loads(body, parse_constant=_refuse_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:  # ValueError: bad JSON or UTF-8, absurd numbers
        raise BadRequest("the body is not valid JSON") from error
    if not isinstance(top, dict):
        raise BadRequest("the body must be a JSON object")
    return top


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits[:20]} is too large")
    return number


def _payload(top: Mapping[str, Any]) -> tuple[str, Mapping[str, Any], Mapping[str, Field]]:
    task = text(top.get("task"), "task")
    if task not in TASKS:
        raise BadRequest(f"must be one of {', '.join(TASKS)}", field="task")
    key, fields = TASKS[task]
    payload = top.get(key)
    if not isinstance(payload, dict):
        raise BadRequest(f"{task} needs an object of webui fields here", field=key)
    return task, payload, fields


def _read_fields(
    payload: Mapping[str, Any], fields: Mapping[str, Field], *, task: str
) -> tuple[dict[str, Any], list[str]]:
    """The values of the used fields, defaults filled in, and the names of fields without effect as a note."""
    idle = []
    for name, value in payload.items():
        field = fields.get(name)
        if field is None and name not in _READ_ELSEWHERE:
            raise BadRequest(f"not a field of webui's {task} request", field=name[:80])
        if isinstance(field, Refused) and value not in (None, "", [], {}, False):
            raise BadRequest(field.reason, field=name)
        if isinstance(field, Inert) and value and value not in field.neutral:
            idle.append(name)
    if payload.get("script_args"):
        idle.append("script_args")
    values = {
        name: field.parse(payload[name], name) if payload.get(name) is not None else field.default
        for name, field in fields.items()
        if isinstance(field, Used)
    }
    return values, [f"without effect here: {', '.join(idle)}"] if idle else []


def _init_images(payload: Mapping[str, Any], task: str, *, limits: Limits) -> tuple[bytes, ...]:
    texts = payload.get("init_images")
    if task == "text-to-image":
        if texts:
            raise BadRequest("text-to-image takes no pictures; send image-to-image", field="init_images")
        return ()
    if not isinstance(texts, list) or len(texts) != 1:
        raise BadRequest("must be a list of one picture", field="init_images")
    return (read_init_image(texts[0], field="init_images[0]", max_pixels=limits.init_image_pixels),)


def _override_settings(settings: Any) -> tuple[str | None, list[str]]:
    """The checkpoint named in `override_settings`, and notes about the two other settings let through.

    Every other option of webui could change files, folders or the server itself.
    """
    if not settings:
        return None, []
    if not isinstance(settings, dict):
        raise BadRequest("must be an object", field="override_settings")
    neutral = {"sd_model_checkpoint": None, "sd_vae": "Automatic", "CLIP_stop_at_last_layers": 1}
    for name in settings:
        if name not in neutral:
            raise BadRequest("this option cannot be set by a request", field=f"override_settings.{name[:80]}")
    idle = [
        name
        for name in ("sd_vae", "CLIP_stop_at_last_layers")
        if settings.get(name) not in (None, neutral[name])
    ]
    model = optional_text(settings.get("sd_model_checkpoint"), "override_settings.sd_model_checkpoint")
    return model, [f"without effect here: {', '.join(idle)}"] if idle else []


def _check_amount(values: Mapping[str, Any], *, catalogue: Catalogue, limits: Limits) -> None:
    for name, longest in (("width", catalogue.max_width), ("height", catalogue.max_height)):
        if values[name] > longest:
            raise BadRequest(f"this engine draws up to {longest}", field=name)
    images = values["batch_size"] * values["n_iter"]
    if images > limits.max_images:
        raise BadRequest(f"batch_size x n_iter is {images}; at most {limits.max_images}", field="n_iter")
    if images * values["width"] * values["height"] > limits.max_pixels:
        raise BadRequest(f"{images} pictures of this size; fewer or smaller ones, please", field="batch_size")
    for name in ("prompt", "negative_prompt"):
        if len(values[name]) > limits.prompt_characters:
            raise BadRequest(f"at most {limits.prompt_characters} characters", field=name)


def _sampler(values: Mapping[str, Any], catalogue: Catalogue) -> SamplerChoice:
    """Newer clients send `sampler_name`, older ones `sampler_index`; the first wins."""
    field = "sampler_name" if values["sampler_name"] else "sampler_index"
    return choose_sampler(
        values[field], schedule=values["scheduler"], offered=catalogue.samplers, field=field
    )


def _seeds(values: Mapping[str, Any], choose_seed: Callable[[], int]) -> dict[str, int]:
    return {name: choose_seed() if values[name] is None else values[name] for name in ("seed", "subseed")}


def _model(asked: str | None, catalogue: Catalogue) -> str | None:
    """A model may be named as webui allows: file name, "name [hash]", name without extension, or hash."""
    if asked is None:
        return None
    for model in catalogue.models:
        if asked in _names(model):
            return model.name
    names = [model.name for model in catalogue.models]
    raise UnknownName("model", asked, nearest=nearest(asked, names), field="model")


def _names(model: Model) -> set[str]:
    stem = model.name.rpartition(".")[0] or model.name
    return {model.name, stem, f"{model.name} [{model.hash}]", f"{stem} [{model.hash}]", model.hash} - {""}


def _batches(request: DrawRequest, n_iter: int) -> tuple[DrawRequest, ...]:
    """One request per iteration; seeds go on counting from one to the next, as webui's do."""
    varied = request.subseed_strength > 0
    offsets = [number * request.batch_size for number in range(n_iter)]
    return tuple(_shifted(request, seed=0 if varied else offset, subseed=offset) for offset in offsets)


def _shifted(request: DrawRequest, *, seed: int, subseed: int) -> DrawRequest:
    return dataclasses.replace(
        request, seed=(request.seed + seed) % 2**32, subseed=(request.subseed + subseed) % 2**32
    )
