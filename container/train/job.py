"""The process of a training job: what it is told, how it ends, and what it leaves."""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from threading import Event

from container.serving.errors import ServingError
from container.train.errors import TrainingError
from container.train.folders import JobFolders
from container.train.hyperparameters import read_hyperparameters

_REASON_CHARACTERS = 1024


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0 when trained or stopped in good order, 1 with a reason in output/failure otherwise."""
    parser = argparse.ArgumentParser(prog="python -m container train", description=__doc__)
    parser.add_argument("word", nargs="?", choices=["train"], help="what SageMaker says; it may be left out")
    parser.add_argument("--root", type=Path, default=Path("/opt/ml"), help="folder of the job (%(default)s)")
    folders = JobFolders(root=parser.parse_args(arguments).root)
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    try:
        _train(folders, stop)
    except (TrainingError, ServingError) as error:
        return _failed(folders, str(error))
    except Exception as error:  # noqa: BLE001 (whatever it is, its text may hold a caption)
        return _failed(folders, f"the training failed with {type(error).__name__}")
    return 0


def _train(folders: JobFolders, stop: Event) -> None:
    wanted = read_hyperparameters(folders.hyperparameters)
    from container.train.training import train  # noqa: PLC0415 (torch takes seconds; a typo is told at once)

    train(folders, wanted, told_to_stop=stop.is_set, say=_say)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _failed(folders: JobFolders, reason: str) -> int:
    folders.failure.parent.mkdir(parents=True, exist_ok=True)
    folders.failure.write_text(reason[:_REASON_CHARACTERS])
    sys.stderr.write(f"{reason}\n")
    return 1
