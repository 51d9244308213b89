"""The Lambda entry points: `bot.handlers.slack`, `worker`, `result`, `failure`, `sweep`, `admin`, `api`
and `authorizer`.

Lambda imports this module and fetches one of the names, both before the first event and both on the clock
that a person waits by. So a name is built when it is fetched, from what that function needs alone, and a
missing setting fails the start, naming it, instead of every event.
"""

import functools
import gc
from collections.abc import Callable
from importlib import import_module
from typing import Any

Handler = Callable[[Any, Any], Any]

BUILDERS = {
    "slack": "bot.bootstrap_front",
    "worker": "bot.bootstrap_workers",
    "result": "bot.bootstrap_workers",
    "failure": "bot.bootstrap_workers",
    "sweep": "bot.bootstrap_workers",
    "admin": "bot.bootstrap_workers",
    "api": "bot.bootstrap_api",
    "authorizer": "bot.bootstrap_api",
}
"""The module that builds each function, in a function of the same name."""


def __getattr__(name: str) -> Handler:
    if name not in BUILDERS:
        raise AttributeError(name)
    return _built(name)


@functools.cache
def _built(name: str) -> Handler:
    """The function, once a process. Raises ConfigError naming every missing setting."""
    build: Callable[[], Handler] = getattr(import_module(BUILDERS[name]), name)
    built = build()
    gc.collect()
    gc.freeze()  # what a start has made lives as long as the process: no collection need walk it again
    return built
