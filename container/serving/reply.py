"""The success body: pictures as base64, the request as understood, and webui's `info`."""

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from container.serving.ai_mark import DigitalSource
from container.serving.engine import Drawing, DrawRequest, EngineInfo, Picture
from container.serving.image_check import ImageCheck, scores
from container.serving.image_files import FileOptions, encode_base64
from container.serving.infotext import denoising, extra_parameters, infotext, vae_name
from container.serving.names import bare


def write_drawings(
    batches: Sequence[DrawRequest],
    drawings: Sequence[Drawing],
    *,
    parameters: Mapping[str, Any],
    notes: Sequence[str],
    engine: EngineInfo,
    files: FileOptions,
    check: ImageCheck,
) -> bytes:
    """The JSON body `{"images": [base64 file], "parameters": {…}, "info": "a JSON text"}`.

    `drawings` belong to the batches, one each.
    """
    infotexts = [
        infotext(batch, seed=seed, subseed=subseed, engine=engine)
        for batch, drawing in zip(batches, drawings, strict=True)
        for seed, subseed in zip(drawing.seeds, drawing.subseeds, strict=True)
    ]
    pictures = [picture for drawing in drawings for picture in drawing.images]
    images, nsfw_scores = encode_and_score(pictures, parameters=infotexts, files=files, check=check)
    info = _info(batches[0], drawings, engine=engine, infotexts=infotexts, notes=notes)
    text = json.dumps({**info, "nsfw_scores": nsfw_scores})
    return with_images(images, {"parameters": parameters, "info": text})


def encode_and_score(
    pictures: Sequence[Picture],
    *,
    files: FileOptions,
    check: ImageCheck,
    sources: Sequence[DigitalSource] | None = None,
    parameters: Sequence[str] | None = None,
) -> tuple[list[bytes], list[float | None]]:
    """Each picture's file as base64, and its score, made side by side: all of it releases the interpreter."""

    def encoded(number: int) -> bytes:
        return encode_base64(
            pictures[number],
            files=files,
            source=sources[number] if sources else DigitalSource.TRAINED,
            parameters=parameters[number] if parameters else None,
        )

    with ThreadPoolExecutor(max_workers=min(_MOST_THREADS, len(pictures) + 1)) as threads:
        scoring = threads.submit(scores, pictures, check)
        images = list(threads.map(encoded, range(len(pictures))))
        return images, scoring.result()


_MOST_THREADS = 4


def with_images(images: Sequence[bytes], rest: Mapping[str, Any]) -> bytes:
    """`{"images": […], …}` of at least one picture.

    The pictures are the body's bulk and plain ASCII, so they are spliced in as they are rather than passed
    through a JSON encoder.
    """
    return b"".join([b'{"images": ["', b'", "'.join(images), b'"], ', json.dumps(rest).encode()[1:]])


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
        "sd_model_name": bare(engine.model),
        "sd_model_hash": engine.model_hash,
        "sd_vae_name": vae_name(first),
        "sd_vae_hash": None,
        "seed_resize_from_w": -1,
        "seed_resize_from_h": -1,
        "denoising_strength": denoising(first),
        "extra_generation_params": extra_parameters(first),
        "index_of_first_image": 0,
        "infotexts": infotexts,
        "styles": [],
        "clip_skip": first.clip_skip,
        "is_using_inpainting_conditioning": False,
        "notes": list(dict.fromkeys(all_notes)),
        "unknown_words": list(dict.fromkeys(unknown_words)),
    }
