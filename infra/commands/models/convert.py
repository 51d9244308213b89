"""`imagine models convert FILE`: a pickle's tensors into safetensors, without unpickling it."""

import argparse
import json
import sys
from pathlib import Path

from infra.commands.models.meter import Meter, size_words
from model_packaging.conversion import convert

SHOWN = 20


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser("convert", help="turn a .ckpt, .pt, .pth or .bin into safetensors")
    parser.add_argument("file", type=Path)
    parser.add_argument("-o", "--out", type=Path, help="the file to write (default: beside it, .safetensors)")
    parser.add_argument("--half", action="store_true", help="round fp32 and bf16 to fp16: half the size")
    parser.add_argument("--force", action="store_true", help="replace the file to write if it is there")
    parser.add_argument("--json", action="store_true", help="for programs: one JSON object, nothing else")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Raises `PackagingError`; then nothing is written."""
    meter = Meter(sys.stderr, silent=arguments.json)
    try:
        made = convert(
            arguments.file, arguments.out, half=arguments.half, force=arguments.force, on_progress=meter.show
        )
    finally:
        meter.end()
    if arguments.json:
        told = {
            "outcome": "converted",
            "out": str(made.target),
            "bytes": made.size,
            "tensors": made.tensors,
            "source_sha256": made.source_sha256,
            "left_out": made.left_out,
            "network": made.network,
        }
        print(json.dumps(told))
        return 0
    for name in made.left_out[:SHOWN]:
        print(f"left out: {name[:100]!r}", file=sys.stderr)
    if len(made.left_out) > SHOWN:
        print(f"left out: {len(made.left_out) - SHOWN} more", file=sys.stderr)
    print(f"{made.target}: {made.tensors} tensors, {size_words(made.size)}")
    return 0
