"""`imagine demo`: the product on one machine, without any account."""

import argparse
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from infra.local.children import ChildFailed, is_taken
from infra.local.demo import Demo
from infra.local.demo import run as run_demo
from infra.local.model_file import CannotUse, check_model

FIRST_LOG = "inference-server.log"
"""What every demo leaves in its home."""


def fill(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("--port", type=int, default=3000, help="port of the page (default: %(default)s)")
    parser.add_argument("--reload", action="store_true", help="restart the bot when its code changes")
    parser.add_argument(
        "--engine",
        default="embedded",
        help="engine of the inference server (default: %(default)s; with --model: diffusers)",
    )
    parser.add_argument("--model", type=Path, metavar="FILE", help="draw with this checkpoint (needs torch)")
    models = "model folder: with --model its LoRAs, VAEs, … are offered, else its checkpoints too"
    parser.add_argument("--models", type=Path, metavar="DIR", help=models)
    home = "folder for logs and pictures, emptied first (default: %(default)s)"
    parser.add_argument("--home", type=Path, default=Path("var/demo"), help=home)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C (then 0); 1 when the port is taken or a part fails, 2 for an unfit port, folder or
    model.
    """
    if not 0 < arguments.port < 65536:
        print(f"imagine demo: --port {arguments.port} is no port; use 1 to 65535", file=sys.stderr)
        return 2
    if is_taken(arguments.port):
        print(
            f"imagine demo: port {arguments.port} is taken. "
            f"Use another one: make demo PORT={arguments.port + 1}",
            file=sys.stderr,
        )
        return 1
    try:
        demo = _demo(arguments)
    except CannotUse as error:
        print(f"imagine demo: {error}", file=sys.stderr)
        return 2
    try:
        with _interruptible():
            run_demo(demo, reload=arguments.reload, announce=lambda: _announce(demo))
    except KeyboardInterrupt:
        print("\nended: workspace, bot and inference server", flush=True)
        return 0
    except ChildFailed as failed:
        print(f"imagine demo: {failed}", file=sys.stderr)
    return 1


def _demo(arguments: argparse.Namespace) -> Demo:
    """Raises `CannotUse` for a home that holds something else, and for a model that cannot be drawn with."""
    if arguments.models and not arguments.models.is_dir():
        raise CannotUse(f"--models: {arguments.models} is no folder")
    if arguments.model:
        check_model(arguments.model)
    _check_home(arguments.home)
    return Demo(
        port=arguments.port,
        home=arguments.home.resolve(),
        engine="diffusers" if arguments.model else arguments.engine,
        model=arguments.model,
        models=arguments.models and arguments.models.resolve(),
        environment=dict(os.environ),  # noqa: TID251  children inherit PATH and the like
    )


def _check_home(home: Path) -> None:
    """It is emptied, so it must be new, empty, or left by an earlier demo. Raises `CannotUse`."""
    if not home.exists() or (home / FIRST_LOG).is_file():
        return
    if not home.is_dir():
        raise CannotUse(f"--home: {home} is a file; name a folder")
    if any(home.iterdir()):
        raise CannotUse(f"--home: {home} would be emptied, and what is in it is no demo's; name another")


def _announce(demo: Demo) -> None:
    print(
        f"\n  Open  {demo.page}\n"
        "  Type  /imagine a red apple\n"
        "  Then  press Vary, Re-roll or Full size; /imagine help shows the rest\n\n"
        f"  Logs  {demo.home}\n"
        "  End   Ctrl-C\n",
        flush=True,
    )


@contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM and a closed terminal end the demo as Ctrl-C does.

    SIGINT ends it even where whoever started us ignores it; a hang-up does not (`nohup` asks for that).
    """
    endings = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        endings.append(signal.SIGHUP)
    before = {ending: signal.signal(ending, _interrupt) for ending in endings}
    try:
        yield
    finally:
        for ending, handler in before.items():
            signal.signal(ending, handler)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
