"""From webui's answer to pictures, once it has been shown that it did what it was asked to.

webui keeps the model it has where it cannot load another one, leaves out what it does not know, and says so
at most on its console. So the answer's own account is read: how many pictures, of which size, from which
seeds, by which model.
"""

import base64
import binascii
import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from container.serving.engine import Drawing, DrawRequest, Picture, UpscaleRequest
from container.serving.errors import EngineCrash
from container.serving.init_images import read_header
from container.webui.offers import File, Offers

_MOST_ROUNDING = 16
"""webui rounds sides down to multiples of 8, and may round one up to keep the shape."""


def read_drawing(answer: Any, request: DrawRequest, offers: Offers, *, checkpoint: File) -> Drawing:
    """The pictures asked for. Raises `EngineCrash` where the answer is not what was asked for."""
    info = _info(answer)
    _check_model(info, checkpoint)
    _check_vae(info, request)
    pictures = _pictures(answer, info, request)
    seeds, subseeds = _seeds(info, request)
    return Drawing(
        images=pictures, seeds=seeds, subseeds=subseeds, notes=tuple(_notes(info, request, offers))
    )


def read_upscaled(answer: Any, request: UpscaleRequest) -> Picture:
    """The picture at exactly the size asked for. Raises `EngineCrash`."""
    text = answer.get("image") if isinstance(answer, dict) else None
    picture = _decoded(text, most_pixels=(request.width + _MOST_ROUNDING) * (request.height + _MOST_ROUNDING))
    if (
        abs(picture.width - request.width) > _MOST_ROUNDING
        or abs(picture.height - request.height) > _MOST_ROUNDING
    ):
        raise EngineCrash(f"webui upscaled to {picture.width}x{picture.height}, not to the size asked for")
    exact = (request.width, request.height)
    return np.asarray(picture if picture.size == exact else picture.resize(exact, Image.Resampling.LANCZOS))


def read_caption(answer: Any) -> str:
    """The caption. Raises `EngineCrash` where there is none."""
    caption = answer.get("caption") if isinstance(answer, dict) else None
    if not isinstance(caption, str):
        raise EngineCrash("webui answered no caption")
    return caption


def _info(answer: Any) -> Mapping[str, Any]:
    """`info` is a JSON text inside the JSON."""
    try:
        info = json.loads(answer["info"])
    except (TypeError, KeyError, ValueError, RecursionError):
        raise EngineCrash("webui answered without an account of what it drew") from None
    if not isinstance(info, dict):
        raise EngineCrash("webui's account of what it drew is not an object")
    return info


def _check_model(info: Mapping[str, Any], checkpoint: File) -> None:
    """Newer webuis tell the model in `sd_model_name`, older ones in their infotext."""
    told = info.get("sd_model_name") or _infotext(info, "Model")
    if not told:
        raise EngineCrash("webui does not tell which model it drew with")
    path = PurePosixPath(checkpoint.model.name)
    if str(told) not in {path.stem, path.name, str(path.with_suffix("")), str(path)}:
        raise EngineCrash("webui drew with another model than it was asked to")
    hash_ = str(info.get("sd_model_hash") or "")
    comparable = len(hash_) == 10 and checkpoint.model.sha256  # webui's first kind of hash had eight digits
    if comparable and not checkpoint.model.sha256.startswith(hash_):
        raise EngineCrash("webui drew with another file than the model's hash says")


def _told_vae(info: Mapping[str, Any]) -> str:
    """The stem of the VAE's file, where it is not the model's own and webui or Forge tells it, or ""."""
    told = info.get("sd_vae_name") or _infotext(info, "VAE") or _infotext(info, "Module 1")
    return PurePosixPath(str(told)).stem


def _check_vae(info: Mapping[str, Any], request: DrawRequest) -> None:
    told = _told_vae(info)
    if request.vae is not None and told and told != PurePosixPath(request.vae).stem:
        raise EngineCrash("webui drew with another VAE than it was asked to")


