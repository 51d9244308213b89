"""The fields of a request of ours: one table that reads bodies and writes the OpenAPI document."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bot.domain.prompt.sizes import GRID, SMALLEST_SIDE
from bot.domain.request import SEED_SPACE
from bot.http_api.problems import FieldError
from bot.services.core import Policy

LONGEST_NAME, LONGEST_URL = 100, 2000
LONGEST_PICTURE = 1_000_000
NAME = r'^[^"\\\u0000-\u001f\u007f]*$'
_NAME = re.compile(r'[^"\\\x00-\x1f\x7f“”„‟]*')


class Kind(StrEnum):
    """The JSON types that fields have, in JSON Schema's words where it has one."""

    TEXT = "string"
    WHOLE = "integer"
    DECIMAL = "number"
    LORAS = "array"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """`minimum`, `maximum` and `multiple` bound numbers; `longest` is characters, or items of a list.

    `is_name`: a text that names something, without quotes or control characters.
    """

    name: str
    kind: Kind
    meaning: str
    minimum: float | None = None
    maximum: float | None = None
    multiple: int | None = None
    longest: int | None = None
    is_name: bool = False
    is_required: bool = False
    example: Any = None


def fields_of(policy: Policy) -> tuple[Field, ...]:
    """What a body may hold under the team's caps."""
    caps = policy.caps
    seed: dict[str, Any] = {"kind": Kind.WHOLE, "minimum": 0, "maximum": SEED_SPACE - 1}
    side: dict[str, Any] = {"kind": Kind.WHOLE, "minimum": SMALLEST_SIDE, "maximum": 2048, "multiple": GRID}
    words: dict[str, Any] = {"kind": Kind.TEXT, "longest": caps.max_prompt_chars}
    name: dict[str, Any] = {"kind": Kind.TEXT, "longest": LONGEST_NAME, "is_name": True}
    return (
        Field(
            name="prompt", **words, meaning="what to draw", is_required=True, example="a red fox in the snow"
        ),
        Field(name="negative_prompt", **words, meaning="what must not be in the picture", example="text"),
        Field(
            name="width",
            **side,
            meaning=f"pixels; width x height at most {caps.max_pixels}",
            example=512,
        ),
        Field(name="height", **side, meaning="pixels, likewise", example=512),
        Field(
            name="n", kind=Kind.WHOLE, minimum=1, maximum=caps.max_n, meaning="how many pictures", example=1
        ),
        Field(
            name="steps",
            kind=Kind.WHOLE,
            minimum=1,
            maximum=caps.max_steps,
            meaning="drawing steps; more is slower",
            example=20,
        ),
        Field(
            name="guidance",
            kind=Kind.DECIMAL,
            minimum=1,
            maximum=30,
            meaning="how closely the picture follows the words (cfg_scale)",
            example=7.0,
        ),
        Field(name="seed", **seed, meaning="start noise; left out: a random one", example=7),
        Field(name="subseed", **seed, meaning="second noise, blended in to vary a picture"),
        Field(
            name="subseed_strength",
            kind=Kind.DECIMAL,
            minimum=0,
            maximum=1,
            meaning="how much of the second noise",
        ),
        Field(name="sampler", **name, meaning="the sampling method", example="Euler a"),
        Field(name="model", **name, meaning="which model draws; GET /v1/models lists them"),
        Field(name="style", **name, meaning="a look, put around the prompt", example="watercolor"),
        Field(name="loras", kind=Kind.LORAS, longest=caps.max_loras, meaning="LoRAs to mix in"),
        Field(
            name="init_image",
            kind=Kind.TEXT,
            longest=LONGEST_PICTURE,
            meaning="picture to start from: PNG, JPEG or WebP in base64",
        ),
        Field(
            name="strength",
            kind=Kind.DECIMAL,
            minimum=0,
            maximum=1,
            meaning="how far to move away from init_image",
            example=0.6,
        ),
        Field(
            name="callback_url",
            kind=Kind.TEXT,
            longest=LONGEST_URL,
            meaning="https address that is told the outcome, signed; see docs/http-api.md",
            example="https://example.com/pictures",
        ),
    )


