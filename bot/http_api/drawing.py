"""From a JSON body to a drawing order: every field checked, then read by the prompt's own grammar.

The words go through the same parser as a line typed in Slack, so both doors draw and refuse the same.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bot.domain.errors import BadPicture
from bot.domain.prompt import Parsed, Problem, Refusal, parse, tidy
from bot.domain.prompt.quoting import wrap
from bot.domain.prompt.values import quoted_name
from bot.domain.request import ImageRequest
from bot.http_api.fields import Field, Kind, errors_of, fields_of, number_of
from bot.http_api.formats import CALLBACK, Translated, unprocessable
from bot.http_api.problems import FieldError
from bot.services.core import Core
from bot.services.offers import offered

FLAGS: Mapping[str, str] = {
    "width": "width",
    "height": "height",
    "n": "n",
    "steps": "steps",
    "guidance": "cfg",
    "seed": "seed",
    "subseed": "subseed",
    "subseed_strength": "subseed-strength",
    "sampler": "sampler",
    "model": "model",
    "style": "style",
}
"""Our fields and the flags of a line that mean the same."""

_FIELDS = {flag: name for name, flag in FLAGS.items()} | {"no": "negative_prompt", "lora": "loras"}
_FLAG = re.compile(r"--([a-z-]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a body asks for. `init_image` is a verified PNG; the request does not name it yet."""

    request: ImageRequest
    notes: tuple[str, ...]
    init_image: bytes | None = None
    callback_url: str | None = None


def read_body(core: Core, whole: Translated) -> Asked:
    """Raises Problem (422) that names the wrong fields and their fixes, and PeerError."""
    fields = {field.name: field for field in fields_of(core.policy)}
    sent = replace(whole, values={name: value for name, value in whole.values.items() if value is not None})
    errors = [*_unknown(whole, fields), *_wrong(sent, fields), *_missing(sent, fields)]
    if errors:
        raise unprocessable(errors)
    errors = _conflicts(core, sent)
    if errors:
        raise unprocessable(errors)
    picture = _picture(sent)
    parsed = _parsed(core, sent, fields)
    return Asked(
        request=replace(parsed.request, strength=sent.values.get("strength")),
        notes=(*sent.notes, *(_in_fields(note.message) for note in parsed.notes)),
        init_image=picture,
        callback_url=sent.values.get(CALLBACK),
    )


def _unknown(sent: Translated, fields: Mapping[str, Field]) -> list[FieldError]:
    fix = f"Fields are: {', '.join(fields)}."
    return [
        FieldError(field=sent.place(name)[:120], detail="There is no such field.", fix=fix)
        for name in sent.values
        if name not in fields
    ]


def _wrong(sent: Translated, fields: Mapping[str, Field]) -> list[FieldError]:
    return [
        error
        for name, value in sent.values.items()
        if name in fields
        for error in errors_of(fields[name], value, at=sent.place(name))
    ]


def _missing(sent: Translated, fields: Mapping[str, Field]) -> list[FieldError]:
    return [
        FieldError(field=sent.place(name), detail="It is missing.", fix=f"Say {field.meaning}.")
        for name, field in fields.items()
        if field.is_required and sent.values.get(name, "") == ""
    ]


def _conflicts(core: Core, sent: Translated) -> list[FieldError]:
    """What is wrong with two fields together."""
    values, found = sent.values, []
    most = core.policy.caps.max_pixels
    defaults = core.policy.defaults
    pixels = values.get("width", defaults.width) * values.get("height", defaults.height)
    if pixels > most:
        place = sent.place("width" if "width" in values else "height")
        found.append(
            FieldError(field=place, detail=f"That is {pixels:.0f} pixels.", fix=f"At most {most} are drawn.")
        )
    if "strength" in values and "init_image" not in values:
        found.append(
            FieldError(
                field=sent.place("strength"),
                detail="There is no picture to start from.",
                fix="Send init_image too, or leave strength out.",
            )
        )
    return found


def _picture(sent: Translated) -> bytes | None:
    """The picture to start from, decoded, verified and written anew."""
    text = sent.values.get("init_image")
    if text is None:
        return None
    from bot import imaging  # noqa: PLC0415  most requests bring no picture, and a start is waited for

    try:
        plain = text.split(",", 1)[1] if text.startswith("data:image/") and "," in text else text
        return imaging.verify(base64.b64decode(plain, validate=True)).png
    except (BadPicture, binascii.Error, ValueError):
        wrong = FieldError(
            field=sent.place("init_image"),
            detail="It is no whole PNG, JPEG or WebP picture in base64.",
            fix="Send the file's bytes in base64, or leave it out.",
        )
        raise unprocessable([wrong]) from None


def _parsed(core: Core, sent: Translated, fields: Mapping[str, Field]) -> Parsed:
    policy, catalogue = core.policy, offered(core)
    segments = _segments(sent, fields)
    line = " ".join(text for _, text in segments)
    read = parse(line, defaults=policy.defaults, caps=policy.caps, catalogue=catalogue)
    if isinstance(read, Refusal):
        raise unprocessable([_error_of(problem, sent, segments) for problem in read.problems])
    return read


def _segments(sent: Translated, fields: Mapping[str, Field]) -> list[tuple[str, str]]:
    """The line that a person would type for this body, field by field."""
    values = sent.values
    segments = [("prompt", wrap(tidy(values["prompt"])))]
    for name, flag in FLAGS.items():
        if name in values and values[name] != "":
            segments.append((name, f"--{flag} {_written(fields[name], values[name])}"))
    segments += [("loras", f"--lora {_lora(use)}") for use in values.get("loras", ())]
    if tidy(values.get("negative_prompt", "")):
        segments.append(("negative_prompt", f"--no {wrap(tidy(values['negative_prompt']))}"))
    return segments


def _written(field: Field, value: Any) -> str:
    if field.kind is Kind.TEXT:
        return quoted_name(tidy(value)) if tidy(value) else '""'
    number = number_of(field, value)
    return str(number) if isinstance(number, int) else _decimal(number)


def _lora(use: Mapping[str, Any]) -> str:
    return quoted_name(f"{tidy(use['name'])}:{_decimal(use.get('weight', 1))}")


def _decimal(number: float) -> str:
    return f"{number:.4f}".rstrip("0").rstrip(".")


def _error_of(problem: Problem, sent: Translated, segments: list[tuple[str, str]]) -> FieldError:
    """A problem of the line, told of the field whose words stand at its place."""
    name, end = "prompt", 0
    for segment, text in segments:
        if problem.start < end:
            break
        name, end = segment, end + len(text) + 1
    if problem.code == "empty_prompt":
        name = "prompt"
    return FieldError(field=sent.place(name), detail=_in_fields(problem.message), fix=_FIXES.get(name, _FIX))


_FIX = "Change the words there."
_FIXES = {
    "model": "GET /v1/models lists the models.",
    "loras": "GET /v1/models lists the LoRAs.",
    "sampler": "GET /v1/models lists the samplers.",
    "style": "GET /v1/models lists the styles.",
    "width": "Send another size.",
    "height": "Send another size.",
}


def _in_fields(message: str) -> str:
    """A sentence about flags, told of fields."""
    return _FLAG.sub(lambda flag: _FIELDS.get(flag[1], flag[0]), message)
