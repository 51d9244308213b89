"""Knowing a file: the header of a 7 GB checkpoint, digests beside openssl's, and the worst hostile files.

The checkpoint is sparse: as long as SDXL's in fp32, with 2,600 names, and nothing on the disk but its header.
The hostile files are those of the tests; memory is the peak of one process that looks at all of them.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from model_packaging.errors import PackagingError
from model_packaging.hashes import hash_file
from model_packaging.inspection import inspect_file
from model_packaging.verification import verify_archive
from tests.benchmarks.figures import row, single
from tests.packaging.hostile_archives import hostile_archives
from tests.packaging.hostile_headers import hostile_headers
from tests.packaging.hostile_pickles import CONTAINERS, hostile_pickles
from tests.packaging.sparse_models import SDXL, write

GB = 10**9
ROUNDS = 5
HASHED = 2 * GB
ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        _inspect(Path(folder))
        _hash(Path(folder))
    _hostile()


def _inspect(folder: Path) -> None:
    blocks = {f"model.diffusion_model.blocks.{number}.weight": (692, 1000) for number in range(2600)}
    place = write(folder / "base.safetensors", {**SDXL, **blocks}, dtype="F32")
    samples = [_seconds(lambda: inspect_file(place)) for _ in range(ROUNDS)]
    row(f"inspect {place.stat().st_size / GB:.1f} GB, no hashes", samples, unit="s", goal="goal <= 0.3 s")


def _hash(folder: Path) -> None:
    """A checkpoint has AutoV3 too, on a second core; other files need the one digest."""
    safe = write(folder / "hashed.safetensors", {"w": (HASHED // 2,)})
    other = folder / "hashed.bin"
    block = os.urandom(2**24)
    for place, start in ((safe, 2**10), (other, 0)):
        with place.open("r+b" if place.exists() else "wb") as file:
            file.seek(start)
            for _ in range(HASHED // len(block)):
                file.write(block)
            file.truncate(safe.stat().st_size if place is safe else None)
    samples: dict[str, list[float]] = {"openssl": [], "sha256": [], "sha256 and AutoV3": []}
    for _ in range(ROUNDS):
        samples["openssl"].append(_rate(other, _openssl))
        samples["sha256"].append(_rate(other, hash_file))
        samples["sha256 and AutoV3"].append(_rate(safe, hash_file))
    for name, rates in samples.items():
        row(f"{name}, 2 GB", rates, unit="GB/s")
    for name in ("sha256", "sha256 and AutoV3"):
        ratios = [ours / theirs for ours, theirs in zip(samples[name], samples["openssl"], strict=True)]
        row(f"{name} / openssl", ratios, unit="x", goal="goal >= 0.9 x")


def _openssl(place: Path) -> None:
    subprocess.run(["openssl", "dgst", "-sha256", place], check=True, capture_output=True)


def _rate(place: Path, work: Callable[[Path], object]) -> float:
    return place.stat().st_size / GB / _seconds(lambda: work(place))


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _hostile() -> None:
    """In a fresh process, so that its peak of memory is theirs."""
    command = [sys.executable, "-m", "tests.benchmarks.packaging_inspect", "hostile"]
    told = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
    for name, (count, slowest) in told["kinds"].items():
        single(f"{count} hostile {name}, the slowest", slowest, unit="s", goal="goal <= 2 s each")
    single("their peak of memory, beyond the start", told["mebibytes"], unit="MiB", goal="goal <= 512 MiB")


def _measure_hostile() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    kinds = {}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for name, samples in {
            "pickles": _pickles(place),
            "archives": _archives(place),
            "headers": _headers(place),
        }.items():
            seconds = list(samples)
            kinds[name] = (len(seconds), max(seconds))
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"kinds": kinds, "mebibytes": (after - before) / 1024}))


def _pickles(folder: Path) -> Iterator[float]:
    for container in CONTAINERS:
        for case in hostile_pickles(folder / "marker", container=container):
            yield _judged(folder / "bad.ckpt", case.content, inspect_file)


def _archives(folder: Path) -> Iterator[float]:
    for case in hostile_archives():
        yield _judged(folder / "bad.tar.gz", case.content, verify_archive)


def _headers(folder: Path) -> Iterator[float]:
    for case in hostile_headers():
        yield _judged(folder / "bad.safetensors", case.content, inspect_file)


def _judged(place: Path, content: bytes, look: Callable[[Path], object]) -> float:
    place.write_bytes(content)
    return _seconds(lambda: _refused(place, look))


def _refused(place: Path, look: Callable[[Path], object]) -> None:
    try:
        look(place)
    except PackagingError:
        return


if __name__ == "__main__":
    _measure_hostile() if sys.argv[1:] == ["hostile"] else main()
