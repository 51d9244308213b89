"""The engines one can ask for by name. Each is imported only when chosen, for each has needs of its own."""

import importlib.util
from collections.abc import Callable

from container.serving import pattern_engine
from container.serving.engine import Engine
from container.serving.model_folder import ModelFolder

ENGINES = {
    "embedded": "a small Stable Diffusion trained for this project",
    "diffusers": "the checkpoints of a model folder, in this process",
    "webui": "stable-diffusion-webui or Forge in a process of its own; tested against a stand-in only",
    "pattern": pattern_engine.LABEL,
}

READS_MODELS = frozenset({"diffusers", "webui"})
"""The engines that draw with the files of the model folder."""


class CannotOpen(Exception):
    """The engine misses something on this machine; the message says in one line what, and how to mend it."""


def default_engine(folder: ModelFolder | None) -> str:
    """`diffusers` where there is a checkpoint for it and torch to run it, else `embedded`."""
    has_checkpoint = folder is not None and folder.contents["checkpoints"]
    return "diffusers" if has_checkpoint and importlib.util.find_spec("torch") else "embedded"


def open_engine(name: str, folder: ModelFolder | None = None) -> Engine:
    """The engine of that name, not yet set up, with `folder` for one that reads it. Raises `CannotOpen`."""
    try:
        return _OPENERS[name](folder)
    except ModuleNotFoundError as error:
        install = f"pip install {_PACKAGES[name]}" if name in _PACKAGES else "see its README"
        reason = f"engine {name} needs the package {error.name}, which is not installed: {install}"
        raise CannotOpen(reason) from error
    except OSError as error:
        raise CannotOpen(f"engine {name} cannot be opened: {error}") from error


_PACKAGES = {
    "embedded": "--require-hashes -r requirements/container.txt",
    "diffusers": "--require-hashes -r requirements/diffusers.txt, then --no-deps -r requirements/torch.txt",
}


def _embedded(_folder: ModelFolder | None) -> Engine:
    from container.embedded.engine import EmbeddedEngine  # noqa: PLC0415

    return EmbeddedEngine()


def _pattern(_folder: ModelFolder | None) -> Engine:
    return pattern_engine.PatternEngine()


def _diffusers(folder: ModelFolder | None) -> Engine:
    if folder is None or not folder.contents["checkpoints"]:
        raise CannotOpen("engine diffusers needs --models DIR with a checkpoint in DIR/Stable-diffusion/")
    import torch  # noqa: PLC0415

    from container.diffusers_engine.engine import DiffusersEngine  # noqa: PLC0415
    from container.diffusers_engine.models import Models  # noqa: PLC0415
    from container.upscaling.choice import open_upscalers  # noqa: PLC0415

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return DiffusersEngine(folder, Models(folder, device=device), upscaler=open_upscalers(folder))


def _webui(folder: ModelFolder | None) -> Engine:
    from container.webui.engine import WebuiEngine  # noqa: PLC0415
    from container.webui.settings import WebuiSettings  # noqa: PLC0415

    settings = WebuiSettings.from_environment()
    if folder is None:
        return WebuiEngine(None, settings=settings)
    return WebuiEngine(folder.root, settings=settings, checkpoint=folder.default)


_OPENERS: dict[str, Callable[[ModelFolder | None], Engine]] = {
    "embedded": _embedded,
    "diffusers": _diffusers,
    "pattern": _pattern,
    "webui": _webui,
}
