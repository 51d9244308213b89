"""The text in which webui tells how a picture was made: prompt, negative prompt, `Key: value` pairs.

Keys and their order are webui 1.10's (`create_infotext` in modules/processing.py). Tools read them back.
"""

import json
from pathlib import PurePosixPath

from container.serving.engine import DrawRequest, EngineInfo, Mask
from container.serving.names import bare


def infotext(request: DrawRequest, *, seed: int, subseed: int, engine: EngineInfo) -> str:
    """The text for one picture of a request."""
    varied = request.subseed_strength > 0
    pairs = {
        "Steps": request.steps,
        "Sampler": request.sampler_name,
        "Schedule type": request.schedule if request.schedule != "Automatic" else "",
        "CFG scale": f"{request.cfg_scale:g}",
        "Seed": seed,
        "Size": f"{request.width}x{request.height}",
        "Model hash": engine.model_hash,
        "Model": bare(engine.model),
        "VAE": vae_name(request) or "",
        "Variation seed": subseed if varied else "",
        "Variation seed strength": f"{request.subseed_strength:g}" if varied else "",
        "Denoising strength": "" if (strength := denoising(request)) is None else f"{strength:g}",
        "Clip skip": request.clip_skip if request.clip_skip > 1 else "",
        "Tiling": "True" if request.tiling else "",
        **{key: value for key, value in extra_parameters(request).items() if key != "Schedule type"},
    }
    lines = [request.prompt]
    if request.negative_prompt:
        lines.append(f"Negative prompt: {request.negative_prompt}")
    lines.append(", ".join(f"{key}: {_quoted(value)}" for key, value in pairs.items() if value != ""))
    return "\n".join(lines)


def extra_parameters(request: DrawRequest) -> dict[str, str | int]:
    """What webui counts as `extra_generation_params`."""
    schedule = {} if request.schedule == "Automatic" else {"Schedule type": request.schedule}
    return {**schedule, **_eta(request), **_masked(request.mask), **_second_pass(request), **_units(request)}


def denoising(request: DrawRequest) -> float | None:
    """How far a picture was left: that of the redrawing or of the second pass."""
    if request.hires:
        return request.hires.denoising_strength
    return request.denoising_strength if request.init_images else None


def vae_name(request: DrawRequest) -> str | None:
    """The file name of the VAE asked for."""
    return PurePosixPath(request.vae).name if request.vae else None


def _eta(request: DrawRequest) -> dict[str, str]:
    return {} if request.eta is None or request.eta == 1 else {"Eta": f"{request.eta:g}"}


def _masked(mask: Mask | None) -> dict[str, str | int]:
    if mask is None:
        return {}
    area: dict[str, str | int] = (
        {"Inpaint area": "Only masked", "Masked area padding": mask.padding} if mask.only_masked else {}
    )
    return {
        "Mask blur": f"{mask.blur_x:g}",
        **area,
        **({"Mask mode": "Inpaint not masked"} if mask.inverted else {}),
        "Masked content": str(mask.fill),
    }


def _second_pass(request: DrawRequest) -> dict[str, str | int]:
    hires = request.hires
    if hires is None:
        return {}
    size: dict[str, str | int] = {"Hires resize": f"{hires.width}x{hires.height}"}
    if hires.width * request.height == hires.height * request.width:
        size = {"Hires upscale": f"{hires.width / request.width:g}"}
    asked = {
        "Hires prompt": hires.prompt,
        "Hires negative prompt": hires.negative_prompt,
        "Hires sampler": hires.sampler_name,
        "Hires schedule type": hires.schedule,
        "Hires CFG Scale": None if hires.cfg_scale is None else f"{hires.cfg_scale:g}",
        "Hires steps": hires.steps or None,
        "Hires upscaler": hires.upscaler_name,
    }
    return {**size, **{key: value for key, value in asked.items() if value is not None}}


_CONTROL_MODES = ("Balanced", "My prompt is more important", "ControlNet is more important")
_RESIZE_MODES = ("Just Resize", "Crop and Resize", "Resize and Fill")


def _units(request: DrawRequest) -> dict[str, str]:
    """As the ControlNet extension writes its units."""
    return {
        f"ControlNet {number}": (
            f"Module: {unit.module}, Model: {unit.model}, Weight: {unit.weight:g}, "
            f"Resize Mode: {_RESIZE_MODES[unit.resize_mode]}, Guidance Start: {unit.start:g}, "
            f"Guidance End: {unit.end:g}, Control Mode: {_CONTROL_MODES[unit.control_mode]}"
        )
        for number, unit in enumerate(request.controls)
    }


def _quoted(value: object) -> str:
    """Values that hold a separator are JSON-quoted, as webui does."""
    written = str(value)
    return json.dumps(written, ensure_ascii=False) if set(written) & set(",:\n") else written
