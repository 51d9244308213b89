"""One upload to the benchmarks' S3, in a process of its own: `python -m tests.benchmarks.packaging_clients`.

Takes a way, a model folder and the service's address; prints seconds, CPU seconds and the peak of memory in
bytes. The clock begins behind the imports, as a person's waiting hardly ends with them.
"""

import json
import re
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.config import Config
from botocore.session import get_session

from model_packaging.changes import plan_of_folder, plan_with_file
from model_packaging.contents import source_file
from model_packaging.packing import describe, make_catalogue, read_folder, write_catalogue
from model_packaging.releases import list_releases, newest, read_catalogue
from model_packaging.store import Place, Store
from model_packaging.upload import make_release

BUCKET = "bucket"
ADDED = "Lora/fresh.safetensors"
Send = Callable[[], object]


def client(url: str) -> Any:
    """The same settings for every way: no second SHA-256 for the signature, as over TLS."""
    settings = Config(
        max_pool_connections=16,
        s3={"payload_signing_enabled": False, "addressing_style": "path"},
        request_checksum_calculation="when_required",
    )
    return get_session().create_client("s3", endpoint_url=url, config=settings)


def imagine(folder: Path, url: str) -> Send:
    return lambda: _release(folder, url, rehash=True)


def imagine_known(folder: Path, url: str) -> Send:
    """After `imagine models pack`, which leaves the hashes in the folder."""
    write_catalogue(folder, make_catalogue(read_folder(folder)))
    return lambda: _release(folder, url, rehash=False)


def add(folder: Path, url: str) -> Send:
    """One file more in the newest release."""
    store = Store(client(url), Place(bucket=BUCKET, prefix="models/"))

    def send() -> None:
        release = newest(list_releases(store))
        if release is None:
            raise RuntimeError("the folder was not uploaded before")
        file = source_file(folder / ADDED, ADDED)
        plan = plan_with_file(read_catalogue(store, release.name), file, describe)
        make_release(store, plan, describe=describe, now=datetime.now(UTC))

    return send


def s3transfer(folder: Path, url: str) -> Send:
    """boto3's own way, with parts and threads as ours and a CRC-32 that S3 compares."""
    from boto3.s3.transfer import S3Transfer, TransferConfig

    part = 16 * 2**20
    chosen = TransferConfig(multipart_chunksize=part, multipart_threshold=part, max_concurrency=8)
    transfer = S3Transfer(client(url), chosen)
    files = [place for place in sorted(folder.rglob("*")) if place.is_file()]

    def send() -> None:
        for place in files:
            key = f"s3transfer/{place.relative_to(folder)}"
            transfer.upload_file(str(place), BUCKET, key, extra_args={"ChecksumAlgorithm": "CRC32"})

    return send


WAYS = {"imagine": imagine, "imagine-known": imagine_known, "add": add, "s3transfer": s3transfer}


def _release(folder: Path, url: str, *, rehash: bool) -> None:
    store = Store(client(url), Place(bucket=BUCKET, prefix="models/"))
    plan = plan_of_folder(read_folder(folder, rehash=rehash), None)
    make_release(store, plan, describe=describe, now=datetime.now(UTC))


def main(way: str, folder: str, url: str) -> None:
    send = WAYS[way](Path(folder), url)
    began, cpu = time.perf_counter(), time.process_time()
    send()
    seconds, burned = time.perf_counter() - began, time.process_time() - cpu
    print(json.dumps({"seconds": seconds, "cpu": burned, "peak": _peak()}))


def _peak() -> int:
    """Bytes this program held at most. `getrusage` would count what the parent held when it forked."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) * 1024 if found else 0


if __name__ == "__main__":
    main(*sys.argv[1:])