def schema_of(field: Field) -> dict[str, Any]:
    """The field in JSON Schema. Null stands for "left out"."""
    schema: dict[str, Any] = {"type": [field.kind.value, "null"], "description": field.meaning}
    bounds = {"minimum": field.minimum, "maximum": field.maximum, "multipleOf": field.multiple}
    schema |= {word: bound for word, bound in bounds.items() if bound is not None}
    if field.longest is not None:
        schema["maxItems" if field.kind is Kind.LORAS else "maxLength"] = field.longest
    if field.kind is Kind.LORAS:
        schema["items"] = LORA_SCHEMA
    if field.is_name:
        schema["pattern"] = NAME
    if field.is_required:
        schema |= {"type": field.kind.value, "minLength": 1}
    if field.example is not None:
        schema["examples"] = [field.example]
    return schema


LORA_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": LONGEST_NAME, "pattern": NAME},
        "weight": {"type": "number", "minimum": -10, "maximum": 10, "default": 1},
    },
}
_LORA_NAME = Field(name="name", kind=Kind.TEXT, meaning="", longest=LONGEST_NAME, is_name=True)
_LORA_WEIGHT = Field(name="weight", kind=Kind.DECIMAL, meaning="", minimum=-10, maximum=10)


def body_schema(fields: tuple[Field, ...]) -> dict[str, Any]:
    """A body of ours in JSON Schema."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [field.name for field in fields if field.is_required],
        "properties": {field.name: schema_of(field) for field in fields},
    }


def errors_of(field: Field, value: Any, *, at: str) -> Iterator[FieldError]:
    """What is wrong with a value that is there; `at` is its place in the body that was sent."""
    if field.kind is Kind.LORAS:
        yield from _lora_errors(field, value, at)
    elif field.kind is Kind.TEXT:
        yield from _text_errors(field, value, at)
    else:
        yield from _number_errors(field, value, at)


def number_of(field: Field, value: Any) -> float:
    """A number that `errors_of` found right; whole ones also where the client wrote 7.0."""
    return int(value) if field.kind is Kind.WHOLE else float(value)


def _text_errors(field: Field, value: Any, at: str) -> Iterator[FieldError]:
    if not isinstance(value, str):
        yield _error(at, f"It is {_kind_of(value)}.", "Send a string.")
    elif field.longest is not None and len(value) > field.longest:
        yield _error(at, f"It has {len(value)} characters.", f"Send at most {field.longest} characters.")
    elif any("\ud800" <= character <= "\udfff" for character in value):
        yield _error(at, "It holds half a surrogate pair.", "Send valid Unicode.")
    elif field.is_name and not _NAME.fullmatch(value):
        yield _error(at, "It holds a quote, a backslash or a control character.", "Send the plain name.")


def _number_errors(field: Field, value: Any, at: str) -> Iterator[FieldError]:
    is_whole = field.kind is Kind.WHOLE
    wanted = "whole number" if is_whole else "number"
    fix = f"Send a {wanted} from {_number(field.minimum)} to {_number(field.maximum)}."
    if isinstance(value, bool) or not isinstance(value, int | float):
        yield _error(at, f"It is {_kind_of(value)}.", fix)
    elif not (field.minimum or 0) <= value <= (math.inf if field.maximum is None else field.maximum):
        yield _error(at, "It is outside the range.", fix)
    elif is_whole and value != int(value):
        yield _error(at, "It is no whole number.", fix)
    elif field.multiple and value % field.multiple:
        below = int(value) // field.multiple * field.multiple
        yield _error(
            at,
            f"It is no multiple of {field.multiple}.",
            f"Send a multiple of {field.multiple}, such as {max(below, SMALLEST_SIDE)}.",
        )


def _lora_errors(field: Field, value: Any, at: str) -> Iterator[FieldError]:
    if not isinstance(value, list) or len(value) > (field.longest or 0):
        yield _error(at, "It is no list of that kind.", f"Send a list of at most {field.longest} LoRAs.")
        return
    for index, use in enumerate(value):
        place = f"{at}/{index}"
        if not isinstance(use, dict) or not use.get("name") or not use.keys() <= {"name", "weight"}:
            yield _error(place, "It is no LoRA.", 'Send {"name": "inkwash", "weight": 0.8}.')
            continue
        yield from _text_errors(_LORA_NAME, use["name"], f"{place}/name")
        if "weight" in use:
            yield from _number_errors(_LORA_WEIGHT, use["weight"], f"{place}/weight")


def _error(at: str, detail: str, fix: str) -> FieldError:
    return FieldError(field=at, detail=detail, fix=fix)


def _number(bound: float | None) -> str:
    return f"{bound:.0f}" if bound is not None and float(bound).is_integer() else f"{bound}"


def _kind_of(value: Any) -> str:
    names = {bool: "true or false", str: "a string", int: "a number", float: "a number", list: "a list"}
    return names.get(type(value), "an object" if isinstance(value, dict) else "null")
