"""A check: one claim about AWS or Slack that was taken on trust, and how to find out."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from bot.domain.errors import BotError

Site = TypeVar("Site")


class SmokeError(BotError):
    """The checks were not begun: nothing was done, and nothing costs."""


class NotNow(Exception):
    """Something that the check needs is not there; the sentence says what."""


class State(StrEnum):
    """`MEASURED`: either answer is fine, and the report has it. `INTERRUPTED`: it was begun and not ended."""

    PASSED = "passed"
    FAILED = "failed"
    MEASURED = "measured"
    NOT_RUN = "not run"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found, in one sentence."""

    state: State
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Check(Generic[Site]):
    """`minutes` of an instance it may use, on top of what runs anyway; `settles` names rows of our tables.

    `run` may raise NotNow. What it makes it gives to the ExitStack to be removed, before or at once after.
    """

    id: str
    claim: str
    source: str
    run: Callable[[Site, ExitStack], Verdict]
    minutes: float = 0.0
    settles: tuple[str, ...] = ()


def passed(what: str) -> Verdict:
    return Verdict(state=State.PASSED, what=what)


def failed(what: str) -> Verdict:
    return Verdict(state=State.FAILED, what=what)


def measured(what: str) -> Verdict:
    return Verdict(state=State.MEASURED, what=what)
