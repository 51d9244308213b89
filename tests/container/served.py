"""A server in a thread of this process, and the requests the tests send it."""

import json
import socket
import threading
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import httpx
import uvicorn
from PIL import Image

from container.serving.app import create_app
from container.serving.drawing_queue import DrawingQueue
from container.serving.engine import Engine
from container.serving.image_check import ImageCheck
from container.serving.model_folder import ModelFolder
from container.serving.process import bind, create_server
from container.serving.settings import Settings

CHOSEN_SEED = 1234
PATIENCE = 60.0
"""Seconds to wait for what comes at once unless the machine is very busy."""

# The seed project's notebook, as it is (research/aws-peers.md 2.3), with a model of ours.
SEED_PAYLOAD: dict[str, Any] = {
    "enable_hr": False,
    "denoising_strength": 0.7,
    "firstphase_width": 0,
    "firstphase_height": 0,
    "prompt": "a photo of an astronaut riding a horse",
    "negative_prompt": "",
    "styles": ["None", "None"],
    "seed": -1.0,
    "subseed": -1.0,
    "subseed_strength": 0,
    "seed_resize_from_h": 0,
    "seed_resize_from_w": 0,
    "sampler_index": "DPM++ 2S a Karras",
    "batch_size": 1,
    "n_iter": 1,
    "steps": 35,
    "cfg_scale": 7,
    "width": 512,
    "height": 512,
    "restore_faces": True,
    "tiling": False,
    "eta": 1,
    "s_churn": 0,
    "s_tmax": None,
    "s_tmin": 0,
    "s_noise": 1,
    "override_settings": {},
    "script_args": [0, False, False, False, "", 1, "", 0, "", True, False, False],
}


class ServedClient(httpx.Client):
    """A client that can also reach behind the server it talks to."""

    server: uvicorn.Server
    queue: DrawingQueue


@contextmanager
def serving(
    engine: Engine,
    *,
    ready: bool = True,
    folder: ModelFolder | None = None,
    check: ImageCheck | None = None,
    **settings: Any,
) -> Iterator["ServedClient"]:
    """A client of a running server around the engine, by default once the engine has proven itself.

    Pictures are scored by `check`, else not at all.
    """
    chosen = Settings(**{"control": True, "image_check": False, **settings})
    app = create_app(engine, settings=chosen, folder=folder, check=check, choose_seed=lambda: CHOSEN_SEED)
    server = create_server(app, settings=chosen)
    with bind("127.0.0.1", 0) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        try:
            eventually(lambda: server.started)
            unlimited = httpx.Limits(max_connections=None)
            with ServedClient(
                base_url=address, timeout=PATIENCE, trust_env=False, limits=unlimited
            ) as client:
                client.server, client.queue = server, app.state.queue
                if ready:
                    eventually(lambda: client.get("/ping").status_code == 200)
                yield client
        finally:
            server.should_exit = True
            thread.join(30)


def eventually(true: Callable[[], bool]) -> None:
    """Wait until it is true; fail after `PATIENCE`."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, f"still not true after {PATIENCE:.0f} s"
        time.sleep(0.005)


def text_to_image(**fields: Any) -> dict[str, Any]:
    payload = {"prompt": "a red apple", "steps": 2, "width": 64, "height": 64} | fields
    return {"task": "text-to-image", "txt2img_payload": payload}


def image_to_image(**fields: Any) -> dict[str, Any]:
    payload = {"prompt": "a red apple", "steps": 2, "width": 64, "height": 64} | fields
    return {"task": "image-to-image", "img2img_payload": payload}


def pictures(body: dict[str, Any]) -> list[Image.Image]:
    return [Image.open(BytesIO(b64decode(image, validate=True))) for image in body["images"]]


def info(body: dict[str, Any]) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(body["info"])
    return parsed


@contextmanager
def leaving(client: httpx.Client, body: dict[str, Any]) -> Iterator[None]:
    """A request whose sender goes away, without having read an answer, when the block ends."""
    content = json.dumps(body).encode()
    head = f"POST /invocations HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(content)}\r\n\r\n"
    address = (client.base_url.host, client.base_url.port or 80)
    with socket.create_connection(address, timeout=PATIENCE) as sender:
        sender.sendall(head.encode() + content)
        yield


class Call:
    """A request under way in a thread of its own."""

    def __init__(
        self, client: httpx.Client, body: dict[str, Any], *, inference_id: str | None = None
    ) -> None:
        self._client = client
        self._body = body
        self._outcome: httpx.Response | httpx.TransportError
        self._headers = {"X-Amzn-SageMaker-Inference-Id": inference_id} if inference_id else {}
        self._thread = threading.Thread(target=self._send)
        self._thread.start()

    def _send(self) -> None:
        try:
            self._outcome = self._client.post("/invocations", json=self._body, headers=self._headers)
        except httpx.TransportError as error:
            self._outcome = error

    def response(self) -> httpx.Response:
        """The answer, awaited up to `PATIENCE`. Raises httpx's error where the connection broke."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), f"no answer after {PATIENCE:.0f} s"
        if isinstance(self._outcome, httpx.TransportError):
            raise self._outcome
        return self._outcome
