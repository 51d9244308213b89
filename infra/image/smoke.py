"""The proof before a push: the image is started as SageMaker starts it, and draws one picture."""

import base64
import http.client
import io
import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from infra.image.engine import ContainerEngine
from infra.image.errors import DrewNothing
from infra.image.recipe import ROOT

CHECKPOINT = ROOT / "container/embedded/model.safetensors"
START_SECONDS = 180.0
PROMPT = "a red apple"


def smoke(engine: ContainerEngine, image: str) -> tuple[int, int]:
    """Width and height of what it drew. Raises DrewNothing; ImageError from the engine."""
    found = engine.architecture(image)
    if found != "amd64":
        raise DrewNothing(f"{image} is for {found}, and SageMaker's instances are amd64; build it again")
    with _models() as models, engine.serving(image, models) as port:
        _wait_until_healthy(image, port)
        return _draw(image, port)


@contextmanager
def _models() -> Iterator[Path]:
    """A model folder as SageMaker mounts it, with the small model of the repository."""
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = Path(folder) / "Stable-diffusion"
        checkpoints.mkdir()
        shutil.copyfile(CHECKPOINT, checkpoints / "emoji.safetensors")
        for path in (checkpoints, Path(folder)):
            path.chmod(0o755)
        yield Path(folder)


def _wait_until_healthy(image: str, port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while _ask(port, "GET", "/ping")[0] != 200:
        if time.monotonic() > deadline:
            raise DrewNothing(f"{image} had no healthy /ping within {START_SECONDS:.0f} s")
        time.sleep(0.2)


def _draw(image: str, port: int) -> tuple[int, int]:
    drawing = {"prompt": PROMPT, "seed": 5, "steps": 4, "width": 256, "height": 256}
    status, answer = _ask(port, "POST", "/invocations", {"task": "text-to-image", "txt2img_payload": drawing})
    if status != 200:
        raise DrewNothing(f"{image} answered a drawing with status {status}: {str(answer)[:300]}")
    try:
        picture = Image.open(io.BytesIO(base64.b64decode(answer["images"][0])))
    except (KeyError, IndexError, ValueError, TypeError, UnidentifiedImageError) as error:
        raise DrewNothing(f"{image} answered a drawing without a picture: {str(answer)[:300]}") from error
    return picture.size


def _ask(port: int, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
    """Status and JSON; status 0 while nobody listens."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_SECONDS)
    try:
        sent = None if body is None else json.dumps(body)
        connection.request(method, path, sent, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, _json(answer.read())
    except (OSError, http.client.HTTPException):
        return 0, {}
    finally:
        connection.close()


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")
