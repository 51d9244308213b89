"""One request from the workspace to the bot: signed, over HTTP or Socket Mode, against Slack's deadline."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlencode

import httpx

from infra.local.slack.clock import Clock
from infra.local.slack.errors import SlackError
from infra.local.slack.faults import Faults
from infra.local.slack.json_text import read_json
from infra.local.slack.socket_mode import SocketMode
from infra.local.slack.traffic import Exchange, Traffic, without_secrets

Kind = Literal["slash_commands", "interactive", "events_api"]
Failure = Literal["http_timeout", "http_error", "connection_failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """How a delivery went. ``failure`` uses the words of ``X-Slack-Retry-Reason``; ``ms`` is until ack or
    failure.
    """

    kind: Kind
    ms: float
    failure: Failure | None = None
    status: int | None = None
    body: dict[str, Any] = field(default_factory=dict)
    """What the bot answered beside the ack: a message for a slash command, empty for most."""
    no_retry: bool = False

    @property
    def ok(self) -> bool:
        return self.failure is None

    @property
    def code(self) -> str | None:
        """The failure in the words Slack has for people."""
        if self.failure is None:
            return None
        return "operation_timeout" if self.failure == "http_timeout" else "dispatch_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    status: int | None
    body: dict[str, Any]
    no_retry: bool = False


class Delivery:
    """``client`` carries requests to the bot; ``signing_secret`` signs them as ``X-Slack-Signature`` v0."""

    def __init__(
        self,
        *,
        client: httpx.AsyncClient,
        sockets: SocketMode,
        signing_secret: str,
        clock: Clock,
        faults: Faults,
        traffic: Traffic,
    ) -> None:
        self._client = client
        self._sockets = sockets
        self._secret = signing_secret
        self._clock = clock
        self._faults = faults
        self._traffic = traffic

    async def send(
        self, kind: Kind, payload: dict[str, Any], *, url: str | None, retry: tuple[int, str] | None = None
    ) -> Delivered:
        """Deliver and wait for the ack, at most ``faults.ack_seconds``. Without ``url``, over Socket Mode."""
        started = self._clock.now()
        work = (
            self._by_socket(kind, payload, retry) if url is None else self._by_http(kind, payload, url, retry)
        )
        answer, failure = await self._against_deadline(work)
        delivered = Delivered(
            kind=kind,
            ms=round((self._clock.now() - started) * 1000, 1),
            failure=failure,
            status=answer.status if answer else None,
            body=answer.body if answer and failure is None else {},
            no_retry=answer.no_retry if answer else False,
        )
        self._log(delivered, payload)
        return delivered

    async def _against_deadline(self, work: Awaitable[_Answer]) -> tuple[_Answer | None, Failure | None]:
        task = asyncio.ensure_future(self._at_the_bots_pace(work))
        deadline = asyncio.ensure_future(self._clock.sleep(self._faults.ack_seconds))
        try:
            await asyncio.wait({task, deadline}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                return None, "http_timeout"
            answer = task.result()
        except (httpx.TransportError, ConnectionError):
            return None, "connection_failed"
        finally:
            deadline.cancel()
            task.cancel()
        good = answer.status is None or 200 <= answer.status < 300
        return answer, None if good else "http_error"

    async def _at_the_bots_pace(self, work: Awaitable[_Answer]) -> _Answer:
        answer = await work
        await self._clock.sleep(self._faults.bot_seconds)
        return answer

    async def _by_socket(self, kind: Kind, payload: dict[str, Any], retry: tuple[int, str] | None) -> _Answer:
        extra: dict[str, Any] = {}
        if kind == "events_api":
            number, reason = retry or (0, "")
            extra = {"retry_attempt": number, "retry_reason": reason}
        body = await self._sockets.send(kind, payload, **extra)
        return _Answer(status=None, body=_spoken(body))

    async def _by_http(
        self, kind: Kind, payload: dict[str, Any], url: str, retry: tuple[int, str] | None
    ) -> _Answer:
        body, content_type = encode(kind, payload)
        headers = {"Content-Type": content_type, **sign(self._secret, body, timestamp=int(self._clock.now()))}
        if retry is not None:
            headers |= {"X-Slack-Retry-Num": str(retry[0]), "X-Slack-Retry-Reason": retry[1]}
        response = await self._client.post(url, content=body, headers=headers)
        return _Answer(
            status=response.status_code,
            body=_spoken(_body(response)),
            no_retry=response.headers.get("x-slack-no-retry") == "1",
        )

    def _log(self, delivered: Delivered, payload: dict[str, Any]) -> None:
        self._traffic.record(
            Exchange(
                at=self._clock.now(),
                direction="out",
                name=delivered.kind,
                ok=delivered.ok,
                error=delivered.failure,
                status=delivered.status,
                ms=delivered.ms,
                request=without_secrets(payload),
                response=delivered.body,
            )
        )


def encode(kind: Kind, payload: Mapping[str, Any]) -> tuple[bytes, str]:
    """Body and content type: events are JSON, commands are a form, interactions are a form with one JSON
    field.
    """
    if kind == "events_api":
        return json.dumps(payload).encode(), "application/json"
    form = payload if kind == "slash_commands" else {"payload": json.dumps(payload)}
    return urlencode(form).encode(), "application/x-www-form-urlencoded"


def sign(secret: str, body: bytes, *, timestamp: int) -> dict[str, str]:
    """Slack's request signature, version 0."""
    base = b"v0:%d:%b" % (timestamp, body)
    digest = hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": str(timestamp), "X-Slack-Signature": f"v0={digest}"}


def _body(response: httpx.Response) -> Any:
    if "json" not in response.headers.get("content-type", ""):
        return response.text
    try:
        return read_json(response.content)
    except SlackError:
        return response.text


def _spoken(body: Any) -> dict[str, Any]:
    """The answer as a message: a JSON object as it is, other text as its ``text``, nothing as nothing."""
    if isinstance(body, dict):
        return body
    return {"text": body} if isinstance(body, str) and body.strip() else {}
