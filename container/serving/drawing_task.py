"""The tasks text-to-image and image-to-image: from webui's fields to batches, drawn on the engine."""

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from container.serving.engine import Catalogue, Drawing, DrawRequest, Engine, EngineInfo, Model, OnStep
from container.serving.errors import BadRequest, EngineCrash, OutOfMemory, UnknownName
from container.serving.image_files import FileOptions
from container.serving.init_images import read_init_image
from container.serving.reply import write_drawings
from container.serving.samplers import SamplerChoice, choose_sampler, nearest
from container.serving.settings import Limits
from container.serving.webui_fields import (
    IMG2IMG,
    TXT2IMG,
    Field,
    Used,
    integer,
    number,
    optional_text,
    read_fields,
    seed,
    side,
    text,
    without_effect,
)

FIELDS = {"text-to-image": TXT2IMG, "image-to-image": IMG2IMG}


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawingTask:
    """A request to draw, as understood.

    `batches`: one per `n_iter`. `parameters`: what the reply echoes. `notes`: sentences about what was asked
    for and has no effect.
    """

    proves_engine: ClassVar[bool] = True

    task: str
    batches: tuple[DrawRequest, ...]
    parameters: Mapping[str, Any]
    notes: tuple[str, ...]

    @property
    def steps(self) -> int:
        return sum(batch.steps for batch in self.batches)

    def run(self, engine: Engine, *, on_step: OnStep) -> tuple[Drawing, ...]:
        """One drawing per batch; steps are told over all of them."""
        drawings = []
        before = 0
        for batch in self.batches:
            drawings.append(draw(engine, batch, on_step=_offset(on_step, before=before, steps=self.steps)))
            before += batch.steps
        return tuple(drawings)

    def reply(self, result: tuple[Drawing, ...], *, engine: EngineInfo, files: FileOptions) -> bytes:
        return write_drawings(
            self.batches,
            result,
            parameters=self.parameters,
            notes=self.notes,
            engine=engine,
            files=files,
        )

    def summary(self) -> str:
        """Numbers and our own names only: nothing a person wrote."""
        first = self.batches[0]
        count = sum(batch.batch_size for batch in self.batches)
        size = f"{first.width}x{first.height}"
        return f"{self.task} {size}, {first.steps} steps of {first.sampler_name}, {count} pictures"


def draw(engine: Engine, batch: DrawRequest, *, on_step: OnStep) -> Drawing:
    """Draw a batch, in two halves where it does not fit into memory at once.

    Raises `OutOfMemory` where a half does not fit either, `EngineCrash` where the answer is not what was
    asked for.
    """
    try:
        return _checked(engine.generate(batch, on_step=on_step), batch)
    except (MemoryError, OutOfMemory):
        if batch.batch_size == 1:
            raise
    # Only here, where the failed attempt and all it held are gone, is there room to try again.
    first = (batch.batch_size + 1) // 2
    halves = batch.part(0, first), batch.part(first, batch.batch_size - first)
    drawings = [
        _checked(engine.generate(half, on_step=_half(on_step, number)), half)
        for number, half in enumerate(halves)
    ]
    return _joined(*drawings)


def _offset(on_step: OnStep, *, before: int, steps: int) -> OnStep:
    return lambda done, _steps: on_step(before + done, steps)


def _half(on_step: OnStep, number: int) -> OnStep:
    """Steps of the first or second half as steps of the whole; never fewer than were told before."""
    return lambda done, steps: on_step((number * steps + done + 1) // 2, steps)


def _joined(first: Drawing, second: Drawing) -> Drawing:
    return Drawing(
        images=first.images + second.images,
        seeds=first.seeds + second.seeds,
        subseeds=first.subseeds + second.subseeds,
        notes=(*first.notes, "memory was short: drawn in two halves"),
        unknown_words=first.unknown_words,
    )


def _checked(drawing: Drawing, request: DrawRequest) -> Drawing:
    """The drawing, if it is what was asked for. Raises `EngineCrash`."""
    expected = [(request.height, request.width, 3)] * request.batch_size
    shapes = [image.shape for image in drawing.images]
    if shapes != expected or any(image.dtype != "uint8" for image in drawing.images):
        raise EngineCrash(f"the engine answered pictures of shape {shapes}, not {expected}")
    if not len(drawing.seeds) == len(drawing.subseeds) == request.batch_size:
        raise EngineCrash("the engine answered another number of seeds than of pictures")
    return drawing


def parse_drawing(
    task: str,
    payload: Mapping[str, Any],
    *,
    model: str | None,
    catalogue: Catalogue,
    limits: Limits,
    choose_seed: Callable[[], int],
) -> DrawingTask:
    """Understand a payload. Raises `BadRequest` naming the field, or `UnknownName`.

    `model` is the one named beside the payload. `choose_seed` answers a number in 0 .. 2**32-1 where the
    request leaves a seed open.
    """
    values, notes = read_fields(payload, {**_used_fields(limits), **FIELDS[task]}, task=task)
    _check_amount(values, catalogue=catalogue, limits=limits)
    _check_loras(values, catalogue)
    settings_model, settings_notes = _override_settings(payload.get("override_settings"))
    sampler = _sampler(values, catalogue)
    understood = {**values, **_seeds(values, choose_seed), "sampler_name": sampler.name}
    request = DrawRequest(
        **{name: value for name, value in understood.items() if name in _REQUEST_FIELDS},
        init_images=_init_images(payload, task, limits=limits),
        model=_model(model or settings_model, catalogue),
    )
    return DrawingTask(
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
    return model, without_effect(idle)


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


_LORA = re.compile(r"<(?:lora|lyco):([^:>]+)")


def _check_loras(values: Mapping[str, Any], catalogue: Catalogue) -> None:
    if catalogue.loras is None:
        return
    names = [lora.name for lora in catalogue.loras]
    known = {name for lora in catalogue.loras for name in _names(lora)}
    for field in ("prompt", "negative_prompt"):
        for asked in _LORA.findall(values[field]):
            if asked.strip() not in known:
                raise UnknownName("LoRA", asked, nearest=nearest(asked, names), field=field)


def _batches(request: DrawRequest, n_iter: int) -> tuple[DrawRequest, ...]:
    """One request per iteration; seeds go on counting from one to the next, as webui's do."""
    size = request.batch_size
    return tuple(request.part(number * size, size) for number in range(n_iter))
