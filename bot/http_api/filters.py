"""The team's own filter: `module:function`, body in, body or refusal out. It runs after authentication.

def only_small(body, *, caller):
    if (body.get("width") or 512) > 512:
        return "Pictures are at most 512 pixels wide here."
    return body
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, cast

from bot.domain.errors import BotError, ConfigError
from bot.http_api.problems import Problem

SETTING = "IMAGINE_API_FILTER"
LONGEST_REFUSAL = 500
Filter = Callable[..., Any]
"""Called as `filter(body, caller=person)`; answers a body to go on with, or a text that says why not.

In every format the body has our names for its fields; their values are as the client sent them, unchecked.
"""


class FilterFailed(BotError):
    """The filter raised, or answered neither a body nor a text. `kind` is safe to log."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


def load_filter(setting: str) -> Filter | None:
    """The function that the setting names, None for an empty one. Raises ConfigError naming what is wrong."""
    if not setting:
        return None
    module, _, name = setting.partition(":")
    if not module or not name:
        raise ConfigError(f"{SETTING} is {setting!r}: write module:function")
    try:
        found = getattr(import_module(module), name)
    except Exception as error:  # a module of the team's may raise anything while it is imported
        raise ConfigError(
            f"{SETTING}: {setting} cannot be imported ({type(error).__name__}: {error})"
        ) from error
    if not callable(found):
        raise ConfigError(f"{SETTING}: {setting} is no function")
    return cast("Filter", found)


def filtered(body: Mapping[str, Any], *, by: Filter | None, caller: str) -> Mapping[str, Any]:
    """The body that goes on. Raises Problem (403 with the filter's own sentence) and FilterFailed.

    That one holds the kind of the error alone: its text may hold the prompt.
    """
    if by is None:
        return body
    try:
        answer = by(dict(body), caller=caller)
    except Exception as error:  # noqa: BLE001  the team's code: its defect is no refusal, and no news for the client
        raise FilterFailed(type(error).__name__) from None
    if isinstance(answer, str):
        raise Problem(
            403, "filtered", answer[:LONGEST_REFUSAL], fix="Change the request as the sentence says."
        )
    if not isinstance(answer, Mapping):
        raise FilterFailed(f"returned_{type(answer).__name__}")
    return answer
