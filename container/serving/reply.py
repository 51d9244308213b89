"""The success body: pictures as base64, the request as understood, and webui's `info`."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from container.serving.engine import Drawing, DrawRequest, EngineInfo
from container.serving.image_files import FileOptions, encode_base64


def write_drawings(
    batches: Sequence[DrawRequest],
    drawings: Sequence[Drawing],
    *,
    parameters: Mapping[str, Any],
    notes: Sequence[str],
    engine: EngineInfo,
    files: FileOptions,
) -> bytes:
    """The JSON body `{"images": [base64 file], "parameters": {…}, "info": "a JSON text"}`.

    `drawings` belong to the batches, one each.
    """
    infotexts = [
        _infotext(batch, seed=seed, engine=engine)
        for batch, drawing in zip(batches, drawings, strict=True)
        for seed in drawing.seeds
    ]
    pictures = [picture for drawing in drawings for picture in drawing.images]
    images = [
        encode_base64(picture, files=files, parameters=infotext)
        for picture, infotext in zip(pictures, infotexts, strict=True)
    ]
    info = json.dumps(_info(batches[0], drawings, engine=engine, infotexts=infotexts, notes=notes))
    return with_images(images, {"parameters": parameters, "info": info})


def with_images(images: Sequence[bytes], rest: Mapping[str, Any]) -> bytes:
    """`{"images": […], …}`. The pictures are the body's bulk and plain ASCII, so they are spliced in as they
    are rather than passed through a JSON encoder.
    """
    spliced = b", ".join(b'"' + image + b'"' for image in images)
    return b'{"images": [' + spliced + b"], " + json.dumps(rest).encode()[1:]


def _info(
    first: DrawRequest,
    drawings: Sequence[Drawing],
    *,
    engine: EngineInfo,
    infotexts: list[str],
    notes: Sequence[str],
) -> dict[str, Any]:
    seeds = [seed for drawing in drawings for seed in drawing.seeds]
    subseeds = [subseed for drawing in drawings for subseed in drawing.subseeds]
    all_notes = [*notes, *(note for drawing in drawings for note in drawing.notes)]
    unknown_words = [word for drawing in drawings for word in drawing.unknown_words]
    return {
        "prompt": first.prompt,
        "all_prompts": [first.prompt] * len(seeds),
        "negative_prompt": first.negative_prompt,
        "all_negative_prompts": [first.negative_prompt] * len(seeds),
        "seed": seeds[0],
        "all_seeds": seeds,
        "subseed": subseeds[0],
        "all_subseeds": subseeds,
        "subseed_strength": first.subseed_strength,
        "width": first.width,
        "height": first.height,
        "sampler_name": first.sampler_name,
        "cfg_scale": first.cfg_scale,
        "steps": first.steps,
        "batch_size": first.batch_size,
        "restore_faces": False,
        "face_restoration_model": None,
        "sd_model_name": engine.model,
        "sd_model_hash": engine.model_hash,
        "sd_vae_name": None,
        "sd_vae_hash": None,
        "seed_resize_from_w": -1,
        "seed_resize_from_h": -1,
        "denoising_strength": first.denoising_strength if first.init_images else None,
        "extra_generation_params": {},
        "index_of_first_image": 0,
        "infotexts": infotexts,
        "styles": [],
        "clip_skip": 1,
        "is_using_inpainting_conditioning": False,
        "notes": list(dict.fromkeys(all_notes)),
        "unknown_words": list(dict.fromkeys(unknown_words)),
    }


def _infotext(request: DrawRequest, *, seed: int, engine: EngineInfo) -> str:
    """The text webui calls so: prompt, negative prompt, then `Key: value` pairs in its order."""
    pairs = {
        "Steps": request.steps,
        "Sampler": request.sampler_name,
        "CFG scale": f"{request.cfg_scale:g}",
        "Seed": seed,
        "Size": f"{request.width}x{request.height}",
        "Model hash": engine.model_hash,
        "Model": engine.model,
        "Denoising strength": f"{request.denoising_strength:g}" if request.init_images else "",
    }
    lines = [request.prompt]
    if request.negative_prompt:
        lines.append(f"Negative prompt: {request.negative_prompt}")
    lines.append(", ".join(f"{key}: {_quoted(value)}" for key, value in pairs.items() if value != ""))
    return "\n".join(lines)


def _quoted(value: object) -> str:
    """Values that hold a separator are JSON-quoted, as webui does."""
    written = str(value)
    return json.dumps(written, ensure_ascii=False) if set(written) & set(",:\n") else written
