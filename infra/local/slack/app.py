"""The installed app: its tokens, and what its manifest grants and asks for."""

from dataclasses import dataclass, field
from typing import Any, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    command: str
    description: str
    usage_hint: str
    should_escape: bool
    url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledApp:
    """An app as one workspace knows it. Tokens and secret are for this local workspace and open nothing
    else.
    """

    manifest: dict[str, Any]
    id: str = "A0000000001"
    bot_id: str = "B0000000001"
    bot_token: str = field(default="xoxb-local-bot", repr=False)
    app_token: str = field(default="xapp-local-app", repr=False)
    signing_secret: str = field(default="local-signing-secret", repr=False)
    verification_token: str = field(default="local-verification-token", repr=False)

    @property
    def scopes(self) -> list[str]:
        return list(self.manifest["oauth_config"]["scopes"].get("bot", []))

    @property
    def commands(self) -> list[Command]:
        return [
            Command(
                command=entry["command"],
                description=entry.get("description", ""),
                usage_hint=entry.get("usage_hint", ""),
                should_escape=entry.get("should_escape", False),
                url=entry.get("url"),
            )
            for entry in self.manifest.get("features", {}).get("slash_commands", [])
        ]

    @property
    def uses_socket_mode(self) -> bool:
        return bool(self._settings.get("socket_mode_enabled", False))

    @property
    def interactivity_url(self) -> str | None:
        url: str | None = self._settings.get("interactivity", {}).get("request_url")
        return url

    @property
    def events(self) -> list[str]:
        return list(self._settings.get("event_subscriptions", {}).get("bot_events", []))

    @property
    def events_url(self) -> str | None:
        url: str | None = self._settings.get("event_subscriptions", {}).get("request_url")
        return url

    def installed_with(self, manifest: dict[str, Any]) -> Self:
        """The same app after its manifest changed."""
        return type(self)(
            manifest=manifest,
            id=self.id,
            bot_id=self.bot_id,
            bot_token=self.bot_token,
            app_token=self.app_token,
            signing_secret=self.signing_secret,
            verification_token=self.verification_token,
        )

    @property
    def _settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = self.manifest.get("settings", {})
        return settings
