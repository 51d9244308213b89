"""The built-in styles, and the text an engine gets once a style and the LoRAs are written into it."""

from dataclasses import dataclass
from types import MappingProxyType

from bot.domain.request import ImageRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """A template with one `{prompt}` and what to add to the negative prompt."""

    template: str
    negative: str = ""


STYLES = MappingProxyType(
    {
        "photo": Style(
            template="photo of {prompt}, natural light, sharp focus, 35mm",
            negative="drawing, painting, cartoon, render",
        ),
        "cinematic": Style(
            template="cinematic still of {prompt}, film grain, shallow depth of field, dramatic light",
            negative="drawing, cartoon, flat light",
        ),
        "anime": Style(
            template="anime illustration of {prompt}, clean line work, cel shading",
            negative="photo, realistic, render",
        ),
        "watercolor": Style(
            template="watercolor painting of {prompt}, soft washes, visible paper texture",
            negative="photo, render, hard edges",
        ),
        "oil": Style(
            template="oil painting of {prompt}, thick brush strokes, canvas texture",
            negative="photo, render",
        ),
        "pixel-art": Style(
            template="pixel art of {prompt}, 16-bit, limited palette, crisp pixels",
            negative="photo, blurry, smooth gradients",
        ),
        "3d": Style(
            template="3d render of {prompt}, soft studio light, smooth materials",
            negative="photo, sketch, flat",
        ),
        "flat": Style(
            template="flat vector illustration of {prompt}, simple shapes, solid colors",
            negative="photo, texture, shading, gradients",
        ),
        "lineart": Style(
            template="black line art of {prompt}, white background, clean outlines",
            negative="color, shading, photo",
        ),
        "sketch": Style(
            template="pencil sketch of {prompt}, hatching, paper texture",
            negative="photo, color",
        ),
    }
)


def engine_prompt(request: ImageRequest) -> tuple[str, str]:
    """The (prompt, negative prompt) an engine reads: style applied, LoRAs as `<lora:name:weight>` at the end.

    The LoRA tags are the only way the web UI's API knows LoRAs. A style this version does not have, such as
    one from an older job, leaves the prompt as it is.
    """
    style = STYLES.get(request.style or "", Style(template="{prompt}"))
    tags = [f"<lora:{use.name}:{use.weight:g}>" for use in request.loras]
    prompt = style.template.replace("{prompt}", request.prompt)
    negatives = [part for part in (request.negative_prompt, style.negative) if part]
    return " ".join([prompt, *tags]), ", ".join(negatives)
