"""The process that converts one file: `python -m model_packaging.conversion_child`, its order as JSON on
stdin.
"""

import json
import sys
from pathlib import Path
from typing import Any, BinaryIO

from model_packaging import confinement


def main() -> int:
    """Both files are open before the walls go up; then nothing else can be opened for writing."""
    order: dict[str, Any] = json.load(sys.stdin)
    with Path(order["source"]).open("rb") as source, Path(order["target"]).open("r+b") as target:
        network = confinement.leave_the_network()
        confinement.limit(memory=order["memory"], seconds=order["seconds"], file_size=order["file_size"])
        confinement.refuse_the_rest()
        try:
            _convert(source, target, order)
        except (Exception, MemoryError) as failed:  # noqa: BLE001  the parent reads one line
            print(f"{type(failed).__name__}: {failed}", file=sys.stderr)  # noqa: T201
            return 1
    print(json.dumps({"network": network}))  # noqa: T201  the answer to the parent
    return 0


def _convert(source: BinaryIO, target: BinaryIO, order: dict[str, Any]) -> None:
    # numpy may start threads, so it comes after the network is left.
    from model_packaging.numbers import halved, read_numbers, to_half  # noqa: PLC0415
    from model_packaging.safetensors_writer import write_safetensors  # noqa: PLC0415
    from model_packaging.torch_file import read_torch_file  # noqa: PLC0415
    from model_packaging.torch_zip import check_sums  # noqa: PLC0415

    found = read_torch_file(source)
    check_sums(source, found.storages)
    stored = _named(found.tensors)
    tensors = {name: halved(one.tensor) if order["half"] else one.tensor for name, one in stored.items()}

    def numbers(name: str) -> Any:
        one = stored[name]
        chunks = read_numbers(source, one, found.storages[one.storage])
        return to_half(chunks, one.tensor.dtype) if order["half"] else chunks

    metadata = {f"source.{name}": text for name, text in found.stated.items()}
    metadata |= {"format": "pt", "source_sha256": order["sha256"], "converter": "imagine models convert"}
    write_safetensors(target, tensors, metadata, numbers)


def _named(stored: Any) -> Any:
    """An embedding gets the name that webui gives it in safetensors."""
    vectors = [name for name in stored if name.startswith("string_to_param.")]
    return {"emb_params": stored[vectors[0]]} if len(vectors) == 1 else stored


if __name__ == "__main__":
    sys.exit(main())
