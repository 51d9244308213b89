"""From a `DrawRequest` to the fields that webui is sent, in the words of its own generation.

Everything a picture depends on is said in every request (steps, model, VAE, CLIP skip, schedule), so nothing
that an earlier request left behind can matter. Names of scripts, files and options never come from outside.
"""

import base64
import io
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from container.serving import png
from container.serving.engine import ControlUnit, DrawRequest, Fill, Hires, Mask, Picture, UpscaleRequest
from container.serving.errors import UnknownName
from container.serving.names import find, names_of, nearest
from container.webui.offers import File, Offers

_CONTROL_MODES = ("Balanced", "My prompt is more important", "ControlNet is more important")
_RESIZE_MODES = ("Just Resize", "Crop and Resize", "Resize and Fill")

_LORA = re.compile(r"<(lora|lyco):([^:>]+)")


def drawing_payload(request: DrawRequest, offers: Offers, *, checkpoint: File) -> dict[str, Any]:
    """The body for txt2img, or for img2img where the request has a picture.

    Raises `UnknownName` for a LoRA or a preprocessor that this webui lacks: it would pass over them silently.
    """
    payload: dict[str, Any] = {
        "prompt": _known_loras(request.prompt, offers, field="prompt"),
        "negative_prompt": _known_loras(request.negative_prompt, offers, field="negative_prompt"),
        "styles": [],
        "width": request.width,
        "height": request.height,
        "steps": request.steps,
        "cfg_scale": request.cfg_scale,
        **_sampler(request, offers),
        "seed": request.seed,
        "subseed": request.subseed,
        "subseed_strength": request.subseed_strength,
        "batch_size": request.batch_size,
        "n_iter": 1,
        "restore_faces": False,
        "tiling": request.tiling,
        "override_settings": _override_settings(request, offers, checkpoint),
        "override_settings_restore_afterwards": True,
        "send_images": True,
        "save_images": False,
        "do_not_save_samples": True,
        "do_not_save_grid": True,
    }
    if request.eta is not None:
        payload["eta"] = request.eta
    if request.controls:
        units = [_unit(unit, offers) for unit in request.controls]
        payload["alwayson_scripts"] = {"controlnet": {"args": units}}
    if request.init_images:
        return payload | _start(request)
    if request.hires is not None:
        payload |= _hires(request, request.hires, offers)
    return payload


def upscaling_payload(request: UpscaleRequest) -> dict[str, Any]:
    """The body for extra-single-image."""
    return {
        "image": _base64(png.encode(request.picture)),
        "resize_mode": 1,
        "upscaling_resize_w": request.width,
        "upscaling_resize_h": request.height,
        "upscaling_crop": False,
        "upscaler_1": request.upscaler_name,
        "upscaler_2": "None",
        "extras_upscaler_2_visibility": 0,
        "gfpgan_visibility": 0,
        "codeformer_visibility": 0,
        "codeformer_weight": 0,
        "upscale_first": False,
        "show_extras_results": True,
    }


def interrogation_payload(picture: Picture) -> dict[str, Any]:
    """The body for interrogate."""
    return {"image": _base64(png.encode(picture)), "model": "clip"}


def _sampler(request: DrawRequest, offers: Offers) -> dict[str, str]:
    """Old builds read `sampler_index`, newer ones `sampler_name`: both are sent."""
    name, schedule = _in_its_words(request.sampler_name, request.schedule, offers)
    fields = {"sampler_name": name, "sampler_index": name}
    return fields | ({"scheduler": schedule} if schedule is not None else {})


def _in_its_words(sampler: str, schedule: str, offers: Offers) -> tuple[str, str | None]:
    if offers.splits_schedules:
        return sampler, schedule
    return (sampler if schedule == "Automatic" else f"{sampler} {schedule}"), None


def _override_settings(request: DrawRequest, offers: Offers, checkpoint: File) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "sd_model_checkpoint": checkpoint.title,
        "CLIP_stop_at_last_layers": request.clip_skip,
    }
    vae = next((file.title for file in offers.vaes if file.model.name == request.vae), None)
    if request.vae is not None and vae is None:
        names = [file.model.name for file in offers.vaes]
        raise UnknownName("VAE", request.vae, nearest=nearest(request.vae, names), field="vae")
    if offers.modules:
        return settings | {"forge_additional_modules": [vae] if vae else []}
    return settings | {"sd_vae": vae or "Automatic"}


