"""From the endpoint's answer to the picture in the thread: 1024x1024, photo-like, readiness delay 0.

The workspace and the endpoint are processes of their own; the drawing itself takes no time. The clock
starts when the endpoint begins to answer and stops when a watching page hears of the message with the file.
"""

import asyncio
import base64
import io
import json
import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from multiprocessing.connection import Connection
from pathlib import Path

import httpx
import numpy as np
import websockets
from PIL import Image, ImageFilter

from bot.bootstrap import build_slack
from bot.config import load
from infra.local.children import Child, free_port
from infra.local.demo import Demo
from tests.benchmarks.figures import row

WARM_UP, COUNTED = 3, 25


def photo_like(side: int = 1024) -> bytes:
    """Soft shapes with sensor-like noise: hard for PNG, as real drawings are."""
    noise = np.random.default_rng(7)
    shapes = Image.fromarray(noise.integers(0, 255, (24, 24, 3), dtype=np.uint8)).resize((side, side))
    soft = np.asarray(shapes.filter(ImageFilter.GaussianBlur(6)), dtype=np.int16)
    grain = noise.normal(0, 4, (side, side, 3)).astype(np.int16)
    held = io.BytesIO()
    Image.fromarray(np.clip(soft + grain, 0, 255).astype(np.uint8)).save(held, "PNG", compress_level=1)
    return held.getvalue()


def main() -> None:
    picture = photo_like()
    with tempfile.TemporaryDirectory() as home, _endpoint(picture) as (endpoint, answered):
        port, bot_port = free_port(), free_port()
        demo = Demo(port=port, home=Path(home), environment={})
        workspace = Child(demo.workspace(bot_port), environment={})
        try:
            workspace.wait_ready(patience=20)
            config = load({**demo.bot_settings(bot_port), "IMAGINE_ENDPOINT_URL": endpoint})
            door = build_slack(config, log=io.StringIO())
            door.open()
            samples = asyncio.run(_watch(demo.page, answered))
            door.close()
        finally:
            workspace.stop()
    row(
        f"answer to picture ({len(picture) / 1e6:.1f} MB PNG)",
        samples[WARM_UP:],
        goal="goal median <= 150 ms",
    )


async def _watch(page: str, answered: Connection) -> list[float]:
    async with httpx.AsyncClient(base_url=page) as person:
        await person.get("/page/state")
        cookie = "; ".join(f"{name}={value}" for name, value in person.cookies.items())
        live = page.replace("http", "ws") + "/page/live"
        async with websockets.connect(
            live, additional_headers={"Cookie": cookie}, origin=page, max_size=None
        ) as socket:
            return [await _one(person, socket, answered, number) for number in range(WARM_UP + COUNTED)]


async def _one(
    person: httpx.AsyncClient, socket: websockets.ClientConnection, answered: Connection, number: int
) -> float:
    text = f"/imagine picture number {number} --width 1024 --height 1024"
    sent = await person.post("/page/send", json={"channel": "C0000000001", "text": text})
    assert sent.json()["ok"], sent.text
    while True:
        event = json.loads(await asyncio.wait_for(socket.recv(), 20))
        if event["type"] in ("message", "files") and (event.get("message") or {}).get("files"):
            seen = time.monotonic()
            await asyncio.sleep(1.2)  # Slack takes one post a second in a channel
            return (seen - answered.recv()) * 1000


@contextmanager
def _endpoint(picture: bytes) -> Iterator[tuple[str, Connection]]:
    port, (mine, theirs) = free_port(), multiprocessing.Pipe(duplex=False)
    process = multiprocessing.Process(target=_serve, args=(port, picture, theirs), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{port}", mine
    finally:
        process.terminate()
        process.join()


def _serve(port: int, picture: bytes, answered: Connection) -> None:
    body = json.dumps(
        {
            "images": [base64.b64encode(picture).decode()],
            "parameters": {},
            "info": json.dumps({"all_seeds": [1]}),
        }
    ).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(b'{"status": "Healthy", "invocations": []}')

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if asked["task"] == "catalogue":
                self._answer(b"{}")
                return
            answered.send(time.monotonic())
            self._answer(body)

        def _answer(self, content: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    HTTPServer(("127.0.0.1", port), Handler).serve_forever()
