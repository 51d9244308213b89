"""The engines one can ask for by name. Each is imported only when chosen, for each has needs of its own."""

from collections.abc import Callable
from pathlib import Path

from container.serving import pattern_engine
from container.serving.engine import Engine


def open_engine(name: str, *, models: Path | None) -> Engine:
    """The engine of that name, not yet set up; `models` is a folder of checkpoints, if it takes one."""
    return _OPENERS[name](models)


def _embedded(_models: Path | None) -> Engine:
    from container.embedded.engine import EmbeddedEngine  # noqa: PLC0415

    return EmbeddedEngine()


def _pattern(_models: Path | None) -> Engine:
    return pattern_engine.PatternEngine()


_OPENERS: dict[str, Callable[[Path | None], Engine]] = {"embedded": _embedded, "pattern": _pattern}

ENGINES = {
    "embedded": "a small Stable Diffusion trained for this project",
    "pattern": pattern_engine.LABEL,
}