def _infotext(info: Mapping[str, Any], key: str) -> str:
    """A value of the first infotext's last line, or "". The lines before it hold prompts."""
    texts = info.get("infotexts")
    first = texts[0] if isinstance(texts, list) and texts and isinstance(texts[0], str) else ""
    found = re.search(rf'(?:^|, ){re.escape(key)}: ("(?:[^"\\]|\\.)*"|[^,]*)', first.rpartition("\n")[2])
    return found[1].strip().strip('"') if found else ""


def _pictures(answer: Any, info: Mapping[str, Any], request: DrawRequest) -> tuple[Picture, ...]:
    """The pictures proper: no grid before them, no control maps after them."""
    texts = answer.get("images")
    leading = info.get("index_of_first_image", 0)
    if not isinstance(texts, list) or not isinstance(leading, int) or not 0 <= leading <= 1:
        raise EngineCrash("webui answered no list of pictures")
    proper = texts[leading:]
    if len(proper) < request.batch_size or (len(proper) > request.batch_size and not request.controls):
        raise EngineCrash(f"webui answered {len(proper)} pictures, not {request.batch_size}")
    size = (request.hires.width, request.hires.height) if request.hires else (request.width, request.height)
    images = [_decoded(text, most_pixels=size[0] * size[1]) for text in proper[: request.batch_size]]
    wrong = next((image.size for image in images if image.size != size), None)
    if wrong:
        raise EngineCrash(f"webui drew {wrong[0]}x{wrong[1]} pixels, not {size[0]}x{size[1]}")
    return tuple(np.asarray(image) for image in images)


def _decoded(text: Any, *, most_pixels: int) -> Image.Image:
    """The RGB picture in base64; nothing larger than expected is decoded."""
    try:
        file = base64.b64decode(str(text).partition("base64,")[2] or str(text), validate=True)
        header = read_header(file)
        if header is None or header.width * header.height > most_pixels:
            raise EngineCrash("webui answered a picture of another type or size than asked for")
        with Image.open(io.BytesIO(file), formats=[header.format]) as image:
            return image.convert("RGB")
    except (binascii.Error, ValueError, OSError, SyntaxError):  # SyntaxError: Pillow's for a broken PNG
        raise EngineCrash("webui answered a picture that does not decode") from None


def _seeds(info: Mapping[str, Any], request: DrawRequest) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What webui says it used, which must be what was asked for."""
    parts = [request.part(number, 1) for number in range(request.batch_size)]
    seeds, subseeds = tuple(part.seed for part in parts), tuple(part.subseed for part in parts)
    if _numbers(info.get("all_seeds"), request.batch_size) != seeds:
        raise EngineCrash("webui drew from other seeds than it was asked to")
    return seeds, subseeds


def _numbers(values: Any, count: int) -> tuple[int, ...]:
    listed: Sequence[Any] = values if isinstance(values, list) else ()
    return tuple(int(value) % 2**32 for value in listed[:count] if isinstance(value, int | float))


def _notes(info: Mapping[str, Any], request: DrawRequest, offers: Offers) -> list[str]:
    """What cannot be shown from the answer, or was done differently."""
    notes = []
    if request.vae is not None and not _told_vae(info):
        notes.append("webui does not say which VAE it drew with")
    told = info.get("extra_generation_params")
    extra = told if isinstance(told, dict) else {}
    for number in range(len(request.controls)):
        key = f"ControlNet {number}"
        if key not in extra and not _infotext(info, key):
            notes.append(f"webui does not say that {key} took part")
    hires = request.hires
    if hires and hires.cfg_scale not in {None, request.cfg_scale} and not offers.modules:
        notes.append("without effect here: hr_cfg")
    mask = request.mask
    if mask and (mask.blur_x % 1 or mask.blur_y % 1):
        notes.append("webui blurs masks by whole pixels: mask_blur was rounded")
    return notes
