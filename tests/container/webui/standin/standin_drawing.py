"""txt2img and img2img, as far as a client can tell."""

import json
import os
import re
from pathlib import Path
from typing import Any

import standin_png
from standin_errors import Refused, http_exception, validated
from standin_state import Progress, Standin

_BASES = ("DPM++ 2M", "DPM++ SDE", "DPM++ 2S a", "Euler a", "Euler", "Heun", "DDIM", "UniPC")
_JOINED = ("DPM++ 2M Karras", "DPM++ SDE Karras", "DPM++ 2S a Karras")


def samplers(dialect: str) -> tuple[str, ...]:
    return (*_BASES, *_JOINED) if dialect == "1.5" else _BASES


def draw(standin: Standin, sent: dict[str, Any], *, route: str) -> Any:
    """Draw as webui does, unless the prompt asks for the trouble that this stand-in was started with."""
    body = validated("drawing", sent)
    standin.requests.append(sent)
    if route == "img2img" and body["init_images"] is None:
        raise http_exception(404, "Init image not found")
    for picture in [*(body["init_images"] or []), *([body["mask"]] if body["mask"] else [])]:
        standin_png.size(picture)
    sampler = _sampler(standin, body)
    _check_scripts(standin, body)
    troubles = _troubles(standin, body["prompt"])
    with standin.queue_lock:
        stored = dict(standin.options)
        try:
            if "loads-slowly" in standin.trouble and len(standin.requests) == 1:
                standin.wait_for_look(looks=30)
            _override(standin, body)
            _make_trouble(standin, body, troubles)
            _take_steps(standin, body, watched="watched" in standin.trouble)
            answer = _answer(standin, sent, body, sampler, troubles)
        finally:
            standin.progress = Progress()
            _restore(standin, body, stored)
    return answer


def _troubles(standin: Standin, prompt: str) -> set[str]:
    """Those it was started with, where the prompt asks for any; "by-name" is the one the prompt ends in."""
    if "trouble" not in prompt:
        return set()
    return {prompt.rsplit(maxsplit=1)[-1]} if "by-name" in standin.trouble else standin.trouble


def _sampler(standin: Standin, body: dict[str, Any]) -> str:
    name: str = body["sampler_name"] or body["sampler_index"]
    if name not in samplers(standin.dialect):
        raise http_exception(404 if standin.dialect == "1.5" else 400, "Sampler not found")
    return name


def _check_scripts(standin: Standin, body: dict[str, Any]) -> None:
    for name in body["alwayson_scripts"]:
        if name != "controlnet" or not standin.has_controlnet():
            raise http_exception(422, f"always on script {name} not found")


def _override(standin: Standin, body: dict[str, Any]) -> None:
    """Forge complains about an unknown model; webui drops the setting and draws with what it has."""
    settings = dict(body["override_settings"])
    asked = settings.pop("sd_model_checkpoint", None)
    if asked is not None and standin.find_checkpoint(asked) is None and standin.dialect == "forge":
        raise RuntimeError(f"model {asked!r} not found")
    standin.options |= settings
    standin.load(asked or standin.options["sd_model_checkpoint"])


def _restore(standin: Standin, body: dict[str, Any], stored: dict[str, Any]) -> None:
    """Options are put back, the loaded model stays until the next request; the first Forge kept both."""
    leaks = standin.dialect == "forge" or "leaks-options" in standin.trouble
    if body["override_settings_restore_afterwards"] and not leaks:
        standin.options = stored


def _make_trouble(standin: Standin, body: dict[str, Any], troubles: set[str]) -> None:
    if "prints-prompt" in troubles:
        print(f"txt2img: {body['prompt']}", flush=True)
        os.write(2, f"warning about {body['prompt']}\n".encode())
    if "dies-mid-draw" in troubles:
        standin.progress = Progress(job_count=1, sampling_step=1, sampling_steps=body["steps"])
        os._exit(137)
    if "hangs" in troubles:
        with standin.looked:
            standin.looked.wait_for(lambda: standin.progress.interrupted)
        raise RuntimeError("interrupted")
    if "oom" in troubles:
        raise _Torch(f"CUDA out of memory. Tried to allocate 2.00 GiB for {body['prompt']}")
    if "crash" in troubles:
        raise RuntimeError(f"mat1 and mat2 shapes cannot be multiplied, prompt {body['prompt']}")
    if "null-body" in troubles:
        raise Refused(500, None)


class _Torch(RuntimeError):
    """torch.cuda.OutOfMemoryError, by its text."""


