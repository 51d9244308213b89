"""The engines one can ask for by name. Each is imported only when chosen, for each has needs of its own."""

from collections.abc import Callable

from container.serving import pattern_engine
from container.serving.engine import Engine


def open_engine(name: str) -> Engine:
    """The engine of that name, not yet set up."""
    return _OPENERS[name]()


def _embedded() -> Engine:
    from container.embedded.engine import EmbeddedEngine  # noqa: PLC0415

    return EmbeddedEngine()


_OPENERS: dict[str, Callable[[], Engine]] = {"embedded": _embedded, "pattern": pattern_engine.PatternEngine}

ENGINES = {
    "embedded": "a small Stable Diffusion trained for this project",
    "pattern": pattern_engine.LABEL,
}
