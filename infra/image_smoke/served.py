"""An image running as SageMaker runs it, and what one can ask of it."""

import base64
import http.client
import io
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from infra.image_smoke.buildah import Buildah
from infra.image_smoke.errors import SmokeError

SAGEMAKER_MODELS = "/opt/ml/model"
START_S = 180.0
STOP_S = 30.0  # what SageMaker leaves between SIGTERM and SIGKILL
ONE_THREAD = "--env=OMP_NUM_THREADS=1"  # several spin while they wait for each other, long on a busy machine

_PORT = 8080  # SageMaker's


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """One started image. `arguments` is the command line that runs in it."""

    process: subprocess.Popen[bytes]
    arguments: tuple[str, ...]
    output: Path

    def wait_until_healthy(self) -> tuple[dict[str, Any], float]:
        """The first healthy `/ping`, and the seconds until then. Raises `SmokeError` if there is none."""
        began = time.monotonic()
        while time.monotonic() - began < START_S:
            if self.process.poll() is not None:
                raise SmokeError(f"the server ended with status {self.process.returncode}:\n{self.said()}")
            status, body = _ask("/ping")
            if status == 200:
                return body, time.monotonic() - began
            time.sleep(0.1)
        raise SmokeError(f"no healthy /ping within {START_S:.0f} s:\n{self.said()}")

    def draw(self, prompt: str, **fields: object) -> NDArray[np.int16]:
        """One picture, shape (height, width, 3). Raises `SmokeError` on any answer but a picture."""
        payload = {"prompt": prompt, "seed": 5, "steps": 12, "width": 256, "height": 256, **fields}
        status, body = _ask("/invocations", {"task": "text-to-image", "txt2img_payload": payload})
        if status != 200:
            raise SmokeError(f"/invocations answered {status}: {body}\n{self.said()}")
        file = io.BytesIO(base64.b64decode(body["images"][0]))
        return np.asarray(Image.open(file).convert("RGB")).astype(np.int16)

    def stop(self) -> float:
        """Send SIGTERM to the server itself; the seconds until all of it was gone. Raises `SmokeError`."""
        began = time.monotonic()
        for pid in self.pids():
            os.kill(pid, signal.SIGTERM)
        try:
            status = self.process.wait(timeout=STOP_S)
        except subprocess.TimeoutExpired as error:
            raise SmokeError(f"SIGTERM did not end it within {STOP_S:.0f} s:\n{self.said()}") from error
        if status != 0:
            raise SmokeError(f"it ended with status {status} after SIGTERM:\n{self.said()}")
        return time.monotonic() - began

    def pids(self) -> list[int]:
        """The server's own process (not buildah's around it, nor what the server started)."""
        # The first word comes as a path, looked up in the image's PATH.
        wanted = self.arguments[1:]
        return [pid for pid in _descendants(self.process.pid) if _command_line(pid)[1:] == wanted]

    def said(self) -> str:
        """The end of what it wrote."""
        return self.output.read_text(errors="replace")[-3000:]


@contextmanager
def serving(buildah: Buildah, image: str, *, models: Path, output: Path) -> Iterator[Served]:
    """`image` started with the word `serve`, its own user and environment, and `models` read-only inside."""
    arguments = (*buildah.config(image).entrypoint, "serve")
    with buildah.working_container(image) as container, output.open("wb") as written:
        command = buildah.command(
            "run",
            "--isolation=chroot",
            "--env=SAGEMAKER_REGION=us-east-1",
            ONE_THREAD,
            f"--volume={models}:{SAGEMAKER_MODELS}:ro",
            container,
            "--",
            *arguments,
        )
        process = subprocess.Popen(command, stdout=written, stderr=subprocess.STDOUT)
        served = Served(process=process, arguments=arguments, output=output)
        try:
            yield served
        finally:
            _end(served)


def _end(served: Served) -> None:
    """Whatever happened, nothing goes on running."""
    if served.process.poll() is None:
        for pid in _descendants(served.process.pid):
            os.kill(pid, signal.SIGKILL)
    served.process.wait(timeout=STOP_S)


def _ask(path: str, body: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
    """Status and JSON of an answer; status 0 while nobody listens."""
    connection = http.client.HTTPConnection("127.0.0.1", _PORT, timeout=START_S)
    try:
        if body is None:
            connection.request("GET", path)
        else:
            connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    except ConnectionError:
        return 0, {}
    finally:
        connection.close()


def _descendants(pid: int) -> list[int]:
    """All processes below `pid`, the farthest first."""
    try:
        children = [
            int(child)
            for listed in Path(f"/proc/{pid}/task").glob("*/children")
            for child in listed.read_text().split()
        ]
    except FileNotFoundError:
        return []
    return [below for child in children for below in (*_descendants(child), child)]


def _command_line(pid: int) -> tuple[str, ...]:
    try:
        return tuple(Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0").split("\0"))
    except FileNotFoundError:
        return ()
