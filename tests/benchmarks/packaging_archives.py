"""`imagine models pack` beside the seed's `tar zcvf`, on 2 GB of random half-precision weights.

Whole commands, as typed, in turns; page cache warm. Each archive is removed before the next is written. CPU
seconds stand beside the clock's: they tell the same on a machine that is busy with other work.
"""

import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.benchmarks.figures import row, single
from tests.benchmarks.packaging_weights import GB, model_folder

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 5
SIZE = 2 * GB
MB = 10**6
CATALOGUE = "catalogue.json"

Way = Callable[[], None]


def main(rounds: int = ROUNDS, seed_rounds: int = ROUNDS, size: int = SIZE) -> None:
    """The seed's gzip takes a minute and more, so it may have fewer rounds."""
    with model_folder(size) as folder, TemporaryDirectory() as out:
        made = Path(out, "model.tar.gz")
        ways = _ways(folder, made)
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        burned: dict[str, list[float]] = {name: [] for name in ways}
        sizes: dict[str, int] = {}
        for number in range(rounds):
            for name, way in ways.items():
                if name == "tar zcvf" and number >= seed_rounds:
                    continue
                made.unlink(missing_ok=True)
                before = _burned()
                seconds[name].append(_seconds(way))
                burned[name].append(_burned() - before)
                sizes[name] = made.stat().st_size if made.exists() else 0
    _tell(seconds, sizes)
    for name, samples in burned.items():
        row(f"{name}, CPU", samples, unit="s")


def _ways(folder: Path, made: Path) -> dict[str, Way]:
    pack = [sys.executable, "-m", "infra.cli", "models", "pack", str(folder), "--format", "archive"]
    checkpoint = folder / "Stable-diffusion/base.safetensors"

    def fresh(*more: str) -> None:
        """Without what the last packing knew; it leaves its hashes for the next."""
        (folder / CATALOGUE).unlink(missing_ok=True)
        _run([*pack, "-o", str(made), *more])

    return {
        "tar zcvf": lambda: _run(["tar", "zcvf", str(made), "-C", str(folder), checkpoint.parent.name]),
        "tar cf": lambda: _run(["tar", "cf", str(made), "-C", str(folder), checkpoint.parent.name]),
        "openssl dgst": lambda: _run(["openssl", "dgst", "-sha256", str(checkpoint)]),
        "pack": fresh,
        "pack, hashes known": lambda: _run([*pack, "-o", str(made)]),
        "pack --small": lambda: fresh("--small"),
    }


def _tell(seconds: dict[str, list[float]], sizes: dict[str, int]) -> None:
    for name, samples in seconds.items():
        row(name, samples, unit="s")
    tar, digest = seconds["tar cf"], seconds["openssl dgst"]
    both = [one + two for one, two in zip(tar, digest, strict=True)]
    _ratio("tar zcvf / pack", seconds["tar zcvf"], seconds["pack"], "goal >= 15")
    _ratio("tar zcvf / pack --small", seconds["tar zcvf"], seconds["pack --small"], "goal >= 8")
    _ratio("pack, hashes known / tar cf", seconds["pack, hashes known"], tar, "goal <= 2")
    _ratio("pack / (tar cf + openssl dgst)", seconds["pack"], both, "goal <= 1.3")
    for name in ("tar zcvf", "pack", "pack --small"):
        single(f"{name}, its size", sizes[name] / MB, unit="MB")
    single("--small / tar zcvf", sizes["pack --small"] / sizes["tar zcvf"], unit="x", goal="goal <= 1")


def _ratio(name: str, above: list[float], below: list[float], goal: str) -> None:
    row(name, [one / other for one, other in zip(above, below, strict=False)], unit="x", goal=goal)


def _run(command: list[str]) -> None:
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def _burned() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _seconds(way: Way) -> float:
    began = time.perf_counter()
    way()
    return time.perf_counter() - began