def _take_steps(standin: Standin, body: dict[str, Any], *, watched: bool) -> None:
    """Each pass is a job of so many steps; a watched drawing goes on only once it was looked at."""
    passes = [body["steps"]]
    if body["enable_hr"]:
        if standin.dialect == "forge" and "Use same choices" not in body["hr_additional_modules"]:
            raise RuntimeError("this stand-in has no other modules for the second pass")
        passes.append(body["hr_second_pass_steps"] or body["steps"])
    standin.progress = Progress(job_count=len(passes))
    for number, steps in enumerate(passes):
        standin.progress.job_no, standin.progress.sampling_steps = number, steps
        for step in range(1, steps + 1):
            standin.progress.sampling_step = step
            if watched and body["prompt"]:
                standin.wait_for_look()
            if standin.progress.interrupted:
                return


def _answer(
    standin: Standin, sent: dict[str, Any], body: dict[str, Any], sampler: str, troubles: set[str]
) -> Any:
    if "html" in troubles:
        return b"<html><body>502 Bad Gateway</body></html>"
    if "no-info" in troubles:
        return {"images": [], "parameters": {}, "info": None}
    if "error-in-200" in troubles:
        return {"error": f"'NoneType' object has no attribute 'process' in {body['prompt']}"}
    width, height = body["width"], body["height"]
    if body["enable_hr"]:
        width, height = body["hr_resize_x"], body["hr_resize_y"]
    if "wrong-size" in troubles:
        width += 8
    count = body["batch_size"] * body["n_iter"] + ("wrong-count" in troubles)
    seeds = [body["seed"] + (0 if body["subseed_strength"] else number) for number in range(count)]
    seeds = [seed + ("other-seeds" in troubles) for seed in seeds]
    subseeds = [body["subseed"] + number for number in range(count)]
    keys = [
        f"{standin.loaded} {body['prompt']} {seed} {sub if body['subseed_strength'] else 0}"
        for seed, sub in zip(seeds, subseeds, strict=True)
    ]
    images = [standin_png.picture(key, width, height) for key in keys]
    grid = bool(standin.options["return_grid"] and count > 1) or "grid" in standin.trouble
    if grid:
        images.insert(0, standin_png.picture("grid", width * 2, height))
    if "broken-picture" in troubles:
        images[0] = "iVBORw0KGgo="
    units = body["alwayson_scripts"].get("controlnet", {}).get("args", [])
    images += [
        standin_png.picture("map", width, height) for unit in units if unit.get("save_detected_map", True)
    ]
    info = _info(standin, body, sampler, seeds=seeds, subseeds=subseeds, units=units) | {
        "index_of_first_image": int(grid)
    }
    return {
        "images": images[0] if "not-a-list" in troubles else images,
        "parameters": {**sent, "init_images": None, "mask": None},
        "info": json.dumps(info),
    }


def _info(
    standin: Standin,
    body: dict[str, Any],
    sampler: str,
    *,
    seeds: list[int],
    subseeds: list[int],
    units: list[Any],
) -> dict[str, Any]:
    """Before 1.6 the model's name stands in the infotext only."""
    extra = {
        f"ControlNet {number}": f"Module: {unit['module']}, Model: {unit['model']}"
        for number, unit in enumerate(units)
    }
    vae = _vae(standin)
    told = {"sd_model_name": standin.loaded, "sd_vae_name": vae, "version": "v1.10.1"}
    line = f"Steps: {body['steps']}, Sampler: {sampler}, Seed: {seeds[0]}, Model: {standin.loaded}"
    if standin.dialect == "1.5":
        told = {}
    elif standin.dialect == "forge":
        told["sd_vae_name"] = None  # Forge tells its modules in the infotext
        line += f", Module 1: {Path(vae).stem}" if vae else ""
    return {
        "prompt": body["prompt"],
        "all_prompts": [body["prompt"]] * len(seeds),
        "negative_prompt": body["negative_prompt"],
        "seed": seeds[0],
        "all_seeds": seeds,
        "subseed": subseeds[0],
        "all_subseeds": subseeds,
        "width": body["width"],
        "height": body["height"],
        "sampler_name": sampler,
        "cfg_scale": body["cfg_scale"],
        "steps": body["steps"],
        "batch_size": body["batch_size"],
        "sd_model_hash": None,
        "extra_generation_params": extra,
        "infotexts": [f"{_without_loras(body['prompt'])}\n{line}"] * len(seeds),
        "styles": [],
        "clip_skip": standin.options["CLIP_stop_at_last_layers"],
        **told,
    }


def _vae(standin: Standin) -> str | None:
    """The file of the VAE that draws, if it is not the checkpoint's own."""
    if "keeps-vae" in standin.trouble:
        return "former.safetensors"
    if standin.dialect == "forge":
        return next((Path(module).name for module in standin.options["forge_additional_modules"]), None)
    chosen = standin.options["sd_vae"]
    return None if chosen in {"Automatic", "None"} else chosen


def _without_loras(prompt: str) -> str:
    return re.sub(r"<(lora|lyco):[^>]+>", "", prompt)
