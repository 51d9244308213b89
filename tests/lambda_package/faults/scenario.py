"""A fault on one operation, a person who asks for pictures meanwhile, and what must come of it."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.domain.job import Job, Outcome
from tests.lambda_package.faults.on_loopback import OnLoopback
from tests.scenarios.stack import Stack, has_ended

PATIENCE = 150.0
"""Seconds, twice the life of a submission that nobody knows of."""

THROTTLED = {"error": {"code": "ThrottlingException", "status": 400}}
BROKEN = {"error": {"code": "InternalServerError", "status": 500}}
RESET = {"reset": True}
SILENT = {"timeout_ms": 3000}
"""Longer than a function waits."""

REPLY_LOST = {"response": {"abort_bytes": 0}}
"""AWS has done it, and nobody is told."""

CUT_SHORT = {"response": {"truncate_frac": 0.5}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """`wire` is the proxy by its name in the world; `times` is how often it happens before all is well."""

    service: str
    fault: Mapping[str, Any]
    operation: str | None = None
    times: int = 2
    wire: str = "aws"

    @property
    def rule(self) -> dict[str, Any]:
        named = {} if self.operation is None else {"operation": self.operation}
        return {"service": self.service, **named, "times": self.times, **self.fault}

    def __str__(self) -> str:
        ((kind, told),) = self.fault.items()
        how = (
            next(iter(told.values())) if kind == "error" else next(iter(told)) if kind == "response" else kind
        )
        return f"{self.service}.{self.operation or 'any'}-{how}"


def ask_during(world: Stack, fault: Fault, *, commands: int = 2) -> list[Outcome | None]:
    """Type `commands` while the wire is bad, and see each of them through to its end.

    Returns the outcomes of those that were accepted. Raises AssertionError where the fault never fired,
    where an accepted request has no card or no outcome or a second one, or where a card is nobody's.
    """
    bot = world.bot
    assert isinstance(bot, OnLoopback)
    wire = getattr(bot, fault.wire)
    cards_before, before = len(world.cards()), {job.id for job in bot.jobs()}
    wire.rule(**fault.rule)
    try:
        first = zlib.crc32(
            str(fault).encode()
        )  # a line that somebody typed a moment ago would be asked about
        taken = [_is_taken(world, seed=first + number) for number in range(commands)]
        world.until(lambda: wire.fired() > 0 and len(_new(bot, before)) >= sum(taken), PATIENCE)
        world.until(lambda: all(job.done_at for job in _new(bot, before)), PATIENCE)
    finally:
        wire.calm()
    jobs = _new(bot, before)
    assert wire.fired() > 0, f"{fault} never happened"
    assert sum(taken) <= len(jobs) <= commands
    assert len(world.cards()) - cards_before == len(jobs)
    for job in jobs:
        _has_one_visible_outcome(world, job)
    return [job.final_outcome for job in jobs]


def _is_taken(world: Stack, *, seed: int) -> bool:
    """Whether the bot took it without a word; else it told the person that it did not, or may not have."""
    delivered = world.slack.command(f"/imagine a red fox --seed {seed % 2**31}")
    assert delivered.ok or delivered.status == 503, delivered
    return delivered.ok and not delivered.body


def _new(bot: OnLoopback, before: set[str]) -> list[Job]:
    return [job for job in bot.jobs() if job.id not in before]


def _has_one_visible_outcome(world: Stack, job: Job) -> None:
    """One card, with a picture in its thread, or with a sentence and without one."""
    (card,) = [card for card in world.cards() if card.ts == job.announced_ref]
    assert has_ended(card), card
    pictures = len(world.files(card))
    assert pictures == (1 if job.final_outcome is Outcome.OK else 0), (job.final_outcome, card.words)
    assert card.words
