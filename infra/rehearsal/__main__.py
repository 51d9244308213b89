"""`make rehearse`: the whole service on this machine, driven from outside."""

import argparse
import shutil
import signal
import sys
from collections.abc import Container, Sequence
from pathlib import Path
from types import FrameType

from infra.docs import ROOT
from infra.rehearsal.facts import facts
from infra.rehearsal.rows import Rows
from infra.rehearsal.set_up import PYTHON, standing_stage
from infra.rehearsal.stage import Stage
from infra.rehearsal.story import CHAPTERS, OPTIONAL

LOGS = ROOT / "build" / "rehearsal"
DRIVEN, FAILED, INTERRUPTED = 0, 1, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0 everything was driven, 1 a step failed, 130 interrupted."""
    options = _parser().parse_args(arguments)
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, _interrupt)
    shutil.rmtree(options.logs, ignore_errors=True)
    rows = Rows()
    try:
        with standing_stage(options.python, logs=options.logs) as stage:
            _play(stage, rows, without=options.without)
    except KeyboardInterrupt:
        print("interrupted; everything that was started is ended")
        return INTERRUPTED
    except Exception as failed:  # noqa: BLE001  whatever it was, the table and its facts are what helps
        print(f"{type(failed).__name__}: {failed}\n{rows.summary}", file=sys.stderr)
        return FAILED
    print(rows.summary)
    return DRIVEN


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m infra.rehearsal", description=__doc__)
    parser.add_argument(
        "--python",
        type=Path,
        default=PYTHON,
        help="runs the emulator and the functions (default: %(default)s)",
    )
    parser.add_argument(
        "--logs", type=Path, default=LOGS, help="folder of logs and recorded calls (default: %(default)s)"
    )
    parser.add_argument(
        "--without", nargs="*", choices=OPTIONAL, default=(), help="chapters to leave out (default: none)"
    )
    return parser


def _interrupt(number: int, frame: FrameType | None) -> None:
    """A second one is not heard: the first is being carried out."""
    del number, frame
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.SIG_IGN)
    raise KeyboardInterrupt


def _play(stage: Stage, rows: Rows, *, without: Container[str]) -> None:
    try:
        for name, chapter in CHAPTERS.items():
            if name not in without:
                chapter(stage, rows)
    except Exception:
        print(*facts(stage), f"  logs: {stage.report.parent}", sep="\n", file=sys.stderr)
        raise


if __name__ == "__main__":
    raise SystemExit(main())
