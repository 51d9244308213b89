"""The local Slack as one object: a workspace, one installed app, and everything between them."""

import ssl
from dataclasses import dataclass
from typing import Any

import httpx

from infra.local.slack.app import InstalledApp
from infra.local.slack.clock import BackgroundTasks, Clock
from infra.local.slack.delivery import Delivery
from infra.local.slack.faults import Faults
from infra.local.slack.files import Uploads
from infra.local.slack.interactions import Interactions
from infra.local.slack.rate_limits import RateLimits
from infra.local.slack.replies import Replies, Triggers
from infra.local.slack.socket_mode import SocketMode
from infra.local.slack.traffic import Traffic
from infra.local.slack.workspace import Workspace


@dataclass(slots=True, kw_only=True)
class Platform:
    workspace: Workspace
    app: InstalledApp
    clock: Clock
    base_url: str
    faults: Faults
    traffic: Traffic
    rate_limits: RateLimits
    background: BackgroundTasks
    sockets: SocketMode
    uploads: Uploads
    replies: Replies
    triggers: Triggers
    interactions: Interactions
    client: httpx.AsyncClient

    def reinstall(self, manifest: dict[str, Any]) -> None:
        """Give the app a changed manifest: other scopes, another address for the bot."""
        self.app = self.interactions.app = self.app.installed_with(manifest)

    async def close(self) -> None:
        await self.background.cancel()
        await self.client.aclose()


def bot_client(transport: httpx.AsyncBaseTransport | None) -> httpx.AsyncClient:
    """The client for the bot on this machine: plain HTTP (so no certificates are loaded), timed by our
    clock.
    """
    no_certificates = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return httpx.AsyncClient(
        transport=transport,
        verify=no_certificates,
        trust_env=False,
        timeout=None,  # noqa: S113 - the deadline runs on the injected clock
    )


def build_platform(
    *,
    workspace: Workspace,
    app: InstalledApp,
    base_url: str,
    enforce_rate_limits: bool,
    bot_transport: httpx.AsyncBaseTransport | None = None,
) -> Platform:
    """Wire one platform. ``bot_transport`` replaces the network on the way to the bot."""
    clock, faults, traffic, background = workspace.clock, Faults(), Traffic(), BackgroundTasks()
    sockets = SocketMode(app_id=app.id, ids=workspace.ids)
    client = bot_client(bot_transport)
    delivery = Delivery(
        client=client,
        sockets=sockets,
        signing_secret=app.signing_secret,
        clock=clock,
        faults=faults,
        traffic=traffic,
    )
    replies = Replies(workspace=workspace, bot_id=app.bot_id, clock=clock)
    triggers = Triggers(workspace=workspace, clock=clock)
    interactions = Interactions(
        workspace=workspace,
        app=app,
        delivery=delivery,
        replies=replies,
        triggers=triggers,
        faults=faults,
        background=background,
        base_url=base_url,
    )
    return Platform(
        workspace=workspace,
        app=app,
        clock=clock,
        base_url=base_url,
        faults=faults,
        traffic=traffic,
        rate_limits=RateLimits(clock=clock, enforced=enforce_rate_limits),
        background=background,
        sockets=sockets,
        uploads=Uploads(workspace=workspace, bot_id=app.bot_id, faults=faults, background=background),
        replies=replies,
        triggers=triggers,
        interactions=interactions,
        client=client,
    )
