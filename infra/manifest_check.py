"""What of Slack's manifest schema our manifest touches: keys, types, lengths.

Source: Slack's manifest reference and schema ("App manifests", draft 7). It is a part of the schema, for the
keys we use; a key that is not in it is refused.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from bot.domain.errors import BotError

Rule: TypeAlias = "Callable[[str, Any], Iterator[str]]"
SCOPE = re.compile(r"[a-z.]+(:[a-z._]+)*")
LONGEST = 10_000


class ManifestError(BotError):
    """Slack would refuse the manifest; each place is named."""


def check_manifest(manifest: Mapping[str, Any]) -> None:
    """Raises ManifestError with everything that is wrong."""
    wrong = [*_SCHEMA("manifest", manifest), *_together(manifest)]
    if wrong:
        raise ManifestError("; ".join(wrong))


def _together(manifest: Mapping[str, Any]) -> Iterator[str]:
    """What one key demands of another."""
    settings = manifest.get("settings", {})
    commands = manifest.get("features", {}).get("slash_commands", [])
    if settings.get("socket_mode_enabled"):
        return
    if settings.get("interactivity", {}).get("is_enabled") and not settings["interactivity"].get(
        "request_url"
    ):
        yield "settings.interactivity.request_url is missing, and Socket Mode is off"
    for command in commands:
        if "url" not in command:
            yield f"features.slash_commands: {command.get('command')} has no url, and Socket Mode is off"


def _text(longest: int, shape: str = "") -> Rule:
    def rule(place: str, value: Any) -> Iterator[str]:
        if not isinstance(value, str):
            yield f"{place} must be a text"
        elif not 1 <= len(value) <= longest:
            yield f"{place} must have 1 to {longest} characters, not {len(value)}"
        elif shape and not re.fullmatch(shape, value):
            yield f"{place} cannot be {value!r}"

    return rule


def _flag(place: str, value: Any) -> Iterator[str]:
    if not isinstance(value, bool):
        yield f"{place} must be true or false"


def _whole(place: str, value: Any) -> Iterator[str]:
    if isinstance(value, bool) or not isinstance(value, int):
        yield f"{place} must be a whole number"


def _list(of: Rule, most: int) -> Rule:
    def rule(place: str, value: Any) -> Iterator[str]:
        if not isinstance(value, Sequence) or isinstance(value, str) or len(value) > most:
            yield f"{place} must be a list of at most {most}"
            return
        for index, one in enumerate(value):
            yield from of(f"{place}[{index}]", one)

    return rule


def _object(*, required: Mapping[str, Rule], optional: Mapping[str, Rule] | None = None) -> Rule:
    known = {**required, **(optional or {})}

    def rule(place: str, value: Any) -> Iterator[str]:
        if not isinstance(value, Mapping):
            yield f"{place} must be an object"
            return
        yield from (f"{place}.{key} is missing" for key in required if key not in value)
        yield from (f"{place}.{key} is not known" for key in value if key not in known)
        for key in value.keys() & known.keys():
            yield from known[key](f"{place}.{key}", value[key])

    return rule


_HTTPS = _text(LONGEST, r"https://\S+")
_COMMAND = _object(
    required={"command": _text(32, r"/[a-z0-9_-]+"), "description": _text(2000)},
    optional={"usage_hint": _text(1000), "should_escape": _flag, "url": _HTTPS},
)
_SCHEMA = _object(
    required={
        "display_information": _object(
            required={"name": _text(35)},
            optional={"description": _text(140), "long_description": _text(4000)},
        ),
    },
    optional={
        "_metadata": _object(required={}, optional={"major_version": _whole, "minor_version": _whole}),
        "features": _object(
            required={},
            optional={
                "bot_user": _object(
                    required={"display_name": _text(80, r"[\w .-]+")}, optional={"always_online": _flag}
                ),
                "slash_commands": _list(_COMMAND, 50),
            },
        ),
        "oauth_config": _object(
            required={},
            optional={
                "scopes": _object(required={}, optional={"bot": _list(_text(200, SCOPE.pattern), 255)})
            },
        ),
        "settings": _object(
            required={},
            optional={
                "interactivity": _object(required={"is_enabled": _flag}, optional={"request_url": _HTTPS}),
                "org_deploy_enabled": _flag,
                "socket_mode_enabled": _flag,
                "token_rotation_enabled": _flag,
            },
        ),
    },
)
