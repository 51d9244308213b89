"""The Slack workspace of the rehearsal: secrets that can be rotated, and a patient clock."""

import asyncio
import dataclasses
import secrets

import httpx

from infra.local.slack.clock import WallClock
from infra.local.slack.delivery import sign
from infra.local.slack.testing import LocalSlack

SLOWNESS = 20.0
"""Acks are reported here and not judged: the emulator starts a process where Lambda has a warm machine, on
cores that others use as well. `make bench` judges them.
"""


class PatientClock(WallClock):
    """Slack's deadlines, `SLOWNESS` times as long."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds * SLOWNESS)


class Signing(httpx.AsyncBaseTransport):
    """Signs what Slack sends with the secret of this moment. `last` is what was sent last, as it went out."""

    def __init__(self) -> None:
        self.rotate()
        self.last: httpx.Request | None = None
        self._network = httpx.AsyncHTTPTransport(verify=False)

    def rotate(self) -> None:
        """Sign with a new secret from now on, which nothing else knows yet."""
        self.secret = secrets.token_hex(16)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        stamp = int(request.headers["X-Slack-Request-Timestamp"])
        request.headers.update(sign(self.secret, body, timestamp=stamp))
        self.last = request
        return await self._network.handle_async_request(request)

    async def aclose(self) -> None:
        await self._network.aclose()


def new_token() -> str:
    """In the shape of a bot token; nothing knows it yet."""
    return f"xoxb-{secrets.token_hex(12)}"


def install_with(slack: LocalSlack, token: str) -> None:
    """As after a reinstall of the app: this bot token opens, the one before does not any more."""
    app = dataclasses.replace(slack.platform.app, bot_token=token)
    slack.platform.app = slack.platform.interactions.app = app