def _known_loras(prompt: str, offers: Offers, *, field: str) -> str:
    """The prompt with each LoRA under webui's own name for it."""
    titles = {file.model: file.title for file in offers.loras}

    def named(tag: re.Match[str]) -> str:
        found = find(tag[2].strip(), list(titles), kind="LoRA", field=field)
        return f"<{tag[1]}:{titles[found]}"

    return _LORA.sub(named, prompt)


def _start(request: DrawRequest) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "init_images": [_upright(request.init_images[0])],
        "denoising_strength": request.denoising_strength,
        "resize_mode": request.resize_mode,
        "include_init_images": False,
    }
    return fields | (_mask(request.mask) if request.mask is not None else {})


def _mask(mask: Mask) -> dict[str, Any]:
    """Blur is in whole pixels; builds before 1.4 know one for both directions only."""
    wide, high = round(mask.blur_x), round(mask.blur_y)
    blur = {"mask_blur": wide} if wide == high else {"mask_blur_x": wide, "mask_blur_y": high}
    return {
        "mask": _flat(mask.file),
        **blur,
        "inpainting_fill": list(Fill).index(mask.fill),
        "inpaint_full_res": mask.only_masked,
        "inpaint_full_res_padding": mask.padding,
        "inpainting_mask_invert": int(mask.inverted),
    }


def _hires(request: DrawRequest, hires: Hires, offers: Offers) -> dict[str, Any]:
    sampler, schedule = _in_its_words(
        hires.sampler_name or request.sampler_name, hires.schedule or request.schedule, offers
    )
    fields: dict[str, Any] = {
        "enable_hr": True,
        "denoising_strength": hires.denoising_strength,
        "hr_resize_x": hires.width,
        "hr_resize_y": hires.height,
        "hr_upscaler": hires.upscaler_name,
        "hr_second_pass_steps": hires.steps,
        "hr_sampler_name": sampler,
        "hr_prompt": _known_loras(hires.prompt or "", offers, field="hr_prompt"),
        "hr_negative_prompt": _known_loras(hires.negative_prompt or "", offers, field="hr_negative_prompt"),
    }
    if schedule is not None:
        fields["hr_scheduler"] = schedule
    if offers.modules:  # Forge has a guidance scale of its own here, 1 by default, and fails without modules
        fields["hr_cfg"] = request.cfg_scale if hires.cfg_scale is None else hires.cfg_scale
        fields["hr_additional_modules"] = ["Use same choices"]
    return fields


def _unit(unit: ControlUnit, offers: Offers) -> Mapping[str, Any]:
    """ControlNet's newest names, and the older ones of the picture."""
    title = next((file.title for file in offers.controlnets if unit.model in names_of(file.model)), None)
    if title is None:
        names = [file.model.name for file in offers.controlnets]
        raise UnknownName(
            "ControlNet", unit.model, nearest=nearest(unit.model, names), field="alwayson_scripts"
        )
    modules = offers.control_modules
    if modules and unit.module not in modules:
        close = nearest(unit.module, modules)
        raise UnknownName("preprocessor", unit.module, nearest=close, field="alwayson_scripts")
    image = _upright(unit.image)
    return {
        "enabled": True,
        "image": image,
        "input_image": image,
        "model": title,
        "module": unit.module,
        "weight": unit.weight,
        "guidance_start": unit.start,
        "guidance_end": unit.end,
        "control_mode": _CONTROL_MODES[unit.control_mode],
        "resize_mode": _RESIZE_MODES[unit.resize_mode],
        "pixel_perfect": True,
        "save_detected_map": False,
    }


def _upright(file: bytes) -> str:
    """The picture the right way up and without what its file says beside it, as base64."""
    with Image.open(io.BytesIO(file)) as image:
        turned = ImageOps.exif_transpose(image)
    if turned.mode == "RGB":
        return _base64(png.encode(np.asarray(turned)))
    kept = io.BytesIO()
    turned.convert("RGBA" if turned.has_transparency_data else "RGB").save(kept, "PNG", compress_level=1)
    return _base64(kept.getvalue())


def _flat(file: bytes) -> str:
    """A mask the right way up, on black: where it has an alpha channel webui would take that for the mask."""
    with Image.open(io.BytesIO(file)) as image:
        turned = ImageOps.exif_transpose(image).convert("RGBA")
    black = Image.new("RGBA", turned.size, "black")
    return _base64(png.encode(np.asarray(Image.alpha_composite(black, turned).convert("RGB"))))


def _base64(file: bytes) -> str:
    return base64.b64encode(file).decode("ascii")
