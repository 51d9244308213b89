"""Networks on ONNX Runtime: graph files that hold no weights, fed from the one file that does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

Array = NDArray[np.float32]


class Graph:
    """One network. Results repeat bit for bit on one machine as long as `threads` stays the same.

    `tensors`: weights by the names the graph knows; those beginning with `prefix` are looked at.
    Raises ONNX Runtime's errors or `OSError` where graph and weights do not fit or are missing.
    """

    def __init__(self, file: Path, tensors: Mapping[str, Array], *, prefix: str, threads: int) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        content = file.read_bytes()
        used = {
            name: value
            for name, value in tensors.items()
            if name.startswith(prefix) and name.encode() in content
        }
        values = [ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(value)) for value in used.values()]
        options.add_external_initializers(list(used), values)
        self._session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def run(self, **inputs: NDArray[np.generic]) -> Array:
        """The graph's output for the inputs by name."""
        output: Array = self._session.run(None, inputs)[0]
        return output
