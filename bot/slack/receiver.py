"""Requests from Slack over HTTP: gate, shape, Bolt. The local server and the Lambda both call this."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import parse_qsl

from slack_bolt import App
from slack_bolt.request import BoltRequest

from bot.domain.errors import PeerError
from bot.ports import Clock
from bot.slack import gate

MAX_FIELDS = 200
PLAIN = {"content-type": "text/plain; charset=utf-8"}
REASONS = {
    400: b"malformed request",
    401: b"not signed by Slack",
    405: b"use POST",
    413: b"body too large",
    503: b"the signing secret cannot be read",
}
NOT_CONFIGURED = (
    b"not configured yet: no signing secret is stored. Whoever deployed this stores one with: "
    b"imagine secrets set slack-signing-secret"
)
"""What is answered between the deployment and the secret, which can only come afterwards: Slack shows the
signing secret of an app, and an app asks for an address first.
"""

ODD_SHAPE = (AttributeError, LookupError, TypeError, ValueError, RecursionError)
"""What Bolt raises, also from its error handling, at a payload that is not built as Slack builds it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What goes back to Slack."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class SigningSecrets(Protocol):
    """The secrets that open: one, or two while one replaces the other. `refresh` looks again after a request
    that none of them signed. Both raise PeerError when the secrets are not to be had.
    """

    def current(self) -> Sequence[str]: ...

    def refresh(self) -> Sequence[str]: ...


@dataclass(frozen=True, slots=True)
class FixedSecrets:
    """Secrets that nobody rotates while the process runs."""

    values: Sequence[str] = field(repr=False)

    def current(self) -> Sequence[str]:
        return self.values

    def refresh(self) -> Sequence[str]:
        return self.values


class Receiver:
    """`secrets` are the signing secrets that open, as they are or where they are looked up."""

    def __init__(self, app: App, *, secrets: SigningSecrets | Sequence[str], clock: Clock) -> None:
        self._app = app
        self._secrets = FixedSecrets(tuple(secrets)) if isinstance(secrets, Sequence) else secrets
        self._clock = clock

    def handle(
        self, method: str, path: str, headers: Mapping[str, str] | Iterable[tuple[str, str]], body: bytes
    ) -> Response:
        """Answer one request; never raises. Nothing of a refused request is parsed or logged.

        Every path takes commands, interactions and events: Slack tells them apart in the body.
        """
        del path
        if method != "POST":
            return _refused(405)
        pairs = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
        refusal = self._refusal(pairs, body)
        return self._dispatch(gate.admitted(pairs), body) if refusal is None else refusal

    def _refusal(self, pairs: Sequence[tuple[str, str]], body: bytes) -> Response | None:
        """None for what the gate lets in. A secret may have been replaced a moment ago, so a signature that
        is refused is tried once more with the secrets as they are now. 503 when there are none to judge by.
        """
        try:
            known = self._secrets.current()
            verdict = gate.check(pairs, body, secrets=known, now=self._clock.now())
            if verdict.status == 401 and (fresh := self._secrets.refresh()) != known:
                verdict = gate.check(pairs, body, secrets=fresh, now=self._clock.now())
        except PeerError as error:
            return _not_configured() if error.code == "secret_missing" else _refused(503)
        return None if verdict.status == 200 else _refused(verdict.status)

    def _dispatch(self, headers: dict[str, list[str]], body: bytes) -> Response:
        """Slack signed these bytes, yet they may still be none that Bolt can read.

        Bolt takes what was read only in its mode for sockets. Given the text, it would read it again, and
        take every form for a control in which the word "payload" stands, as it may in a prompt.
        """
        try:
            sent = _read(body.decode(), content_type=headers.get("content-type", [""])[0])
            if not isinstance(sent, dict) or not sent:
                return _refused(400)
            answer = self._app.dispatch(BoltRequest(body=sent, headers=dict(headers), mode="socket_mode"))
        except ODD_SHAPE:
            return _refused(400)
        return Response(status=answer.status, headers=dict(answer.first_headers()), body=answer.body.encode())


def _read(text: str, *, content_type: str) -> object:
    """JSON, or the fields of a form: its `payload`, which is JSON, if it has one.

    Raises one of ODD_SHAPE for JSON that does not parse.
    """
    if content_type.startswith("application/json") or text.startswith("{"):
        return json.loads(text)
    fields = dict(parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS))
    return json.loads(fields["payload"]) if "payload" in fields else fields


def _not_configured() -> Response:
    return Response(status=503, headers=PLAIN, body=NOT_CONFIGURED)


def _refused(status: int) -> Response:
    return Response(status=status, headers=PLAIN, body=REASONS[status])
