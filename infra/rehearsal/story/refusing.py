"""What Slack refuses the bot, and that its person is told all the same. Later chapters draw as before."""

from collections.abc import Iterator
from contextlib import contextmanager

from bot.domain.job import Outcome
from bot.domain.messages import OUTCOMES
from infra.rehearsal.outages import accepted
from infra.rehearsal.rows import Rows
from infra.rehearsal.stage import NotSeen, Stage

CHANNEL = "pictures"


def play(stage: Stage, rows: Rows) -> None:
    """Raises what a step raises."""
    with rows("the channel is archived before the card is there") as row:
        with _told_in_private(stage, "is_archived", seed=50):
            _archive(stage, is_archived=True)
        _archive(stage, is_archived=False)
        row.fact = "the person is told in private, announce_rejected is counted"
    with rows("Slack has revoked the token") as row:
        with _told_in_private(stage, "token_revoked", seed=51):
            stage.slack.faults.refuse("chat.postMessage", "token_revoked")
        row.fact = "likewise, code token_revoked"


@contextmanager
def _told_in_private(stage: Stage, code: str, *, seed: int) -> Iterator[None]:
    """A job is accepted, Slack changes in the block, and the worker posts the card in vain."""
    before, journal = len(stage.slack.ephemerals()), len(stage.events("worker", "announce_rejected"))
    cards = len(stage.slack.messages(CHANNEL))
    with accepted(stage, f"a red apple --steps 10 --seed {seed}"):
        yield
    stage.whisper("you", before, OUTCOMES[Outcome.CANNOT_POST])
    counted = stage.until(
        lambda: stage.events("worker", "announce_rejected")[journal:], what=f"announce_rejected, {code}"
    )
    codes = [told["code"] for told in counted]
    if codes != [code] or len(stage.slack.messages(CHANNEL)) != cards:
        raise NotSeen(f"{codes} in the journal, {len(stage.slack.messages(CHANNEL)) - cards} cards more")


def _archive(stage: Stage, *, is_archived: bool) -> None:
    stage.slack.platform.workspace.channel_named(CHANNEL).is_archived = is_archived
