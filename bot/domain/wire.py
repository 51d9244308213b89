"""The `/invocations` wire format: the request the seed's container understands, and its answers.

Source of the request: generation G1 in research/aws-peers.md section 2 (the seed's notebook and
container at aws-samples/amazon-ai-with-slack-bot 2ff78f2a). The reader accepts what every known
generation writes and treats an `error` in a success object as a failure.
"""

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

from bot.domain import messages
from bot.domain.errors import BadOutput
from bot.domain.job import Outcome
from bot.domain.prompt import engine_prompt
from bot.domain.request import ImageRequest

MAX_PICTURES = 16
LONGEST_TEXT, MOST_TEXTS = 200, 20
"""What a row keeps of the engine's words: an answer must not grow a row beyond what its store takes."""

MOST_SECONDS = 3600.0
"""The longest an asynchronous invocation may take (InvokeEndpointAsync)."""

MOST_SEED = 2**53
"""The largest whole number that JSON passes on for sure."""

MOST_NEAREST = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What a response held. Exactly one of `pictures` and `failure` says something."""

    pictures: tuple[bytes, ...] = ()
    seeds: tuple[int, ...] = ()
    model: str | None = None
    unknown_words: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    gpu_seconds: float | None = None
    failure: Outcome | None = None


def invocation_body(request: ImageRequest, *, init_image: bytes | None = None) -> bytes:
    """The JSON body for one drawing.

    Integers for seeds, both sampler names (old builds read one, new ones the other), and no hires
    fields: research/aws-peers.md 2.3.
    """
    prompt, negative = engine_prompt(request)
    payload: dict[str, Any] = {
        "prompt": prompt,
        "negative_prompt": negative,
        "seed": request.seed if request.seed is not None else -1,
        "subseed": request.subseed if request.subseed is not None else -1,
        "subseed_strength": request.subseed_strength,
        "sampler_name": request.sampler,
        "sampler_index": request.sampler,
        "batch_size": request.n,
        "n_iter": 1,
        "steps": request.steps,
        "cfg_scale": request.guidance,
        "width": request.width,
        "height": request.height,
    }
    if init_image is None:
        body = {"task": "text-to-image", "txt2img_payload": payload}
    else:
        payload["init_images"] = [base64.b64encode(init_image).decode()]
        payload["denoising_strength"] = request.strength if request.strength is not None else 0.75
        body = {"task": "image-to-image", "img2img_payload": payload}
    if request.model is not None:
        body["model"] = request.model
    return json.dumps(body).encode()


def read_output(body: bytes) -> Output:
    """Read a success object. Raises BadOutput when it holds neither pictures nor an error."""
    answer = _json_object(body)
    if answer.get("error"):
        return Output(failure=_failure_of(answer), notes=_failure_notes(answer))
    images = answer.get("images")
    if images is None and isinstance(answer.get("image"), str):
        images = [answer["image"]]
    if not isinstance(images, list) or not images or len(images) > MAX_PICTURES:
        raise BadOutput("no images")
    info = _info(answer.get("info"))
    return Output(
        pictures=tuple(_picture(item) for item in images),
        seeds=_seeds(info.get("all_seeds")),
        model=_text(info.get("sd_model_name")),
        unknown_words=_texts(info.get("unknown_words")),
        notes=_texts(info.get("notes")),
        gpu_seconds=_seconds(info.get("gpu_seconds")),
    )


def read_failure(body: bytes) -> Outcome:
    """The outcome a failure object stands for; anything unreadable is a failed engine."""
    try:
        return _failure_of(_json_object(body))
    except BadOutput:
        return Outcome.ENGINE_FAILED


def failure_notes(body: bytes) -> tuple[str, ...]:
    """What a failure object says that helps: the names nearest to one that the endpoint lacks."""
    try:
        return _failure_notes(_json_object(body))
    except BadOutput:
        return ()


_FAILURES = {
    "bad_request": Outcome.ENGINE_REFUSED,
    "body_too_large": Outcome.ENGINE_REFUSED,
    "busy": Outcome.ENDPOINT_DOWN,
    "cancelled": Outcome.CANCELLED,
    "expired": Outcome.WAITED_TOO_LONG,
    "not_ready": Outcome.ENDPOINT_DOWN,
    "not_supported": Outcome.ENGINE_REFUSED,
    "out_of_memory": Outcome.OUT_OF_MEMORY,
    "stuck": Outcome.TIMED_OUT,
    "timeout": Outcome.TIMED_OUT,
    "unavailable": Outcome.ENDPOINT_DOWN,
    "unknown_name": Outcome.UNKNOWN_MODEL,
}
"""Error codes of our container (container/serving/errors.py) and of what stands in for SageMaker."""


def _failure_of(answer: dict[str, Any]) -> Outcome:
    error = answer.get("error")
    code = error.get("code") if isinstance(error, dict) else None
    return _FAILURES.get(code, Outcome.ENGINE_FAILED) if isinstance(code, str) else Outcome.ENGINE_FAILED


def _failure_notes(answer: dict[str, Any]) -> tuple[str, ...]:
    error = answer.get("error")
    names = _texts(error.get("nearest"))[:MOST_NEAREST] if isinstance(error, dict) else ()
    return (messages.NEAREST_THERE.format(names=", ".join(names)),) if names else ()


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadOutput("not JSON") from error
    if not isinstance(answer, dict):
        raise BadOutput("not an object")
    return answer


def _info(value: object) -> dict[str, Any]:
    """`info` is a JSON text inside the JSON; older containers leave it out or empty."""
    if not isinstance(value, str) or not value:
        return {}
    try:
        return _json_object(value.encode(errors="replace"))
    except BadOutput:
        return {}


def _picture(item: object) -> bytes:
    if not isinstance(item, str):
        raise BadOutput("an image is no text")
    text = item.split(",", 1)[1] if item.startswith("data:image/") and "," in item else item
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadOutput("an image is no base64") from error


def _seeds(value: object) -> tuple[int, ...]:
    """All of them or none: one that is missing would give its place to the next picture's."""
    items = value if isinstance(value, list) else []
    known = all(isinstance(item, int | float) and 0 <= item <= MOST_SEED for item in items)
    return tuple(int(item) for item in items) if known else ()


def _texts(value: object) -> tuple[str, ...]:
    items = value if isinstance(value, list) else []
    return tuple(item[:LONGEST_TEXT] for item in items if isinstance(item, str))[:MOST_TEXTS]


def _text(value: object) -> str | None:
    return value[:LONGEST_TEXT] if isinstance(value, str) and value else None


def _seconds(value: object) -> float | None:
    """None for what no invocation can have taken: infinite, negative, no number at all."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MOST_SECONDS:
        return None
    return float(value)
