"""Bodies in other people's words, turned into ours: stable-diffusion-webui's and the seed's `/invocations`.

Every translated value remembers where it stood, so that an error names the field that the client sent.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from bot.http_api.problems import FieldError, Problem


class Format(StrEnum):
    """How a body is written: `?format=` names it, ours needs no name."""

    OURS = "imagine"
    WEBUI = "webui"
    SAGEMAKER = "sagemaker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Translated:
    """A body in our fields. `places` are JSON pointers into what was sent, where they differ from ours."""

    values: Mapping[str, Any]
    places: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def place(self, name: str) -> str:
        """Where our field `name` stood in the body."""
        return self.places.get(name, f"/{name}")


def translated(body: Mapping[str, Any], form: Format) -> Translated:
    """The body in our fields, not yet checked but for what has no place in ours. Raises Problem."""
    return _TRANSLATORS[form](body)


CALLBACK = "callback_url"
"""The one field of ours that every format may also hold."""

SAME = ("prompt", "negative_prompt", "width", "height", "steps", "subseed_strength", CALLBACK)
RENAMED = {"guidance": "cfg_scale"}
SEEDS = ("seed", "subseed")
READ = frozenset(
    {
        *SAME,
        *RENAMED.values(),
        *SEEDS,
        "batch_size",
        "n_iter",
        "sampler_name",
        "sampler_index",
        "denoising_strength",
        "init_images",
        "override_settings",
    }
)
IDLE: Mapping[str, tuple[Any, ...]] = {
    "styles": (["None"], ["None", "None"]),
    "scheduler": ("Automatic", "automatic"),
    "seed_resize_from_h": (-1,),
    "seed_resize_from_w": (-1,),
    "restore_faces": (),
    "tiling": (),
    "eta": (1,),
    "s_min_uncond": (),
    "s_churn": (),
    "s_tmax": (),
    "s_tmin": (),
    "s_noise": (1,),
    "refiner_checkpoint": ("None",),
    "firstphase_width": (),
    "firstphase_height": (),
    "enable_hr": (),
    "resize_mode": (),
    "image_cfg_scale": (1.5,),
    "initial_noise_multiplier": (1,),
    "include_init_images": (),
    "script_args": (),
}
"""Fields of webui's without effect here, and the values by which a client asks for nothing."""

PASSED_OVER = frozenset(
    {
        "override_settings_restore_afterwards",
        "refiner_switch_at",
        "disable_extra_networks",
        "comments",
        "distilled_cfg_scale",
        "force_task_id",
        "do_not_save_samples",
        "do_not_save_grid",
        "send_images",
        "hr_scale",
        "hr_upscaler",
        "hr_second_pass_steps",
        "hr_resize_x",
        "hr_resize_y",
        "hr_checkpoint_name",
        "hr_additional_modules",
        "hr_sampler_name",
        "hr_scheduler",
        "hr_prompt",
        "hr_negative_prompt",
        "hr_cfg",
        "hr_distilled_cfg",
        "mask_blur",
        "mask_blur_x",
        "mask_blur_y",
        "mask_round",
        "inpainting_fill",
        "inpaint_full_res",
        "inpaint_full_res_padding",
        "inpainting_mask_invert",
    }
)
"""Fields that mean something only beside another one, which is idle or refused."""

REFUSED: Mapping[str, str] = {
    "script_name": "scripts are not run here",
    "alwayson_scripts": "scripts are not run here",
    "infotext": "send the fields themselves",
    "save_images": "pictures are answered, never written to the server's disk",
    "firstpass_image": "text-to-image takes no pictures",
    "mask": "inpainting is not offered",
    "latent_mask": "inpainting is not offered",
}
"""Fields that must be empty, and why."""

EMPTY: tuple[Any, ...] = (None, "", [], {}, False)
MOST_NAMED = 20
"""Wrong fields told at once: a body may hold more than an answer of Lambda's may be long (6 MB)."""

HASH = re.compile(r" \[[0-9a-f]{6,64}\]$")

IMG2IMG = "img2img_payload"
TASKS = {"text-to-image": "txt2img_payload", "image-to-image": IMG2IMG}
ENVELOPE = frozenset(
    {
        "task",
        "model",
        "quality",
        "id",
        "id_task",
        "uid",
        "save_dir",
        "username",
        "txt2img_payload",
        "img2img_payload",
        "extras_single_payload",
        "extras_batch_payload",
        "interrogate_payload",
        "extra_payload",
    }
)
CLOSED = {"vae": "the model's own VAE draws", "options": "options of the web UI are not changed by requests"}


def _ours(body: Mapping[str, Any]) -> Translated:
    return Translated(values=body)


def _webui(body: Mapping[str, Any], *, under: str = "") -> Translated:
    """A txt2img or img2img body; `under` is the pointer to where it stands."""
    errors, idle = _judged(body, under)
    if errors:
        raise unprocessable(errors)
    values: dict[str, Any] = {name: body[name] for name in SAME if body.get(name) is not None}
    places = {name: f"{under}/{name}" for name in SAME}
    for ours, theirs in RENAMED.items():
        _take(values, places, ours, body.get(theirs), f"{under}/{theirs}")
    for name in SEEDS:
        open_ended = body.get(name) in (-1, "")
        _take(values, places, name, None if open_ended else body.get(name), f"{under}/{name}")
    sampler = "sampler_name" if body.get("sampler_name") else "sampler_index"
    _take(values, places, "sampler", body.get(sampler) or None, f"{under}/{sampler}")
    _take(values, places, "n", _count(body), f"{under}/batch_size")
    _take_picture(values, places, body, under)
    _take_checkpoint(values, places, body.get("override_settings"), f"{under}/override_settings")
    notes = (f"Without effect here: {', '.join(idle)}.",) if idle else ()
    return Translated(values=values, places=places, notes=notes)


