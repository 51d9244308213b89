"""Something goes wrong between the functions and a peer while a person asks for pictures, and what must come
of it.
"""

import itertools
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

from bot.domain import messages
from bot.domain.job import Job, Outcome
from infra.local.slack.faults import FaultKind
from infra.local.slack.testing import Shown
from tests.lambda_package.faults.findings import findings
from tests.lambda_package.faults.microburst import Microburst
from tests.lambda_package.faults.on_loopback import OnLoopback
from tests.scenarios.stack import Stack, has_ended

PATIENCE = 240.0
"""Seconds, some lives of a submission that nobody knows of."""

THROTTLED = {"error": {"code": "ThrottlingException", "status": 400}}
BROKEN = {"error": {"code": "InternalServerError", "status": 500}}
RESET = {"reset": True}
SILENT = {"timeout_ms": 12_000}
"""Longer than a function waits."""

REPLY_LOST = {"response": {"abort_bytes": 0}}
"""AWS has done it, and nobody is told."""

CUT_SHORT = {"response": {"truncate_frac": 0.5}}

EVER = 1000
"""Times."""

Situation = Callable[[Stack], AbstractContextManager[None]]
"""What else goes on. It is entered before the fault begins, and left when everybody has asked."""


class Fault(Protocol):
    """What goes wrong, for a while."""

    @property
    def situation(self) -> Situation: ...

    @property
    def spare_cards(self) -> int:
        """How many cards may stay that are nobody's: Slack posted them and lost its answer."""
        ...

    def begin(self, world: Stack) -> None: ...

    def end(self, world: Stack) -> None: ...

    def fired(self, world: Stack) -> int:
        """How often it has happened since it began."""
        ...


def quiet(_world: Stack) -> AbstractContextManager[None]:
    """Nothing else goes on."""
    return nullcontext()


@contextmanager
def admin_at_work(world: Stack) -> Iterator[None]:
    """An admin pauses and resumes, each as often as it takes until it is confirmed."""
    yield
    _order(world, 'admin pause "one moment"', confirmed_by="with this reason")
    _order(world, "admin resume", confirmed_by="Drawing goes on")


def cold(*names: str) -> Situation:
    """These functions have just started, and know no secret yet."""

    def situation(world: Stack) -> AbstractContextManager[None]:
        bot_of(world).packed.start_anew(*names)
        return nullcontext()

    return situation


@dataclass(frozen=True, slots=True, kw_only=True)
class WireFault:
    """microburst's; `wire` is the proxy by its name in the world, `times` how often before all is well."""

    service: str
    fault: Mapping[str, Any]
    operation: str | None = None
    times: int = 2
    wire: str = "aws"
    situation: Situation = quiet
    spare_cards: int = 0

    def begin(self, world: Stack) -> None:
        named = {} if self.operation is None else {"operation": self.operation}
        self._wire(world).rule(service=self.service, **named, times=self.times, **self.fault)

    def end(self, world: Stack) -> None:
        self._wire(world).calm()

    def fired(self, world: Stack) -> int:
        return self._wire(world).fired()

    def _wire(self, world: Stack) -> Microburst:
        wire: Microburst = getattr(bot_of(world), self.wire)
        return wire

    def __str__(self) -> str:
        ((kind, told),) = self.fault.items()
        how = next(iter(told.values())) if kind == "error" else kind
        return f"{self.service}.{self.operation or 'any'}-{next(iter(told)) if kind == 'response' else how}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackFault:
    """The local Slack's own; `seconds` and `error` as its `Faults.plan` takes them."""

    method: str
    kind: FaultKind
    times: int = 2
    seconds: float | None = None
    error: str | None = None
    situation: Situation = quiet

    @property
    def spare_cards(self) -> int:
        loses = self.kind not in (FaultKind.RATE_LIMITED, FaultKind.REFUSED, FaultKind.DROP_BEFORE)
        return self.times if loses and self.method == "chat.postMessage" else 0

    def begin(self, world: Stack) -> None:
        world.slack.traffic.clear()
        faults = world.slack.faults
        faults.plan(self.method, self.kind, times=self.times, seconds=self.seconds, error=self.error)

    def end(self, world: Stack) -> None:
        world.slack.faults.clear()

    def fired(self, world: Stack) -> int:
        told = [exchange.error or "" for exchange in world.slack.traffic.all(self.method)]
        return sum(1 for error in told if error.startswith("fault:"))

    def __str__(self) -> str:
        return f"slack.{self.method}-{self.kind}"


def bot_of(world: Stack) -> OnLoopback:
    """The world's bot, which has wires."""
    assert isinstance(world.bot, OnLoopback)
    return world.bot


def ask_during(world: Stack, fault: Fault, *, commands: int = 2) -> list[Outcome | None]:
    """Type lines while it goes wrong until `commands` of them are taken, and see each through to its end.

    Returns the outcomes of all that were accepted. Raises AssertionError, with what there is to see, where
    the fault never happened, and where an accepted request has no outcome in sight or a second one.
    """
    bot, cards_before = bot_of(world), len(world.cards())
    before = {job.id for job in bot.jobs()}
    first = zlib.crc32(str(fault).encode()) % 2**31
    seeds = itertools.count(first)  # about the same line twice the bot would ask
    asked: set[int] = set()

    def is_taken() -> bool:
        asked.add(seed := next(seeds))
        return _is_taken(world, seed=seed)

    def ours() -> list[Job]:
        return [job for job in bot.jobs() if job.id not in before and job.request.seeds[0] in asked]

    def ended() -> list[Job]:
        jobs = ours()
        return jobs if len(jobs) >= commands and all(job.done_at for job in jobs) else []

    try:
        with fault.situation(world):
            fault.begin(world)
            for _ in range(commands):
                world.until(is_taken, PATIENCE)
        jobs = world.until(ended, PATIENCE)
        world.until(lambda: fault.fired(world) > 0, PATIENCE)
        _check_cards(world, jobs, world.cards()[cards_before:])
        world.until(lambda: len(_nobodys(world, cards_before)) <= fault.spare_cards, PATIENCE)
    except (AssertionError, TimeoutError) as wrong:
        seen = f"{fault} happened {fault.fired(world)} times"
        raise AssertionError(f"{wrong}\n{seen}\n{findings(bot, ours())}") from wrong
    finally:
        fault.end(world)
    return [job.final_outcome for job in jobs]


def _is_taken(world: Stack, *, seed: int) -> bool:
    """Whether the bot took it without a word; else its person is told that it did not, or may not have."""
    delivered = world.slack.command(f"/imagine a red fox --seed {seed}")
    return delivered.ok and not delivered.body


def _order(world: Stack, line: str, *, confirmed_by: str) -> None:
    def is_confirmed() -> bool:
        before = len(world.told("robin"))
        world.slack.command(f"/imagine {line}", user="robin")
        return any(confirmed_by in told for told in world.told("robin")[before:])

    world.until(is_confirmed, PATIENCE)


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
