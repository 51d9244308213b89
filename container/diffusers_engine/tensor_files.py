"""Model files as named tensors, mapped into memory: nothing is copied until it is used.

safetensors are read wherever they come from. Pickles can run code in a careless reader, so they are read only
by torch >= 2.10 with `weights_only=True`, without a second try, and only where somebody allows it.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from container.diffusers_engine.errors import BadHeader, UnusableFile
from container.diffusers_engine.safetensors_header import MOST_NAMES, read_header
from container.serving.model_folder import ModelFile

_PICKLES = {".ckpt", ".pt", ".pth", ".bin"}
_MOST_DEPTH = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorFile:
    """Shapes by name, what the trainer wrote beside them, and a way to a tensor: on the CPU, as stored."""

    name: str
    shapes: Mapping[str, tuple[int, ...]]
    metadata: Mapping[str, str]
    tensor: Callable[[str], torch.Tensor]

    def tensors(self) -> Iterator[tuple[str, torch.Tensor]]:
        """All of them, in the order of the file."""
        return ((name, self.tensor(name)) for name in self.shapes)


def open_tensors(file: ModelFile, *, allow_pickle: bool) -> TensorFile:
    """Raises `UnusableFile`. `allow_pickle`: read pickles that no catalogue vouches for."""
    if file.path.suffix in _PICKLES:
        return _open_pickle(file, allow_pickle=allow_pickle)
    name = file.model.name
    try:
        header = read_header(file.path)
        content = safe_open(file.path, framework="pt", device="cpu")
    except (BadHeader, SafetensorError) as error:
        raise UnusableFile(name, str(error)) from error
    except OSError as error:
        raise UnusableFile(name, f"it cannot be read ({error.strerror})") from error
    return TensorFile(name=name, shapes=header.shapes, metadata=header.metadata, tensor=content.get_tensor)


def _open_pickle(file: ModelFile, *, allow_pickle: bool) -> TensorFile:
    name = file.model.name
    if torch.__version__ < (2, 10):
        raise UnusableFile(name, f"pickles need torch 2.10 or newer, this is {torch.__version__}")
    if not allow_pickle and not _is_vouched_for(file):
        raise UnusableFile(
            name,
            "it is a pickle, which can run code; convert it to safetensors, have the catalogue carry its"
            ' sha256 with the verdict "safe", or set ALLOW_PICKLE=1',
        )
    content = _flat(_unpickled(file.path, name))
    if not content or len(content) > MOST_NAMES:
        raise UnusableFile(name, f"it holds {len(content):,} tensors")
    shapes = {key: tuple(tensor.shape) for key, tensor in content.items()}
    return TensorFile(name=name, shapes=shapes, metadata={}, tensor=content.__getitem__)


def _is_vouched_for(file: ModelFile) -> bool:
    if file.verdict != "safe" or not file.model.sha256:
        return False
    with file.path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest() == file.model.sha256


def _unpickled(path: Path, name: str) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # a hostile pickle may raise anything; none of it is worth a second reader
        raise UnusableFile(
            name, "torch refuses to read this pickle as plain weights; convert it to safetensors"
        ) from error


def _flat(content: Any, prefix: str = "", depth: int = 0) -> dict[str, torch.Tensor]:
    """Its tensors by dotted name, without the `state_dict` that training tools wrap around them."""
    if not isinstance(content, Mapping) or depth > _MOST_DEPTH:
        return {}
    if depth == 0 and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    found: dict[str, torch.Tensor] = {}
    for key, value in content.items():
        if isinstance(value, torch.Tensor):
            found[f"{prefix}{key}"] = value
        else:
            found |= _flat(value, f"{prefix}{key}.", depth + 1)
    return found
