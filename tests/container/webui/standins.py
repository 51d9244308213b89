"""webui engines around the stand-in, started as a real process."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from container.serving.engine import DrawRequest
from container.webui.engine import WebuiEngine
from container.webui.settings import WebuiSettings

SOURCE = Path(__file__).parent / "standin"

FILES = {
    "Stable-diffusion/first.safetensors": b"first",
    "Stable-diffusion/anime/second.safetensors": b"second",
    "Lora/apple-style.safetensors": b"lora",
    "VAE/soft.safetensors": b"vae",
    "ControlNet/lines.safetensors": b"controlnet",
    "embeddings/badhands.pt": b"embedding",
    "ESRGAN/Sharp4x.pth": b"upscaler",
}


def model_folder(place: Path) -> Path:
    """A folder of models in the seed's layout, with a catalogue of hashes."""
    for name, content in FILES.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)
    hashes = {name: {"sha256": hashlib.sha256(content).hexdigest()} for name, content in FILES.items()}
    (place / "catalogue.json").write_text(json.dumps({"files": hashes}))
    return place


def settings(*trouble: str, dialect: str = "1.10", **changed: Any) -> WebuiSettings:
    """Of a stand-in of that generation, which misbehaves as named when the prompt says "trouble"."""
    flags = [
        "--standin-dialect",
        dialect,
        *(part for name in trouble for part in ("--standin-trouble", name)),
    ]
    chosen: dict[str, Any] = {
        "source": SOURCE,
        "flags": tuple(flags),
        "environment": {"PATH": os.environ["PATH"]},
        "start_s": 60.0,
        "silent_s": 60.0,
        "request_s": 60.0,
        "interrupt_s": 10.0,
        "restart_s": 60.0,
        "first_pause_s": 0.01,
        "poll_s": 0.01,
    }
    return WebuiSettings(**{**chosen, **changed})


@contextmanager
def webui(
    folder: Path, *trouble: str, checkpoint: str = "first.safetensors", **changed: Any
) -> Iterator[WebuiEngine]:
    """An engine whose webui runs."""
    engine = WebuiEngine(folder, settings=settings(*trouble, **changed), checkpoint=checkpoint)
    try:
        engine.setup()
        yield engine
    finally:
        engine.close()


def asked(**fields: Any) -> DrawRequest:
    defaults: dict[str, Any] = {"prompt": "a red apple", "width": 64, "height": 64, "steps": 2, "seed": 7}
    return DrawRequest(**{**defaults, **fields})


def no_step(_done: int, _steps: int) -> None:
    """Watch nothing."""


def received(engine: WebuiEngine) -> dict[str, Any]:
    """The body that webui was last sent to draw."""
    sent: dict[str, Any] = engine._supervisor().api().get("/standin/requests")[-1]
    return sent


def processes(engine: WebuiEngine) -> list[int]:
    """The number of webui's process, and of those that it has started."""
    numbers: list[int] = engine._supervisor().api().get("/standin/processes")
    return numbers


def process_ended(pid: int) -> bool:
    """Whether no such process runs any more (a zombie has ended)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True
