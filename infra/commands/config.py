"""`imagine config show`: every setting, its value without secrets, and where it came from."""

import argparse
import json
from pathlib import Path

from bot import config


def fill(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("what", choices=["show"], help="show: every setting, its value and its source")
    parser.add_argument("--config", type=Path, help="settings file (TOML)")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the settings. Raises ConfigError for a wrong one."""
    values = config.load(file=arguments.config).values.values()
    if arguments.json:
        rows = [
            {
                "name": value.setting.name,
                "value": value.shown,
                "source": value.source,
                "secret": value.setting.secret,
            }
            for value in values
        ]
        print(json.dumps(rows, indent=2))
        return 0
    width = max(len(value.setting.name) for value in values)
    for value in values:
        shown = f"{value.shown or '(empty)':<32} {value.source:<12}"
        print(f"{value.setting.name:<{width}}  {shown} {value.setting.meaning}")
    return 0
