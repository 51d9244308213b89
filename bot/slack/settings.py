"""What the Slack side is told when it is wired up."""

from dataclasses import dataclass
from enum import StrEnum


class Mention(StrEnum):
    """Whether the message with the pictures notifies the person who asked."""

    MENTION = "mention"
    QUIET = "quiet"


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackSettings:
    """`team_id` is the one workspace served. `history` says that the app holds a history scope
    (channels:history and the like), with which lost replies can be looked up.
    """

    team_id: str
    admins: frozenset[str] = frozenset()
    mention: Mention = Mention.MENTION
    history: bool = False
