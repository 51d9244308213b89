"""A bot that records what it is told, and manifests for it."""

from typing import Any

import httpx

from infra.slack_manifest import manifest

EVERY_SCOPE = (
    "commands",
    "chat:write",
    "files:write",
    "files:read",
    "channels:history",
    "groups:history",
    "im:history",
    "channels:read",
    "channels:join",
    "groups:read",
    "im:read",
    "im:write",
    "users:read",
)


class RecordingBot:
    """Answers what a test tells it to and keeps every request."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.answers: list[httpx.Response] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self.answers.pop(0) if self.answers else httpx.Response(200)


def manifest_with(*scopes: str, **settings: Any) -> dict[str, Any]:
    app = manifest("http://bot.test/slack/events")
    app["oauth_config"]["scopes"]["bot"] = list(scopes)
    app["settings"] |= settings
    return app
