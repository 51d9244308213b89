"""The tasks extras-single-image and extras-batch-images: webui's "Extras" tab, of which upscaling is done.

Semantics of webui 1.10 (scripts/postprocessing_upscale.py): by a factor, or to a size with or without
cropping the middle; a second upscaler may be blended in; upscaler "None" leaves a picture as it is.
"""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, ClassVar

import numpy as np
from PIL import Image, ImageOps

from container.serving.ai_mark import source_of
from container.serving.engine import Catalogue, Engine, OnStep, Picture, UpscaleRequest
from container.serving.errors import BadRequest, EngineCrash
from container.serving.image_check import ImageCheck
from container.serving.image_files import FileOptions
from container.serving.init_images import read_header, read_init_image
from container.serving.names import find_name
from container.serving.reply import encode_and_score, with_images
from container.serving.settings import Limits
from container.serving.webui_fields import EXTRAS_BATCH, EXTRAS_SINGLE, read_fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """How large pictures shall become: by `factor`, or, where `size` is given, to (width, height).

    A size with another aspect ratio than the picture's is filled: its middle kept where `crop`, else the
    picture grows beyond it on one side.
    """

    factor: float
    size: tuple[int, int] | None
    crop: bool

    def result(self, width: int, height: int) -> tuple[int, int]:
        """The size in pixels that a picture of `width` x `height` comes out with."""
        if self.size and self.crop:
            return self.size
        factor = max(self.size[0] / width, self.size[1] / height) if self.size else self.factor
        return max(1, int(width * factor)), max(1, int(height * factor))

    def cropped(self, image: Image.Image) -> Image.Image:
        """The part of the picture that will be seen."""
        if not self.size or not self.crop:
            return image
        width, height = self.size
        factor = max(width / image.width, height / image.height)
        wide, high = max(1, round(width / factor)), max(1, round(height / factor))
        left, top = (image.width - wide) // 2, (image.height - high) // 2
        return image.crop((left, top, left + wide, top + high))


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtrasTask:
    """Picture files to upscale, as understood. `second` is blended over the first by `second_visibility`."""

    proves_engine: ClassVar[bool] = False

    task: str
    files: tuple[bytes, ...]
    scaling: Scaling
    upscaler: str | None
    second: str | None
    second_visibility: float
    notes: tuple[str, ...]

    @property
    def steps(self) -> int:
        return len(self.files)

    def run(self, engine: Engine, *, on_step: OnStep) -> tuple[Picture, ...]:
        """The pictures in their order; each counts as one step."""
        pictures = []
        for number, file in enumerate(self.files, start=1):
            pictures.append(self._upscaled(engine, file))
            on_step(number, len(self.files))
        return tuple(pictures)

    def reply(self, result: tuple[Picture, ...], *, files: FileOptions, check: ImageCheck) -> bytes:
        """`{"html_info", "images", "nsfw_scores"}`, or `image` in their place for the single task."""
        sources = [source_of(file) for file in self.files]
        images, scores = encode_and_score(result, sources=sources, files=files, check=check)
        rest = {"html_info": self._html(), "nsfw_scores": scores}
        if self.task == "extras-batch-images":
            return with_images(images, rest)
        return b'{"image": "' + images[0] + b'", ' + json.dumps(rest).encode()[1:]

    def summary(self) -> str:
        return f"{self.task}, {len(self.files)} pictures with {self.upscaler}"

    def _upscaled(self, engine: Engine, file: bytes) -> Picture:
        with Image.open(io.BytesIO(file)) as image:
            opened = _on_white(ImageOps.exif_transpose(image))
        if self.upscaler is None:
            return np.asarray(opened)
        width, height = self.scaling.result(*opened.size)
        picture = np.asarray(self.scaling.cropped(opened))
        first = _asked(engine, picture, self.upscaler, width, height)
        if self.second is None or not self.second_visibility:
            return first
        second = _asked(engine, picture, self.second, width, height)
        blended = Image.blend(Image.fromarray(first), Image.fromarray(second), self.second_visibility)
        return np.asarray(blended)

    def _html(self) -> str:
        """What was done and what was not, as webui's interface shows it: paragraphs."""
        upscalers = [f"Postprocess upscaler: {self.upscaler}"] if self.upscaler else []
        if self.upscaler and self.second and self.second_visibility:
            upscalers.append(f"Postprocess upscaler 2: {self.second}")
        lines = [", ".join(upscalers), *self.notes]
        return "".join(f"<p>{escape(line)}</p>" for line in lines if line)


