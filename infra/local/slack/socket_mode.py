"""Socket Mode: the app opens WebSockets, Slack sends each envelope over one of them and waits for its ack."""

import asyncio
import itertools
from dataclasses import dataclass, field
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from infra.local.slack import limits
from infra.local.slack.workspace import Ids


@dataclass(slots=True, kw_only=True, eq=False)
class Connection:
    socket: WebSocket
    waiting: dict[str, asyncio.Future[Any]] = field(default_factory=dict)

    async def send(self, envelope: dict[str, Any]) -> Any:
        """Send one envelope and return the payload of its ack (None when the ack has none)."""
        acknowledged = asyncio.get_running_loop().create_future()
        self.waiting[envelope["envelope_id"]] = acknowledged
        try:
            await self.socket.send_json(envelope)
            return await acknowledged
        finally:
            self.waiting.pop(envelope["envelope_id"], None)

    async def read_acks(self) -> None:
        """Until the app hangs up."""
        try:
            while True:
                self._settle(await self.socket.receive_json())
        except WebSocketDisconnect:
            return
        finally:
            for acknowledged in self.waiting.values():
                if not acknowledged.done():
                    acknowledged.set_exception(ConnectionError("the app hung up"))

    def _settle(self, ack: Any) -> None:
        acknowledged = self.waiting.get(ack.get("envelope_id", "")) if isinstance(ack, dict) else None
        if acknowledged is not None and not acknowledged.done():
            acknowledged.set_result(ack.get("payload"))


class SocketMode:
    """The open connections of the app. Envelopes go to them in turn."""

    def __init__(self, *, app_id: str, ids: Ids) -> None:
        self._app_id = app_id
        self._ids = ids
        self._tickets: set[str] = set()
        self._connections: list[Connection] = []
        self._turn = itertools.count()

    @property
    def connections(self) -> int:
        return len(self._connections)

    def issue_ticket(self) -> str:
        """A ticket for one connection; ``apps.connections.open`` puts it in the address."""
        ticket = self._ids.secret()
        self._tickets.add(ticket)
        return ticket

    async def serve(self, socket: WebSocket) -> None:
        """One connection, from greeting to hang-up."""
        ticket = socket.query_params.get("ticket", "")
        if ticket not in self._tickets or self.connections >= limits.SOCKET_CONNECTIONS:
            await socket.close(code=1008)
            return
        self._tickets.discard(ticket)
        await socket.accept()
        connection = Connection(socket=socket)
        self._connections.append(connection)
        try:
            await socket.send_json(self._hello())
            await connection.read_acks()
        finally:
            self._connections.remove(connection)

    async def send(self, kind: str, payload: dict[str, Any], **extra: Any) -> Any:
        """Deliver to one connection and return what its ack carried. ``ConnectionError`` without any."""
        if not self._connections:
            raise ConnectionError("no open connection")
        connection = self._connections[next(self._turn) % self.connections]
        envelope = {
            "envelope_id": self._ids.secret(),
            "type": kind,
            "accepts_response_payload": kind != "events_api",
            "payload": payload,
            **extra,
        }
        return await connection.send(envelope)

    async def disconnect(self, reason: str = "refresh_requested") -> None:
        """Ask every connection to go away and come back, as Slack does every few hours."""
        for connection in list(self._connections):
            await connection.socket.send_json(
                {"type": "disconnect", "reason": reason, "debug_info": {"host": "local"}}
            )
            if connection.socket.client_state is WebSocketState.CONNECTED:
                await connection.socket.close()

    def _hello(self) -> dict[str, Any]:
        return {
            "type": "hello",
            "num_connections": self.connections,
            "connection_info": {"app_id": self._app_id},
            "debug_info": {"host": "local", "approximate_connection_time": 18_060},
        }
