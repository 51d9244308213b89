"""`python -m container serve`: the one way into the inference server, in the image and outside it."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from container.engines import ENGINES, READS_MODELS, CannotOpen, default_engine, open_engine
from container.serving.model_folder import ModelFolder, read_model_folder
from container.serving.output import guard_output
from container.serving.process import bind, serve
from container.serving.settings import Settings
from container.train.job import main as train


def main(arguments: Sequence[str] | None = None) -> int:
    words = sys.argv[1:] if arguments is None else arguments
    if words[:1] == ["train"]:
        return train(words)
    options = _parser().parse_args(words)
    settings = Settings.from_environment(host=options.host)
    folder = _read_folder(options.models, settings)
    name = options.engine or default_engine(folder)
    _tell(folder, name)
    try:
        engine = open_engine(name, folder)
        listening = bind(options.host, options.port)
    except CannotOpen as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except OSError as error:
        reason = error.strerror or error
        sys.stderr.write(f"cannot listen on {options.host}:{options.port}: {reason}; choose another --port\n")
        return 1
    host, port = listening.getsockname()[:2]
    sys.stdout.write(f"http://{host}:{port}/ engine {name}: {ENGINES[name]}\n")
    sys.stdout.flush()
    with listening:
        guard_output()
        serve(engine, listening=listening, settings=settings, folder=folder)
    return 0


_SAGEMAKER_MODELS = Path("/opt/ml/model")


def _read_folder(named: Path | None, settings: Settings) -> ModelFolder | None:
    """The model folder named, else SageMaker's where it exists."""
    path = named or (_SAGEMAKER_MODELS if _SAGEMAKER_MODELS.is_dir() else None)
    if path is None:
        return None
    return read_model_folder(path, default=settings.checkpoint, allow_pickle=settings.allow_pickle)


def _tell(folder: ModelFolder | None, engine: str) -> None:
    """What a person should know about the folder, on standard error."""
    if folder is None:
        return
    if engine not in READS_MODELS:
        sys.stderr.write(
            f"engine {engine} draws with a model of its own; the {len(folder.contents['checkpoints'])} "
            f"checkpoints in {folder.root} are listed in the catalogue and not used\n"
        )
    if folder.problem:
        sys.stderr.write(f"{folder.problem}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m container", description="The inference server.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    offered = "; ".join(f"{name}: {what}" for name, what in ENGINES.items())
    engines = f"{offered} (default: diffusers where there is a checkpoint and torch, else embedded)"
    parser.add_argument("--engine", choices=list(ENGINES), help=engines)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    commands.add_parser("train", help="train a LoRA, as a training job of SageMaker (docs/images.md)")
    serving = commands.add_parser("serve", help="answer /ping and /invocations until told to stop")
    serving.add_argument("--port", type=_port, default=8080, help="0 takes a free one (default: %(default)s)")
    # Before the word `serve`, where an image's ENTRYPOINT can give it, or after it.
    serving.add_argument("--host", default=argparse.SUPPRESS, help="address to listen on")
    serving.add_argument("--engine", choices=list(ENGINES), default=argparse.SUPPRESS, help=engines)
    serving.add_argument(
        "--models",
        type=_folder,
        metavar="DIR",
        help=f"folder with Stable-diffusion/, Lora/, … (default: {_SAGEMAKER_MODELS} where it exists)",
    )
    return parser


def _folder(text: str) -> Path:
    path = Path(text)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is not a folder")
    return path


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError("must be from 0 to 65535")
    return port


if __name__ == "__main__":
    sys.exit(main())
