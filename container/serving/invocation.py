"""From the body of `POST /invocations` to a task.

The body is that of the seed's container (generation G1): `task`, `model` and a payload in webui's fields.
Unknown keys at the top are ignored, as every generation of that container does; unknown keys in a payload
are refused, and so are `options`, by which a later generation let anybody set the server up.
"""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, Protocol

from container.serving.catalogue_task import CatalogueTask
from container.serving.drawing_request import parse_drawing
from container.serving.engine import Catalogue, Engine, OnStep
from container.serving.errors import BadRequest
from container.serving.extras_task import parse_batch, parse_single
from container.serving.image_check import ImageCheck
from container.serving.image_files import FileOptions
from container.serving.interrogate_task import parse_interrogation
from container.serving.overrides import Envelope
from container.serving.settings import Limits
from container.serving.webui_fields import flag, optional_text, text

PAYLOADS = {
    "text-to-image": "txt2img_payload",
    "image-to-image": "img2img_payload",
    "extras-single-image": "extras_single_payload",
    "extras-batch-images": "extras_batch_payload",
    "interrogate": "interrogate_payload",
}
TASKS = (*PAYLOADS, "catalogue")


class Task(Protocol):
    """What one invocation asks for: run on the drawing thread, then written down on any.

    `steps` it will tell of in all. `proves_engine`: whether its success shows that the engine can draw.
    """

    @property
    def task(self) -> str: ...
    @property
    def steps(self) -> int: ...
    @property
    def proves_engine(self) -> bool: ...

    def run(self, engine: Engine, *, on_step: OnStep) -> Any:
        """Do it. Raises as the engine does, and what `on_step` raises."""

    def reply(self, result: Any, *, files: FileOptions, check: ImageCheck) -> bytes:
        """The success body for what `run` answered, every picture in it scored."""

    def summary(self) -> str:
        """One line for the log: numbers and our own names only, nothing a person wrote."""


def parse_invocation(
    body: bytes, *, catalogue: Catalogue, limits: Limits, choose_seed: Callable[[], int]
) -> Task | CatalogueTask:
    """Understand a request body. Raises `BadRequest` naming the field, or `UnknownName`.

    `choose_seed` answers a number in 0 .. 2**32-1 where the request leaves a seed open.
    """
    top = _read_object(body)
    task = text(top.get("task"), "task")
    if task not in TASKS:
        raise BadRequest(f"must be one of {', '.join(TASKS)}", field="task")
    if top.get("options"):
        raise BadRequest("the server's options cannot be set by a request", field="options")
    if task == "catalogue":
        return CatalogueTask()
    payload = _payload(top, task)
    if task == "extras-single-image":
        return parse_single(payload, catalogue=catalogue, limits=limits)
    if task == "extras-batch-images":
        return parse_batch(payload, catalogue=catalogue, limits=limits)
    if task == "interrogate":
        return parse_interrogation(payload, limits=limits)
    return parse_drawing(
        task,
        payload,
        envelope=_envelope(top),
        catalogue=catalogue,
        limits=limits,
        choose_seed=choose_seed,
    )


def _envelope(top: Mapping[str, Any]) -> Envelope:
    exact = top.get("exact")
    return Envelope(
        model=optional_text(top.get("model"), "model"),
        vae=optional_text(top.get("vae"), "vae"),
        exact=exact is not None and flag(exact, "exact"),
    )


def _payload(top: Mapping[str, Any], task: str) -> Mapping[str, Any]:
    key = PAYLOADS[task]
    payload = top.get(key)
    if not isinstance(payload, dict):
        raise BadRequest(f"{task} needs an object of webui fields here", field=key)
    return payload


def _read_object(body: bytes) -> dict[str, Any]:
    try:
        top = json.loads(body, parse_constant=_refuse_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:  # ValueError: bad JSON or UTF-8, absurd numbers
        raise BadRequest("the body is not valid JSON") from error
    if not isinstance(top, dict):
        raise BadRequest("the body must be a JSON object")
    return top


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits[:20]} is too large")
    return number
