"""What a file's header tells of one tensor, whatever the file's format."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

BITS = {
    "BOOL": 8,
    "U8": 8,
    "I8": 8,
    "F8_E4M3": 8,
    "F8_E5M2": 8,
    "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8,
    "F8_E5M2FNUZ": 8,
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "I16": 16,
    "U16": 16,
    "F16": 16,
    "BF16": 16,
    "I32": 32,
    "U32": 32,
    "F32": 32,
    "I64": 64,
    "U64": 64,
    "F64": 64,
    "C64": 64,
}
"""Bits of one element, by the names of the safetensors format."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """`dtype` is one of `BITS`."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """What it takes in a file; whole bytes also for types below one byte."""
        return (self.elements * BITS[self.dtype] + 7) // 8


Tensors = Mapping[str, Tensor]


def parameters_of(tensors: Tensors) -> int:
    """How many numbers were learned; marks such as `v_pred` (empty tensors) add nothing."""
    return sum(tensor.elements for tensor in tensors.values())


def precision_of(tensors: Tensors) -> str:
    """The type most parameters have, as people write it: `fp16`, `bf16`, `fp32`, `fp8 e4m3`; "" for none."""
    held: dict[str, int] = {}
    for tensor in tensors.values():
        held[tensor.dtype] = held.get(tensor.dtype, 0) + tensor.elements
    most = max(held, key=lambda dtype: held[dtype], default="")
    return _WORDS.get(most, most.lower())


_WORDS = {
    "F16": "fp16",
    "BF16": "bf16",
    "F32": "fp32",
    "F64": "fp64",
    "F8_E4M3": "fp8 e4m3",
    "F8_E5M2": "fp8 e5m2",
    "I8": "int8",
    "U8": "uint8",
}
