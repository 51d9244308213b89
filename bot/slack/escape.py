"""The one place where text that a person, a model or a file name supplied becomes Slack text.

Slack reads three languages. `mrkdwn` strings parse `<!channel>`, `<@U1>` and `<url|label>`, which escaping
`& < >` stops ("Formatting text for app surfaces", Slack docs). `plain_text` objects parse emoji names unless
told not to. `rich_text` text elements parse nothing. Prompts therefore go into the last two wherever a block
allows it, and through `escape` into the plain `text` of a message.
"""

import re
import unicodedata
from typing import Any

ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
USER_ID = re.compile(r"[UW][A-Z0-9]{2,30}")
UNPRINTABLE = frozenset({"Cc", "Cs"})
LAYOUT = "\n\t"
NOTHING = "–"

Json = dict[str, Any]


def clean(text: str) -> str:
    """The text without control characters and halves of surrogate pairs, which no Slack client shows."""
    return "".join(char for char in text if char in LAYOUT or unicodedata.category(char) not in UNPRINTABLE)


def clip(text: str, limit: int) -> str:
    """At most `limit` characters of the clean text; an ellipsis shows that some are missing."""
    text = clean(text)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def escape(text: str, limit: int = 3000) -> str:
    """Text for a mrkdwn string: at most `limit` characters after escaping, never cut inside an entity."""
    escaped = [ENTITIES.get(char, char) for char in clean(text)]
    if sum(map(len, escaped)) <= limit:
        return "".join(escaped)
    kept: list[str] = []
    room = limit - 1
    for piece in escaped:
        room -= len(piece)
        if room < 0:
            break
        kept.append(piece)
    return "".join(kept) + "…"


def plain(text: str, limit: int) -> Json:
    """A plain_text object that shows the text as it is, `:emoji:` names included."""
    return {"type": "plain_text", "text": clip(text, limit) or NOTHING, "emoji": False}


def run(text: str, limit: int = 3000) -> Json:
    """A rich_text element; nothing in it is parsed."""
    return {"type": "text", "text": clip(text, limit) or NOTHING}


def quoted(text: str, limit: int = 3000) -> Json:
    """A rich_text block that quotes the text."""
    return _rich("rich_text_quote", text, limit)


def preformatted(text: str, limit: int = 3000) -> Json:
    """A rich_text block with the text in fixed width, ready to be copied."""
    return _rich("rich_text_preformatted", text, limit)


def mention(user: str) -> str:
    """The mrkdwn that notifies a person; anything that is no Slack user id is shown as text instead."""
    return f"<@{user}>" if USER_ID.fullmatch(user) else escape(user)


def person(user: str) -> Json:
    """The rich_text element that names a person."""
    return {"type": "user", "user_id": user} if USER_ID.fullmatch(user) else run(user)


def _rich(kind: str, text: str, limit: int) -> Json:
    return {"type": "rich_text", "elements": [{"type": kind, "elements": [run(text, limit)]}]}
