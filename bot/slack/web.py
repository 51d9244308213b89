"""Slack's Web API, spoken by a client that never repeats a post by itself.

`slack_sdk`'s client repeats a call when the connection breaks, which posts a message twice when Slack had
already taken it. Here every failure says what is known: Busy (throttled), Unavailable (provably no effect),
Unauthorized (likewise: the token is not taken), Ambiguous (perhaps), Rejected (a lasting no).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlencode, urlsplit

from bot.domain.errors import Ambiguous, Busy, ConfigError, PeerError, Rejected, Unauthorized, Unavailable
from bot.slack.connections import Connections, LostConnection, Origin, Reply

SLACK_API = "https://slack.com/api/"
UPLOAD_HOST = "files.slack.com"
RESPONSE_HOST = "hooks.slack.com"
ANSWER_SECONDS = 2.0
"""Answers through a `response_url` are given before the ack, for which there are three seconds in all."""

REPEATABLE = frozenset(
    {
        "auth.test",
        "chat.delete",
        "chat.update",
        "conversations.history",
        "conversations.replies",
        "files.delete",
        "files.getUploadURLExternal",
        "files.info",
    }
)
"""Methods whose repetition changes nothing: sent once more when the peer hung up instead of answering."""

STALE_TOKEN = frozenset({"account_inactive", "invalid_auth", "not_authed", "token_expired", "token_revoked"})
"""Slack looks at the token before anything else, so nothing was done; installing the app again mends each."""

NO_EFFECT = frozenset({"service_unavailable", "request_timeout", "team_added_to_org"})
MAYBE_EFFECT = frozenset({"fatal_error", "internal_error"})
"""Slack's docs: "some aspect of the operation" may have "succeeded before the error was raised"."""

Json = dict[str, Any]


class Tokens(Protocol):
    """Where the bot token comes from; `refresh` looks again after Slack refused the current one."""

    def current(self) -> str: ...

    def refresh(self) -> str: ...


@dataclass(frozen=True, slots=True)
class FixedToken:
    """A token that nobody rotates."""

    value: str = field(repr=False)

    def current(self) -> str:
        return self.value

    def refresh(self) -> str:
        return self.value


class SlackWeb:
    """One workspace's Web API. `timeout` is seconds for every wait on the network after connecting.

    `base_url` is Slack's, or a loopback address where a local workspace listens; then uploads and
    `response_url`s may point there too. Raises ConfigError for any other address.
    """

    def __init__(self, *, tokens: Tokens, base_url: str = SLACK_API, timeout: float = 10.0) -> None:
        self._tokens = tokens
        self._origin, self._path = _api_address(base_url)
        self._connections = Connections(timeout=timeout)
        self._answers = Connections(timeout=min(timeout, ANSWER_SECONDS))

    def call(self, method: str, /, **arguments: object) -> Json:
        """Call a method and return its answer. Arguments that are None are left out.

        A token that is not taken is looked up anew, and the call made once more where there is another.
        Raises Busy, Unavailable, Unauthorized, Ambiguous or Rejected; its `code` is Slack's own error string.
        """
        token = self._tokens.current()
        try:
            return self._call(method, token, arguments)
        except Unauthorized:
            fresh = self._tokens.refresh()
            if fresh == token:
                raise
        return self._call(method, fresh, arguments)

    def upload(self, url: str, content: bytes) -> None:
        """Send a file's bytes to the address that `files.getUploadURLExternal` gave."""
        headers = {"Content-Type": "application/octet-stream"}
        _check_status(self._connections.post(*self._trusted(url, UPLOAD_HOST), headers=headers, body=content))

    def respond(self, response_url: str, message: Mapping[str, Any]) -> None:
        """Answer through a `response_url` (5 uses within 30 minutes)."""
        headers = {"Content-Type": "application/json; charset=utf-8"}
        body = json.dumps(message).encode()
        reply = self._answers.post(*self._trusted(response_url, RESPONSE_HOST), headers=headers, body=body)
        _check_status(reply)
        if reply.body.startswith(b"{"):  # success is the word "ok", or an object like a method's
            _answer(reply)

    def close(self) -> None:
        """Close the idle connections."""
        self._connections.close()
        self._answers.close()

    def _call(self, method: str, token: str, arguments: Mapping[str, object]) -> Json:
        headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
        }
        body = _form(arguments)
        try:
            reply = self._connections.post(self._origin, self._path + method, headers=headers, body=body)
        except LostConnection:
            if method not in REPEATABLE:
                raise
            reply = self._connections.post(self._origin, self._path + method, headers=headers, body=body)
        return _answer(reply)

    def _trusted(self, url: str, host: str) -> tuple[Origin, str]:
        """Origin and target of an address that Slack named, if it is one that Slack would name."""
        try:
            origin = Origin.of(url)
        except ValueError as error:
            raise Rejected("untrusted_address") from error
        slacks = Origin(scheme="https", host=host, port=443)
        if origin == slacks or (self._origin.is_loopback and origin == self._origin):
            parts = urlsplit(url)
            return origin, f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        raise Rejected("untrusted_address")


def _api_address(base_url: str) -> tuple[Origin, str]:
    try:
        origin = Origin.of(base_url)
    except ValueError as error:
        raise ConfigError(f"the Slack address {base_url!r} is not a web address; use {SLACK_API}") from error
    if origin.scheme == "http" and not origin.is_loopback:
        raise ConfigError(f"the Slack address {base_url!r} would send the token unencrypted; use https")
    return origin, urlsplit(base_url).path.rstrip("/") + "/"


def _form(arguments: Mapping[str, object]) -> bytes:
    """Form fields, the one encoding every Web API method takes; lists and objects travel as JSON inside."""
    fields = {name: _field(value) for name, value in arguments.items() if value is not None}
    return urlencode(fields, errors="replace").encode()


def _field(value: object) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _answer(reply: Reply) -> Json:
    _check_status(reply)
    try:
        answer = json.loads(reply.body)
    except (ValueError, RecursionError) as error:
        raise Ambiguous("garbled_reply") from error
    if not isinstance(answer, dict):
        raise Ambiguous("garbled_reply")
    if answer.get("ok") is True:
        return answer
    raise _refusal(str(answer.get("error", "no_error_named")), reply)


def _check_status(reply: Reply) -> None:
    if reply.status == 429:
        raise Busy("ratelimited", retry_after=_retry_after(reply))
    if reply.status >= 500:
        raise Ambiguous(f"http_{reply.status}")
    if reply.status >= 300:
        raise Rejected(f"http_{reply.status}")


def _refusal(code: str, reply: Reply) -> PeerError:
    if code in {"ratelimited", "rate_limited"}:
        return Busy(code, retry_after=_retry_after(reply))
    if code in STALE_TOKEN:
        return Unauthorized(code)
    if code in NO_EFFECT:
        return Unavailable(code)
    if code in MAYBE_EFFECT:
        return Ambiguous(code)
    return Rejected(code)


def _retry_after(reply: Reply) -> float | None:
    """Slack's wish in seconds; it sends whole numbers, and we wait no longer than a day on its word."""
    wish = reply.headers.get("retry-after", "")
    return min(float(wish), 86_400.0) if wish.isascii() and wish.isdigit() else None
