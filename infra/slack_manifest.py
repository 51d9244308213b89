"""The Slack app manifest: one builder for the real app, the local workspace and the tests."""

from typing import Any, Final

COMMAND: Final = "/imagine"
USAGE_HINT: Final = "a red fox in the snow --ar 16:9"
SCOPES: Final = ("commands", "chat:write", "files:write", "files:read")


def manifest(url: str | None = None) -> dict[str, Any]:
    """The manifest as Slack's app settings take it.

    ``url`` is the bot's public address for commands and interactivity; without it the app uses Socket Mode.
    Source of the keys: Slack's manifest schema (draft 7, 2026).
    """
    command = {
        "command": COMMAND,
        "description": "Draw a picture from a description",
        "usage_hint": USAGE_HINT,
        "should_escape": False,
    }
    interactivity: dict[str, Any] = {"is_enabled": True}
    if url is not None:
        command["url"] = url
        interactivity["request_url"] = url
    return {
        "_metadata": {"major_version": 1, "minor_version": 1},
        "display_information": {
            "name": "Imagine",
            "description": "Draws pictures with Stable Diffusion on your own endpoint",
        },
        "features": {
            "bot_user": {"display_name": "Imagine", "always_online": True},
            "slash_commands": [command],
        },
        "oauth_config": {"scopes": {"bot": list(SCOPES)}},
        "settings": {
            "interactivity": interactivity,
            "org_deploy_enabled": False,
            "socket_mode_enabled": url is None,
            "token_rotation_enabled": False,
        },
    }
