"""`imagine models inspect FILE|FOLDER`: what model files are, from their headers."""

import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from infra.commands.models.meter import Meter, size_words
from model_packaging.errors import Hostile, Unreadable, WrongPlace
from model_packaging.hashes import Hashes, hash_file
from model_packaging.inspection import Inspection, inspect_file
from model_packaging.kinds import Architecture, Kind, Prediction
from model_packaging.layout import is_model_file
from model_packaging.member_names import printable

ARCHITECTURES = {
    Architecture.SD1: "SD1.5",
    Architecture.SD2: "SD2",
    Architecture.SDXL: "SDXL",
    Architecture.SDXL_REFINER: "SDXL refiner",
    Architecture.SD3: "SD3",
    Architecture.FLUX: "Flux",
    Architecture.FLUX2: "Flux.2",
    Architecture.QWEN_IMAGE: "Qwen-Image",
    Architecture.Z_IMAGE: "Z-Image",
}
KINDS = {Kind.LORA: "LoRA", Kind.CONTROLNET: "ControlNet", Kind.VAE: "VAE", Kind.TEXT_ENCODER: "text encoder"}

Row = tuple[Path, Inspection | Unreadable | Hostile, Hashes | None]


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser("inspect", help="tell what model files are; headers only, nothing is executed")
    parser.add_argument("place", type=Path, help="a file, or a folder of them")
    parser.add_argument(
        "--hashes", action="store_true", help="sha256 and webui's hashes too: reads it all once"
    )
    parser.add_argument("--json", action="store_true", help="for programs: one JSON object, nothing else")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0 when every file could be read. Raises `WrongPlace`."""
    rows = [_row(path, arguments) for path in _files(arguments.place)]
    if arguments.json:
        print(json.dumps({"files": [_told(*row) for row in rows]}))
    elif arguments.place.is_dir():
        _print_table(rows, arguments.place)
    else:
        _print_one(*rows[0])
    return 1 if any(isinstance(seen, Unreadable | Hostile) for _, seen, _ in rows) else 0


def _files(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise WrongPlace(f"{place} is not there; name a model file or a folder of them")
    found = [Path(root, name) for root, _, names in os.walk(place) for name in names if is_model_file(name)]
    if not found:
        raise WrongPlace(f"{place} holds no model file")
    return sorted(found)


def _row(path: Path, arguments: argparse.Namespace) -> Row:
    try:
        seen = inspect_file(path)
        return path, seen, _hashes(path, arguments) if arguments.hashes else None
    except (Unreadable, Hostile) as failed:
        return path, failed, None


def _hashes(path: Path, arguments: argparse.Namespace) -> Hashes:
    meter = Meter(sys.stderr, silent=arguments.json)
    try:
        return hash_file(path, meter.show)
    finally:
        meter.end()


def _told(path: Path, seen: Inspection | Unreadable | Hostile, hashes: Hashes | None) -> dict[str, Any]:
    if isinstance(seen, Unreadable | Hostile):
        culprit = seen.culprit if isinstance(seen, Hostile) else ""
        return {
            "path": str(path),
            "outcome": "refused",
            "reason": seen.reason,
            "what": str(seen),
            "culprit": culprit,
        }
    facts = {field: value for field, value in asdict(seen).items() if field != "metadata"}
    words = [{"word": trigger.word, "count": trigger.count} for trigger in seen.trigger_words]
    return {
        **facts,
        "path": str(path),
        "outcome": "read",
        "trigger_words": words,
        "metadata": dict(seen.metadata),
        "hashes": asdict(hashes) if hashes else None,
    }


def _print_one(path: Path, seen: Inspection | Unreadable | Hostile, hashes: Hashes | None) -> None:
    if isinstance(seen, Unreadable | Hostile):
        print(f"imagine models inspect: {printable(str(path))}: {seen}", file=sys.stderr)
        return
    lines = {
        "file": f"{printable(str(path))}, {size_words(seen.size)}",
        "kind": _kind(seen),
        "architecture": _architecture(seen),
        "prediction": _prediction(seen),
        "precision": seen.precision,
        "parameters": f"{_count(seen.parameters)} in {seen.tensors} tensors",
        "title": seen.title,
        "author": seen.author,
        "licence": seen.licence or "not stated",
        "made for": seen.base_model,
        "trigger words": ", ".join(trigger.word for trigger in seen.trigger_words),
        **_hash_lines(hashes),
    }
    for label, text in lines.items():
        if text:
            print(f"{label:<14} {text}")
    for sentence in seen.notes:
        print(f"{'note':<14} {sentence}")


def _hash_lines(hashes: Hashes | None) -> dict[str, str]:
    if hashes is None:
        return {}
    short = {"AutoV1": hashes.autov1, "AutoV2": hashes.autov2, "AutoV3": hashes.autov3}
    return {
        "sha256": hashes.sha256,
        "webui": "  ".join(f"{name} {digest}" for name, digest in short.items() if digest),
    }


def _print_table(rows: list[Row], folder: Path) -> None:
    print(f"{'kind':<12} {'architecture':<22} {'precision':<10} {'parameters':>10} {'size':>10}  file")
    for path, seen, hashes in rows:
        name = printable(str(path.relative_to(folder)))
        if isinstance(seen, Unreadable | Hostile):
            print(f"{'refused':<12} {name}: {seen}")
            continue
        cells = (
            f"{_kind(seen):<12} {_architecture(seen):<22} {seen.precision:<10} {_count(seen.parameters):>10}"
        )
        digest = f"  {hashes.autov2}" if hashes else ""
        print(f"{cells} {size_words(seen.size):>10}  {name}{digest}")


def _kind(seen: Inspection) -> str:
    return KINDS.get(seen.kind, seen.kind.value)


def _architecture(seen: Inspection) -> str:
    name = ARCHITECTURES.get(seen.architecture, seen.architecture.value)
    return f"{name} {seen.variant}" if seen.variant else name


def _prediction(seen: Inspection) -> str:
    if seen.prediction is Prediction.UNKNOWN:
        return ""
    return f"{seen.prediction}, zero terminal SNR" if seen.zero_terminal_snr else seen.prediction.value


def _count(parameters: int) -> str:
    """`860 M`, `2.57 B`."""
    if parameters >= 10**9:
        return f"{parameters / 10**9:.2f} B"
    return f"{parameters / 10**6:.0f} M" if parameters >= 10**7 else f"{parameters / 10**6:.2f} M"
