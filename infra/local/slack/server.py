"""The web server: ``create_app`` wires routes to a platform, ``serve`` runs it on a loopback socket."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware

from infra.local.slack.app import InstalledApp
from infra.local.slack.clock import Clock, WallClock
from infra.local.slack.connections import Connections
from infra.local.slack.guard import LoopbackGuard
from infra.local.slack.page_routes import PageRoutes
from infra.local.slack.platform import Platform, build_platform
from infra.local.slack.routes import BotRoutes
from infra.local.slack.sessions import Sessions
from infra.local.slack.workspace import Ids, default_workspace

PATIENCE_AT_THE_END = 0.25
"""Seconds for requests still being answered; one that waits on a clock that stands would wait forever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How one local Slack starts. ``port`` 0 takes a free one; ``seed`` makes generated ids repeat;
    ``readiness_seconds`` is how long uploads take to become usable.
    """

    manifest: dict[str, Any]
    port: int = 3000
    enforce_rate_limits: bool = True
    readiness_seconds: float = 0.0
    seed: int | None = None
    clock: Clock | None = None
    bot_transport: httpx.AsyncBaseTransport | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalServer:
    """A server that is bound and not yet running."""

    platform: Platform
    sessions: Sessions
    uvicorn: uvicorn.Server
    listener: socket.socket

    async def serve(self) -> None:
        """Until a signal ends the process."""
        await self.uvicorn.serve(sockets=[self.listener])

    async def serve_until(self, ended: asyncio.Event) -> None:
        """Until ``ended`` is set; installs no signal handlers."""
        config, server = self.uvicorn.config, self.uvicorn
        config.load()
        server.lifespan = config.lifespan_class(config)
        await server.startup(sockets=[self.listener])
        await ended.wait()
        for listening in server.servers:
            listening.close()
        for connection in list(server.server_state.connections):
            connection.shutdown()
        if answering := server.server_state.tasks:
            await asyncio.wait(answering, timeout=PATIENCE_AT_THE_END)
        await server.lifespan.shutdown()


def build_server(settings: Settings) -> LocalServer:
    """Bind the socket and wire everything to its address. Raises ``OSError`` when the port is taken."""
    listener = bind(settings.port)
    base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    clock = settings.clock or WallClock()
    platform = build_platform(
        workspace=default_workspace(clock, Ids(settings.seed)),
        app=InstalledApp(manifest=settings.manifest),
        base_url=base_url,
        enforce_rate_limits=settings.enforce_rate_limits,
        bot_transport=settings.bot_transport,
    )
    platform.faults.readiness_seconds = settings.readiness_seconds
    connections, sessions = Connections(), Sessions(platform.workspace)
    config = uvicorn.Config(
        create_app(platform, connections, sessions),
        http=connections.protocol(),
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    return LocalServer(
        platform=platform, sessions=sessions, uvicorn=uvicorn.Server(config), listener=listener
    )


def create_app(platform: Platform, connections: Connections, sessions: Sessions) -> Starlette:
    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        await platform.close()

    bot = BotRoutes(platform=platform, connections=connections, sessions=sessions)
    page = PageRoutes(platform=platform, sessions=sessions)
    return Starlette(
        routes=[*bot.routes(), *page.routes()], middleware=[Middleware(LoopbackGuard)], lifespan=lifespan
    )


def bind(port: int) -> socket.socket:
    # asyncio turns Nagle off only for sockets that say they are TCP; with it every answer takes 40 ms
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener
