"""`imagine models init DIR`: the seed's folders, with a note in each."""

import argparse
import json
from pathlib import Path

from model_packaging.layout import FOLDERS, make_folders


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser("init", help="make the folders that model files go into")
    parser.add_argument("folder", type=Path, help="where to make them; what is there stays")
    parser.add_argument("--all", action="store_true", help=f"all of {', '.join(_names())}")
    parser.add_argument("--json", action="store_true", help="for programs: one JSON object, nothing else")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Raises `WrongPlace`."""
    made = [place.name for place in make_folders(arguments.folder, every_kind=arguments.all)]
    if arguments.json:
        print(json.dumps({"outcome": "made", "folder": str(arguments.folder), "made": made}))
        return 0
    for name in made:
        print(arguments.folder / name)
    print(f"put model files there, then: imagine models verify {arguments.folder}")
    return 0


def _names() -> list[str]:
    return [folder.name for folder in FOLDERS]
