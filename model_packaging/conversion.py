"""`.ckpt`, `.pt`, `.pth`, `.bin` to safetensors, in a process of its own without network and with limits.

The pickle is followed and never unpickled, there as here; the process is the second wall, for whatever is
wrong in reading it. What verify refuses is refused before that process starts.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import model_packaging
from model_packaging.errors import NotConvertible, Unreadable, WrongPlace
from model_packaging.hashes import OnProgress, hash_file, unheard
from model_packaging.inspection import check_plain
from model_packaging.layout import SAFE_SUFFIX
from model_packaging.safetensors_header import read_header
from model_packaging.safetensors_writer import written_at_once
from model_packaging.torch_file import TorchFile, read_torch_file

GIB = 2**30
SLOWEST = 10 * 2**20
"""Bytes a second below which something is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """`left_out`: what in the source was no weight. `network`: how the process was cut off from it."""

    source: Path
    target: Path
    source_sha256: str
    tensors: int
    size: int
    left_out: tuple[str, ...]
    network: str


def convert(
    source: Path,
    target: Path | None = None,
    *,
    half: bool = False,
    force: bool = False,
    on_progress: OnProgress = unheard,
) -> Converted:
    """Write `target` (by default beside the source) whole or not at all.

    Every number stays bit for bit; `half` rounds F64, F32 and BF16 to F16. Short texts and numbers beside the
    tensors go into the metadata, with the source's SHA-256.
    Raises `Hostile`, `Unreadable`, `NotConvertible`, `WrongPlace`.
    """
    target = target or source.with_suffix(SAFE_SUFFIX)
    if target.suffix != SAFE_SUFFIX:
        raise WrongPlace(f"{target.name} must end in {SAFE_SUFFIX}")
    torch_file = _read(source)
    with written_at_once(target, force=force) as part:
        before = source.stat()
        digest = hash_file(source, on_progress).sha256
        told = _in_a_child(source, part, digest, torch_file, half=half)
        after = source.stat()
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise Unreadable("changed", f"{source} changed meanwhile; try again once its copy is complete")
        written = read_header(part)
        size = part.stat().st_size
    return Converted(
        source=source,
        target=target,
        source_sha256=digest,
        tensors=len(written.tensors),
        size=size,
        left_out=torch_file.left_out,
        network=told["network"],
    )


def _read(source: Path) -> TorchFile:
    if source.suffix == SAFE_SUFFIX:
        raise NotConvertible(f"{source.name} is called safetensors already")
    check_plain(source)
    try:
        with source.open("rb") as file:
            found = read_torch_file(file)
    except OSError as error:
        raise Unreadable("unreadable", f"{source} cannot be read: {error.strerror}") from error
    if not found.tensors:
        raise NotConvertible(f"{source.name} holds no tensors")
    return found


def _in_a_child(
    source: Path, part: Path, digest: str, torch_file: TorchFile, *, half: bool
) -> dict[str, Any]:
    size = source.stat().st_size
    gathered = [stored.tensor.bytes for stored in torch_file.tensors.values() if not stored.is_contiguous]
    order = {
        "source": str(source),
        "target": str(part),
        "sha256": digest,
        "half": half,
        "memory": GIB + 4 * max(gathered, default=0),
        "seconds": 60 + size // SLOWEST,
        "file_size": 2 * size + GIB,
    }
    finished = _run(json.dumps(order), patience=600 + 2 * size // SLOWEST)
    if finished.returncode != 0:
        raise NotConvertible(_reason(finished))
    told: dict[str, Any] = json.loads(finished.stdout)
    return told


def _run(order: str, *, patience: float) -> "subprocess.CompletedProcess[str]":
    """Nothing of our environment goes along: it may hold tokens."""
    here = Path(model_packaging.__file__).resolve().parents[1]
    environment = {"PYTHONPATH": str(here), "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "model_packaging.conversion_child"]
    try:
        return subprocess.run(  # noqa: S603  our own module
            command,
            input=order,
            env=environment,
            capture_output=True,
            text=True,
            timeout=patience,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise NotConvertible(f"the conversion took longer than {patience:.0f} s and was ended") from error


def _reason(finished: "subprocess.CompletedProcess[str]") -> str:
    if finished.returncode < 0:
        return f"the conversion went past its limits and was ended (signal {-finished.returncode})"
    last = finished.stderr.strip().splitlines()[-1:] or ["it gave no reason"]
    return f"the conversion failed: {last[0][:300]}"