def parse_single(payload: Mapping[str, Any], *, catalogue: Catalogue, limits: Limits) -> ExtrasTask:
    """One picture in `image`. Raises `BadRequest` naming the field, or `UnknownName`."""
    values, notes = read_fields(payload, EXTRAS_SINGLE, task="extras-single-image")
    file = read_init_image(payload.get("image"), field="image", max_pixels=limits.init_image_pixels)
    return _task("extras-single-image", [file], values, notes, catalogue=catalogue, limits=limits)


def parse_batch(payload: Mapping[str, Any], *, catalogue: Catalogue, limits: Limits) -> ExtrasTask:
    """Pictures in `imageList`, each `{"data", "name"}`. Raises as `parse_single` does."""
    values, notes = read_fields(payload, EXTRAS_BATCH, task="extras-batch-images")
    items = payload.get("imageList")
    if not isinstance(items, list) or not 1 <= len(items) <= limits.max_images:
        raise BadRequest(f"must be a list of 1 to {limits.max_images} pictures", field="imageList")
    files = [_listed(item, f"imageList[{number}]", limits=limits) for number, item in enumerate(items)]
    return _task("extras-batch-images", files, values, notes, catalogue=catalogue, limits=limits)


def _listed(item: Any, field: str, *, limits: Limits) -> bytes:
    if not isinstance(item, dict) or not item.keys() <= {"data", "name"}:
        raise BadRequest('must be {"data": a base64 text, "name": a text}', field=field)
    return read_init_image(item.get("data"), field=f"{field}.data", max_pixels=limits.init_image_pixels)


def _task(
    task: str,
    files: Sequence[bytes],
    values: Mapping[str, Any],
    notes: Sequence[str],
    *,
    catalogue: Catalogue,
    limits: Limits,
) -> ExtrasTask:
    by_size = values["resize_mode"] == 1
    size = (values["upscaling_resize_w"], values["upscaling_resize_h"]) if by_size else None
    scaling = Scaling(factor=values["upscaling_resize"], size=size, crop=values["upscaling_crop"])
    upscaler = _upscaler(values["upscaler_1"], catalogue, field="upscaler_1")
    _check_pixels(files, scaling if upscaler else None, limits=limits)
    return ExtrasTask(
        task=task,
        files=tuple(files),
        scaling=scaling,
        upscaler=upscaler,
        second=_upscaler(values["upscaler_2"], catalogue, field="upscaler_2"),
        second_visibility=values["extras_upscaler_2_visibility"],
        notes=tuple(notes),
    )


_LONGEST_SIDE = 16_383  # WebP files hold no more


def _check_pixels(files: Sequence[bytes], scaling: Scaling | None, *, limits: Limits) -> None:
    """Neither the pictures sent nor those answered may be too large, in all."""
    sent = [(header.width, header.height) for file in files if (header := read_header(file)) is not None]
    if _pixels(sent) > limits.init_image_pixels:
        raise BadRequest(f"at most {limits.init_image_pixels // 10**6} megapixels in all", field="imageList")
    field = "upscaling_resize_w" if scaling and scaling.size else "upscaling_resize"
    results = [_larger(scaling, *size) for size in sent] if scaling else sent
    if _pixels(results) > limits.max_pixels:
        raise BadRequest(f"would be more than {limits.max_pixels // 10**6} megapixels in all", field=field)
    if any(max(size) > _LONGEST_SIDE for size in results):
        raise BadRequest(f"a side would be longer than {_LONGEST_SIDE} pixels", field=field)


def _larger(scaling: Scaling, width: int, height: int) -> tuple[int, int]:
    """The result, or that of the picture on its side: which way a photo is meant only its EXIF knows."""
    upright, turned = scaling.result(width, height), scaling.result(height, width)
    return upright if upright[0] * upright[1] >= turned[0] * turned[1] else turned


def _pixels(sizes: Sequence[tuple[int, int]]) -> int:
    return sum(width * height for width, height in sizes)


def _upscaler(asked: str | None, catalogue: Catalogue, *, field: str) -> str | None:
    if asked is None or asked == "None":
        return None
    return find_name(asked, catalogue.upscalers, kind="upscaler", field=field)


def _asked(engine: Engine, picture: Picture, name: str, width: int, height: int) -> Picture:
    request = UpscaleRequest(picture=picture, upscaler_name=name, width=width, height=height)
    upscaled = engine.upscale(request)
    if upscaled.shape != (height, width, 3) or upscaled.dtype != "uint8":
        raise EngineCrash(f"the upscaler answered a picture of shape {upscaled.shape}")
    return upscaled


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":
        image.load()
        return image.copy()
    rgba = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
