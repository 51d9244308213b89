"""What happens to a line before it is parsed: Slack's wire encoding undone, a phone's typography undone.

`from_slack` runs once, at the Slack door. `tidy` is idempotent and runs on every line, also on one typed in
a terminal or copied from a card.
"""

import re
from dataclasses import dataclass

from bot.domain.prompt.schema import find_flag, nearest_flag

ENTITIES = {"&amp;": "&", "&lt;": "<", "&gt;": ">"}
"""Slack escapes exactly these three in text; see its page "Formatting text for app surfaces"."""

STRAIGHT = str.maketrans("“”„‟″‘’‚‛′", '"""""' + "'''''")
SPACES = str.maketrans(dict.fromkeys("\u200b\u2060\ufeff", " "))
INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
SMART_DASHES = "‒–—―−－"
DASHED_WORD = re.compile(rf"(?<!\S)([-{SMART_DASHES}]{{1,4}})(?=[^\W\d_])([^\W\d]+(?:-[^\W\d]+)*)")
VALUE_FOLLOWS = re.compile(r"[ =]?-?\d")


@dataclass(frozen=True, slots=True)
class Line:
    """A tidy line and the flags in it whose dashes had to be straightened, as they were typed."""

    text: str
    fixed: tuple[tuple[str, str], ...] = ()


def from_slack(text: str) -> str:
    """Undo Slack's encoding once: entities, then `<https://u|label>`, `<@U1|name>` and `<#C1|name>`."""
    text = re.sub("&(?:amp|lt|gt);", lambda entity: ENTITIES[entity[0]], text)
    text = re.sub(r"<((?:https?|mailto):[^<>|\s]+)(?:\|[^<>]*)?>", r"\1", text)
    text = re.sub(r"<!(?:subteam\^[^|<>]*\|@?)?([^<>|^]+)(?:\|[^<>]*)?>", r"@\1", text)
    return re.sub(r"<([@#])([A-Z0-9]{3,})(?:\|([^<>]*))?>", lambda ref: ref[1] + (ref[3] or ref[2]), text)


def tidy(text: str) -> str:
    """The line with plain dashes before flags, straight quotes, single spaces, and nothing invisible."""
    return tidy_line(text).text


def tidy_line(text: str) -> Line:
    """`tidy`, and which flags it had to straighten."""
    visible = INVISIBLE.sub("", text.translate(SPACES).translate(STRAIGHT))
    fixed: list[tuple[str, str]] = []

    def straighten(match: re.Match[str]) -> str:
        dashes, word = match[1], match[2]
        if dashes == "--" or not _is_meant_as_flag(match):
            return match[0]
        fixed.append((match[0], f"--{word}"))
        return f"--{word}"

    text = DASHED_WORD.sub(straighten, " ".join(visible.split()))
    return Line(text=text, fixed=tuple(fixed))


def _is_meant_as_flag(match: re.Match[str]) -> bool:
    """Prose uses dashes too: only one before a flag's name, or nearly one, stands for two hyphens."""
    dashes, word = match[1], match[2]
    flag = find_flag(word)
    if dashes == "-":
        return (
            flag is not None and not flag.inert and VALUE_FOLLOWS.match(match.string, match.end()) is not None
        )
    return flag is not None or nearest_flag(word) is not None
