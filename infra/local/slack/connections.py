"""Breaking a connection on purpose: the server's protocol, and the open sockets by the caller's address."""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

Address = tuple[str, int]


class Connections:
    """The open TCP connections of one server."""

    def __init__(self) -> None:
        self._open: dict[Address, asyncio.Transport] = {}

    async def abort(self, caller: Address | None) -> None:
        """Cut the caller's connection without a word, and return once the server has noticed."""
        transport = self._open.get(tuple(caller)) if caller else None  # type: ignore[arg-type]
        if transport is not None:
            transport.abort()
            await asyncio.sleep(0)

    def protocol(self) -> type[asyncio.Protocol]:
        """The HTTP protocol class that reports its sockets here."""
        opened = self._open

        class ReportingProtocol(H11Protocol):
            def connection_made(self, transport: Any) -> None:
                super().connection_made(transport)
                opened[transport.get_extra_info("peername")[:2]] = transport

            def connection_lost(self, exc: Exception | None) -> None:
                opened.pop(self.transport.get_extra_info("peername")[:2], None)
                super().connection_lost(exc)

        return ReportingProtocol
