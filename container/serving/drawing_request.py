"""From webui's fields of text-to-image and image-to-image to a task of batches."""

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from container.serving import overrides
from container.serving.control_units import parse_controls, without_pictures
from container.serving.drawing_task import DrawingTask
from container.serving.engine import Catalogue, DrawRequest, Feature, Hires
from container.serving.errors import BadRequest
from container.serving.hires import parse_passes
from container.serving.init_images import PictureReader
from container.serving.inpainting import parse_mask
from container.serving.names import find
from container.serving.overrides import Envelope
from container.serving.samplers import SamplerChoice, choose_sampler
from container.serving.settings import Limits
from container.serving.webui_fields import (
    Field,
    Used,
    drawing_fields,
    integer,
    number,
    optional_text,
    read_fields,
    seed,
    side,
    text,
)


def parse_drawing(
    task: str,
    payload: Mapping[str, Any],
    *,
    envelope: Envelope,
    catalogue: Catalogue,
    limits: Limits,
    choose_seed: Callable[[], int],
) -> DrawingTask:
    """Understand a payload. Raises `BadRequest` naming the field, or `UnknownName`.

    `choose_seed` answers a number in 0 .. 2**32-1 where the request leaves a seed open.
    """
    fields = {**_common_fields(limits), **drawing_fields(task, catalogue.features)}
    values, idle = read_fields(payload, fields, task=task)
    passes = parse_passes(payload, values, catalogue=catalogue, limits=limits)
    _check_amount(values, passes.hires, catalogue=catalogue, limits=limits)
    _check_prompts(values, passes.hires, catalogue=catalogue, limits=limits)
    chosen = overrides.choose(payload.get("override_settings"), envelope, catalogue=catalogue)
    sampler = _sampler(values, catalogue)
    understood = {**values, **_seeds(values, choose_seed), "sampler_name": sampler.name}
    pictures, picture_notes = _pictures(payload, task, catalogue=catalogue, limits=limits)
    drawn = {name: value for name, value in understood.items() if name in _REQUEST_FIELDS} | pictures
    request = DrawRequest(
        **{**drawn, "width": passes.width, "height": passes.height},
        hires=passes.hires,
        schedule=sampler.schedule,
        model=chosen.model,
        vae=chosen.vae,
        clip_skip=chosen.clip_skip,
        exact=envelope.exact,
    )
    return DrawingTask(
        task=task,
        batches=_batches(request, values["n_iter"]),
        parameters=_echo({**payload, **understood}),
        notes=(*idle, *chosen.notes, *sampler.notes, *passes.notes, *picture_notes),
    )


_REQUEST_FIELDS = {field.name for field in dataclasses.fields(DrawRequest)}


def _common_fields(limits: Limits) -> dict[str, Field]:
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


def _pictures(
    payload: Mapping[str, Any], task: str, *, catalogue: Catalogue, limits: Limits
) -> tuple[dict[str, Any], Sequence[str]]:
    """The fields of a `DrawRequest` that hold pictures, read within one allowance of pixels."""
    reader = PictureReader(each_pixels=limits.init_image_pixels, all_pixels=limits.sent_pixels)
    starts = _init_images(payload, task, reader)
    fields: dict[str, Any] = {"init_images": starts}
    notes: list[str] = []
    if task == "image-to-image" and Feature.INPAINT in catalogue.features:
        fields["mask"], notes = parse_mask(payload, pictures=reader, limits=limits)
    if Feature.CONTROLNET in catalogue.features:
        fields["controls"], more = parse_controls(
            payload.get("alwayson_scripts"),
            start=starts[0] if starts else None,
            pictures=reader,
            catalogue=catalogue,
            limits=limits,
        )
        notes = [*notes, *more]
    return fields, notes


def _init_images(payload: Mapping[str, Any], task: str, reader: PictureReader) -> tuple[bytes, ...]:
    texts = payload.get("init_images")
    if task == "text-to-image":
        if texts:
            raise BadRequest("text-to-image takes no pictures; send image-to-image", field="init_images")
        return ()
    if not isinstance(texts, list) or len(texts) != 1:
        raise BadRequest("must be a list of one picture", field="init_images")
    return (reader.read(texts[0], field="init_images[0]"),)


def _check_amount(
    values: Mapping[str, Any], hires: Hires | None, *, catalogue: Catalogue, limits: Limits
) -> None:
    """Sizes, and the pixels of all pictures together at their largest."""
    for name, longest in (("width", catalogue.max_width), ("height", catalogue.max_height)):
        if values[name] > longest:
            raise BadRequest(f"this engine draws up to {longest}", field=name)
    images = values["batch_size"] * values["n_iter"]
    if images > limits.max_images:
        raise BadRequest(f"batch_size x n_iter is {images}; at most {limits.max_images}", field="n_iter")
    largest = hires.width * hires.height if hires else values["width"] * values["height"]
    if images * largest > limits.max_pixels:
        raise BadRequest(f"{images} pictures of this size; fewer or smaller ones, please", field="batch_size")


_LORA = re.compile(r"<(?:lora|lyco):([^:>]+)")


def _check_prompts(
    values: Mapping[str, Any], hires: Hires | None, *, catalogue: Catalogue, limits: Limits
) -> None:
    """Neither prompt may be too long, nor name a LoRA that is not there."""
    prompts = {"prompt": values["prompt"], "negative_prompt": values["negative_prompt"]}
    if hires:
        prompts |= {"hr_prompt": hires.prompt or "", "hr_negative_prompt": hires.negative_prompt or ""}
    for field, words in prompts.items():
        if len(words) > limits.prompt_characters:
            raise BadRequest(f"at most {limits.prompt_characters} characters", field=field)
        if catalogue.loras is not None:
            for asked in _LORA.findall(words):
                find(asked.strip(), catalogue.loras, kind="LoRA", field=field)


def _sampler(values: Mapping[str, Any], catalogue: Catalogue) -> SamplerChoice:
    """Newer clients send `sampler_name`, older ones `sampler_index`; the first wins."""
    field = "sampler_name" if values["sampler_name"] else "sampler_index"
    return choose_sampler(values[field], schedule=values["scheduler"], catalogue=catalogue, field=field)


def _seeds(values: Mapping[str, Any], choose_seed: Callable[[], int]) -> dict[str, int]:
    return {name: choose_seed() if values[name] is None else values[name] for name in ("seed", "subseed")}


def _batches(request: DrawRequest, n_iter: int) -> tuple[DrawRequest, ...]:
    """One request per iteration; seeds go on counting from one to the next, as webui's do."""
    size = request.batch_size
    return tuple(request.part(number * size, size) for number in range(n_iter))


def _echo(parameters: dict[str, Any]) -> dict[str, Any]:
    """The request as understood, without its pictures, as webui answers it."""
    scripts = without_pictures(parameters.get("alwayson_scripts"))
    silenced: dict[str, Any] = {"mask": None, "alwayson_scripts": scripts}
    return {**parameters, "init_images": None} | {
        name: value for name, value in silenced.items() if name in parameters
    }
