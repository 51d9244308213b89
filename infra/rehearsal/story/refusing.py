"""What Slack refuses the bot, and that its person is told all the same. Later chapters draw as before."""

from collections.abc import Iterator
from contextlib import contextmanager

from bot.domain.job import Outcome
from bot.domain.messages import OUTCOMES, WAITS_FOR_SLACK
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
    with rows("Slack does not take the token: the job waits, and goes on with a good one") as row:
        row.fact = _waits_for_a_token(stage)


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


def _waits_for_a_token(stage: Stage) -> str:
    """Until Slack takes the token again; `recovering` shows that `imagine secrets set` brings another."""
    before, journal = len(stage.slack.ephemerals()), len(_refusals(stage))
    with accepted(stage, "a red apple --steps 10 --seed 51") as waiting:
        stage.slack.faults.refuse("chat.postMessage", "token_revoked", times=2)
    stage.whisper("you", before, WAITS_FOR_SLACK)
    card = stage.ended(waiting())
    stage.until(lambda: stage.files(card), what=f"a picture; the card says {card.words!r}")
    if len(_refusals(stage)) - journal != 2 or set(_refusals(stage)) != {"token_revoked"}:
        raise NotSeen(f"{_refusals(stage)} in the journals")
    return "told in private once, token_refused twice, then card and picture"


def _refusals(stage: Stage) -> list[str]:
    """Slack's codes, in the journals of those who may have tried."""
    return [told["code"] for name in ("worker", "sweep") for told in stage.events(name, "token_refused")]


def _archive(stage: Stage, *, is_archived: bool) -> None:
    stage.slack.platform.workspace.channel_named(CHANNEL).is_archived = is_archived
