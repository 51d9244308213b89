"""Model files of any size with headers as real models have them: random fp16 weights, one block repeated.

The block is longer than deflate's window, so an archive of it is as large as one of other weights.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from tests.packaging.sparse_models import LORA_XL, SDXL, Shapes, write

BLOCK = 2**26
GB = 10**9


@contextmanager
def model_folder(size: int) -> Iterator[Path]:
    """One checkpoint of about `size` bytes, in the page cache, while the block lasts.

    It is on the disk too: writing it back would take from what is measured.
    """
    with TemporaryDirectory() as folder:
        _weights(Path(folder, "Stable-diffusion/base.safetensors"), SDXL, "model.diffusion_model.x", size)
        os.sync()
        yield Path(folder)


def lora(folder: Path, path: str, size: int) -> None:
    """One LoRA of about `size` bytes."""
    _weights(folder / path, LORA_XL, "lora_unet_x.lora_down.weight", size)


def size_of(folder: Path) -> int:
    return sum(place.stat().st_size for place in folder.rglob("*.safetensors"))


def _weights(place: Path, shapes: Shapes, rest: str, size: int) -> None:
    write(place, {**shapes, rest: (max(1, size // 2048), 1024)})
    noise = np.random.default_rng(5).standard_normal(BLOCK // 2, dtype=np.float32)
    block = memoryview((noise * 0.02).astype(np.float16)).cast("B")
    with place.open("r+b") as file:
        start = 8 + int.from_bytes(file.read(8), "little")
        whole = file.seek(0, 2)
        file.seek(start)
        for at in range(start, whole, BLOCK):
            file.write(block[: min(BLOCK, whole - at)])
