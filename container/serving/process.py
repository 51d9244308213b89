"""One server process: bind, serve, and end within 25 s of being told to."""

import asyncio
import logging
import math
import os
import signal
import socket
import sys
from types import FrameType

import uvicorn
from starlette.applications import Starlette

from container.serving.app import create_app
from container.serving.drawing_queue import DrawingQueue
from container.serving.engine import Engine
from container.serving.model_folder import ModelFolder
from container.serving.settings import Settings

ENGINE_GRACE = 1.0
"""Seconds for the engine's last step after every request was answered."""


def serve(
    engine: Engine, *, listening: socket.socket, settings: Settings, folder: ModelFolder | None = None
) -> None:
    """Serve on a bound socket until SIGTERM or SIGINT; returns once every open request has been answered.

    Where the engine does not come back even then, the process ends here, with status 0: an interpreter that
    is torn down around a thread inside native code aborts.
    """
    # uvicorn raises the signal again once it has stopped; a clean stop is this process's success.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit)
    app = create_app(engine, settings=settings, folder=folder)
    create_server(app, settings=settings).run(sockets=[listening])
    if not app.state.queue.has_ended(within=ENGINE_GRACE):
        logging.shutdown()
        os._exit(0)


def create_server(app: Starlette, *, settings: Settings) -> uvicorn.Server:
    """A server that drains the app's queue when told to stop, however long its engine would go on."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=math.ceil(settings.finish_s + settings.closing_s) + 1,
    )
    return _DrainingServer(config, queue=app.state.queue, settings=settings)


def bind(host: str, port: int) -> socket.socket:
    """A bound socket. Raises OSError where the port is taken; port 0 takes a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's algorithm off only where the protocol is named; with it every reply waits 40 ms.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError:
        listening.close()
        raise
    return listening


class _DrainingServer(uvicorn.Server):
    """Once told to stop, turns waiting requests away at once, and sooner or later the current one too."""

    def __init__(self, config: uvicorn.Config, *, queue: DrawingQueue, settings: Settings) -> None:
        super().__init__(config)
        self._queue = queue
        self._settings = settings

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._queue.drain()
        loop = asyncio.get_running_loop()
        loop.call_later(self._settings.finish_s, self._queue.abort)
        loop.call_later(self._settings.finish_s + self._settings.closing_s, self._queue.abandon)
        await super().shutdown(sockets)


def _exit(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)
