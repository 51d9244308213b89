"""webui's inpainting fields: where to draw anew in a picture, and what lies there before."""

from collections.abc import Mapping
from typing import Any

from container.serving.engine import Fill, Mask
from container.serving.init_images import PictureReader
from container.serving.settings import Limits
from container.serving.webui_fields import Field, Used, flag, integer, number, read_used, without_effect


def parse_mask(
    payload: Mapping[str, Any], *, pictures: PictureReader, limits: Limits
) -> tuple[Mask | None, list[str]]:
    """The mask, if the payload has one, and notes. Raises `BadRequest` naming the field."""
    if not payload.get("mask"):
        return None, []
    asked = read_used(payload, _fields(limits))
    blur = asked["mask_blur"]
    mask = Mask(
        file=pictures.read(payload["mask"], field="mask"),
        inverted=asked["inpainting_mask_invert"],
        blur_x=asked["mask_blur_x"] if blur is None else blur,
        blur_y=asked["mask_blur_y"] if blur is None else blur,
        fill=list(Fill)[asked["inpainting_fill"]],
        only_masked=asked["inpaint_full_res"],
        padding=asked["inpaint_full_res_padding"],
    )
    return mask, without_effect([] if asked["mask_round"] else ["mask_round"])


def _fields(limits: Limits) -> dict[str, Field]:
    """`mask_blur`, where it is sent, stands for both directions."""
    blur = number(0, limits.mask_blur)
    return {
        "mask_blur": Used(parse=blur, default=None),
        "mask_blur_x": Used(parse=blur, default=4.0),
        "mask_blur_y": Used(parse=blur, default=4.0),
        "mask_round": Used(parse=flag, default=True),
        "inpainting_fill": Used(parse=integer(0, len(Fill) - 1), default=0),
        "inpaint_full_res": Used(parse=flag, default=True),
        "inpaint_full_res_padding": Used(parse=integer(0, limits.max_side), default=0),
        "inpainting_mask_invert": Used(parse=flag, default=False),
    }
