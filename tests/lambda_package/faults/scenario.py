"""People ask for pictures while something goes wrong between the functions and a peer, and what must come of
it.
"""

from contextlib import ExitStack

from bot.domain import messages
from bot.domain.job import Job, Outcome
from infra.local.slack.testing import Shown
from tests.lambda_package.faults.fault import Fault
from tests.lambda_package.faults.on_loopback import bot_of
from tests.lambda_package.faults.seeing import PATIENCE, going_wrong
from tests.scenarios.stack import Stack, has_ended


def ask_during(world: Stack, fault: Fault, *, commands: int = 2) -> list[Outcome | None]:
    """Type lines while it goes wrong until `commands` of them are taken, and see each through to its end.

    Returns the outcomes of all that were accepted. Raises AssertionError, with what there is to see, where
    the fault never happened, and where an accepted request has no outcome in sight or a second one.
    """
    bot, asked = bot_of(world), set[int]()

    def is_taken() -> bool:
        asked.add(seed := bot.fresh_seed())
        return _is_taken(world, seed=seed)

    def ours() -> list[Job]:
        return [job for job in bot.jobs() if job.request.seeds[0] in asked]

    def ended() -> list[Job]:
        jobs = ours()
        return jobs if len(jobs) >= commands and all(job.done_at for job in jobs) else []

    with ExitStack() as going_on:
        going_on.enter_context(fault.situation(world))
        cards_before = len(world.cards())
        with going_wrong(world, fault, jobs=ours):
            for _ in range(commands):
                world.until(is_taken, PATIENCE)
            going_on.close()
            jobs = world.until(ended, PATIENCE)
            world.until(lambda: fault.fired(world) > 0, PATIENCE)
            _check_cards(world, jobs, world.cards()[cards_before:])
            world.until(lambda: len(_nobodys(world, cards_before)) <= fault.spare, PATIENCE)
    return [job.final_outcome for job in jobs]


def _is_taken(world: Stack, *, seed: int) -> bool:
    """Whether the bot took it without a word; else its person is told that it did not, or may not have."""
    delivered = world.slack.command(f"/imagine a red fox --seed {seed}")
    return delivered.ok and not delivered.body


def _check_cards(world: Stack, jobs: list[Job], cards: list[Shown]) -> None:
    """One card a job, with a picture in its thread, or with a plain reason and without one."""
    for job in jobs:
        (card,) = [card for card in cards if card.ts == job.announced_ref]
        pictures, outcome = len(world.files(card)), job.final_outcome
        assert outcome is not None
        assert has_ended(card), card.words
        assert pictures == (1 if outcome is Outcome.OK else 0), (outcome, card.words)
        assert outcome is Outcome.OK or messages.OUTCOMES[outcome] in card.words, (outcome, card.words)


def _nobodys(world: Stack, since: int) -> list[Shown]:
    """Cards that no row knows of. A line that was taken late may have its card before its row says so."""
    known = {job.announced_ref for job in bot_of(world).jobs()}
    return [card for card in world.cards()[since:] if card.ts not in known]