def _sagemaker(body: Mapping[str, Any]) -> Translated:
    task = body.get("task")
    if not isinstance(task, str) or task not in TASKS:
        raise unprocessable(
            [_error("/task", "It is no task that is drawn here.", f"Send one of: {', '.join(TASKS)}.")]
        )
    errors = [
        _error(f"/{name}", f"It must be empty: {CLOSED[name]}.", "Leave it out.")
        for name in CLOSED
        if body.get(name) not in EMPTY
    ]
    errors += [_unknown(f"/{name}") for name in body if name not in {*ENVELOPE, *CLOSED, CALLBACK}]
    payload = body.get(TASKS[task])
    if not isinstance(payload, dict):
        errors.append(_error(f"/{TASKS[task]}", "It is no object.", f"Send what {task} is to draw there."))
    if errors or not isinstance(payload, dict):
        raise unprocessable(errors)
    drawn = _webui(payload, under=f"/{TASKS[task]}")
    if TASKS[task] == IMG2IMG and "init_image" not in drawn.values:
        raise unprocessable(
            [_error(f"/{IMG2IMG}/init_images", "It is missing.", "Send one picture in base64.")]
        )
    own: dict[str, Any] = {}
    places = dict(drawn.places)
    _take(own, places, "model", _without_hash(body.get("model")) or None, "/model")
    _take(own, places, CALLBACK, body.get(CALLBACK), f"/{CALLBACK}")
    return Translated(values={**drawn.values, **own}, places=places, notes=drawn.notes)


_TRANSLATORS: Mapping[Format, Callable[[Mapping[str, Any]], Translated]] = {
    Format.OURS: _ours,
    Format.WEBUI: _webui,
    Format.SAGEMAKER: _sagemaker,
}


def unprocessable(errors: list[FieldError]) -> Problem:
    """422 that names the first fields that are wrong, each with its fix."""
    first = errors[0]
    return Problem(
        422,
        "invalid_fields",
        f"{first.field}: {first.detail}",
        fix=first.fix,
        errors=errors[:MOST_NAMED],
    )


def _judged(body: Mapping[str, Any], under: str) -> tuple[list[FieldError], list[str]]:
    """Errors, and the names of fields that ask for something in vain."""
    errors: list[FieldError] = []
    idle: list[str] = []
    for name, value in body.items():
        place = f"{under}/{name}"
        if name in REFUSED:
            if value not in EMPTY:
                errors.append(_error(place, f"It must be empty: {REFUSED[name]}.", "Leave it out."))
        elif name in IDLE:
            if value and value not in IDLE[name]:
                idle.append(name)
        elif name not in READ and name not in PASSED_OVER:
            errors.append(_unknown(place))
    return errors, idle


def _take(values: dict[str, Any], places: dict[str, str], name: str, value: Any, place: str) -> None:
    places.setdefault(name, place)
    if value is not None:
        values[name], places[name] = value, place


def _count(body: Mapping[str, Any]) -> Any:
    """Pictures in all; what is no number is handed on as it is, to be refused by its place."""
    sizes = [body[name] for name in ("batch_size", "n_iter") if body.get(name) is not None]
    strange = [size for size in sizes if isinstance(size, bool) or not isinstance(size, int | float)]
    if strange or not sizes:
        return strange[0] if strange else None
    return math.prod(sizes)


def _take_picture(
    values: dict[str, Any], places: dict[str, str], body: Mapping[str, Any], under: str
) -> None:
    """Webui's strength belongs to the picture to start from; without one it is the second pass's."""
    pictures, place = body.get("init_images"), f"{under}/init_images"
    if pictures in EMPTY:
        return
    if not isinstance(pictures, list) or len(pictures) != 1:
        raise unprocessable([_error(place, "It is no list of one picture.", "Send one picture in base64.")])
    _take(values, places, "init_image", pictures[0], f"{place}/0")
    _take(values, places, "strength", body.get("denoising_strength"), f"{under}/denoising_strength")


def _take_checkpoint(values: dict[str, Any], places: dict[str, str], settings: Any, place: str) -> None:
    if settings in EMPTY:
        return
    if not isinstance(settings, dict) or not settings.keys() <= {"sd_model_checkpoint"}:
        raise unprocessable(
            [_error(place, "Only sd_model_checkpoint can be chosen here.", "Leave the other settings out.")]
        )
    model = _without_hash(settings.get("sd_model_checkpoint"))
    _take(values, places, "model", model, f"{place}/sd_model_checkpoint")


def _without_hash(title: Any) -> Any:
    """`name.safetensors [0123456789]` is the title by which webui's clients know a model."""
    return HASH.sub("", title) if isinstance(title, str) else title


def _unknown(place: str) -> FieldError:
    return _error(place[:120], "There is no such field in this format.", "Leave it out.")


def _error(place: str, detail: str, fix: str) -> FieldError:
    return FieldError(field=place, detail=detail, fix=fix)
