"""What the inference server adds to the time an engine takes."""

import base64
import io
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import numpy as np
from PIL import Image

from container.embedded.engine import EmbeddedEngine
from container.serving import png
from container.serving.engine import Drawing, DrawRequest, EngineInfo
from container.serving.image_check import NoCheck
from container.serving.image_files import FileOptions
from container.serving.reply import write_drawings
from tests.benchmarks.figures import row, single
from tests.benchmarks.stub_server import DRAWING_S, noisy_picture
from tests.container.served import eventually, serving, text_to_image

TIMES = 15
PAIRS = 15


def main() -> None:
    for scored in (False, True):
        with _stub_server(*(["check"] if scored else [])) as client:
            took = [_posted_s(client, _large()) for _ in range(TIMES + 1)][1:]
        name = f"server over a 2.0 s engine, 1024x1024{', scored' if scored else ''}"
        row(name, [(s - DRAWING_S) * 1e3 for s in took], goal="goal p50 <= 60 ms")
    _whole_response()
    _real_pairs()


def _large() -> dict[str, Any]:
    return text_to_image(width=1024, height=1024, steps=20)


@contextmanager
def _stub_server(*arguments: str) -> Iterator[httpx.Client]:
    command = [sys.executable, "-m", "tests.benchmarks.stub_server", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        try:
            with httpx.Client(base_url=address, timeout=30, trust_env=False) as client:
                eventually(lambda: _healthy(client))
                yield client
        finally:
            process.terminate()


def _healthy(client: httpx.Client) -> bool:
    try:
        return client.get("/ping").status_code == 200
    except httpx.TransportError:
        return False


def _posted_s(client: httpx.Client, body: dict[str, Any]) -> float:
    began = time.perf_counter()
    client.post("/invocations", json=body).raise_for_status()
    return time.perf_counter() - began


def _whole_response() -> None:
    """A reply of four pictures against the same made with what lies nearest at hand, in interleaved pairs."""
    pictures = [noisy_picture(1024, 1024, seed=seed) for seed in range(4)]
    request = DrawRequest(prompt="a red apple", width=1024, height=1024, batch_size=4)
    seeds = (1, 2, 3, 4)
    drawing = Drawing(images=tuple(pictures), seeds=seeds, subseeds=seeds)

    def ours() -> None:
        write_drawings(
            [request],
            [drawing],
            parameters={},
            notes=(),
            engine=EngineInfo(name="x", model="x", model_hash=""),
            files=FileOptions(),
            check=NoCheck(),
        )

    def plain() -> None:
        images = [base64.b64encode(_pillow_png(picture)).decode() for picture in pictures]
        json.dumps({"images": images, "parameters": {}, "info": "{}"}).encode()

    pairs = [(_took_s(plain), _took_s(ours)) for _ in range(PAIRS)]
    row("reply of 4 at 1024x1024", [mine * 1e3 for _, mine in pairs])
    row("  with Pillow's PNG, json and base64", [theirs * 1e3 for theirs, _ in pairs])
    factor = statistics.median(theirs / mine for theirs, mine in pairs)
    single("  times as fast", factor, unit="x", goal="goal >= 20")
    sizes = [len(png.encode(picture)) / len(_pillow_png(picture)) for picture in pictures]
    single("  PNG file beside Pillow's", statistics.median(sizes), unit="x")


def _pillow_png(picture: np.ndarray[Any, Any]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


def _took_s(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _real_pairs() -> None:
    """One engine, called directly and through the server in turn."""
    engine = EmbeddedEngine()
    request = DrawRequest(prompt="a red apple", width=1024, height=1024, steps=20, sampler_name="Euler")
    with serving(engine) as client:
        pairs = [
            (
                _took_s(lambda: engine.generate(request, on_step=lambda _step, _steps: None)),
                _posted_s(client, _large()),
            )
            for _ in range(PAIRS)
        ]
    row("embedded engine by itself, 1024x1024", [direct * 1e3 for direct, _ in pairs])
    row("  through the server", [served * 1e3 for _, served in pairs])
    row("  what the server adds, pair by pair", [(served - direct) * 1e3 for direct, served in pairs])


if __name__ == "__main__":
    main()
