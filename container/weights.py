"""Reads a `.safetensors` checkpoint in Stable Diffusion 1.x's layout into float32 arrays.

Format: 8 bytes little-endian header length, a JSON header with dtype, shape and data_offsets per tensor, then
the data (https://huggingface.co/docs/safetensors/index#format).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_DTYPES: dict[str, np.dtype[np.floating[Any]]] = {"F16": np.dtype("<f2"), "F32": np.dtype("<f4")}
_MAX_HEADER_BYTES = 100_000_000


def read_tensors(path: Path) -> dict[str, NDArray[np.float32]]:
    """Every tensor of the file by name.

    The autoencoder's attention weights, 1x1 convolutions in the file, come as the matrices the graphs use.
    Raises `ValueError` where the file is not such a checkpoint.
    """
    raw = np.fromfile(path, dtype=np.uint8)
    length = int.from_bytes(raw[:8].tobytes(), "little")
    if not 2 <= length <= min(_MAX_HEADER_BYTES, raw.size - 8):
        raise ValueError(f"{path.name} is not a safetensors file")
    header = json.loads(raw[8 : 8 + length].tobytes())
    header.pop("__metadata__", None)
    data = raw[8 + length :]
    return {name: _tensor(data, name, entry) for name, entry in header.items()}


def _tensor(data: NDArray[np.uint8], name: str, entry: dict[str, object]) -> NDArray[np.float32]:
    dtype = _DTYPES.get(str(entry["dtype"]))
    offsets, shape = entry["data_offsets"], entry["shape"]
    if dtype is None or not isinstance(offsets, list) or not isinstance(shape, list):
        raise ValueError(f"tensor {name} is not half or single precision")
    stored = data[offsets[0] : offsets[1]].view(dtype)
    values: NDArray[np.float32] = stored.astype(np.float32).reshape(shape)
    is_matrix = ".mid.attn_1." in name and values.ndim == 4
    return values[:, :, 0, 0] if is_matrix else values
