"""What every implementation of the port Journal promises. Another one adds a parameter to `every_journal`."""

import io
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.aws.journal import LambdaJournal
from bot.local.journal import LineJournal, ListJournal
from bot.local.system import ManualClock
from bot.ports import Journal

Event = tuple[str, dict[str, Any]]
_SERVICES = itertools.count(1)
IDENTIFIERS = st.dictionaries(
    st.sampled_from(["job", "code", "outcome", "attempts"]),
    st.none()
    | st.text(max_size=200)
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A journal, and the events that whoever reads it finds."""

    journal: Journal
    events: Callable[[], list[Event]]


def _lines() -> Written:
    stream = io.StringIO()

    def events() -> list[Event]:
        lines = [json.loads(line) for line in stream.getvalue().split("\n") if line]
        return [(line.pop("event"), {key: line[key] for key in line.keys() - {"at"}}) for line in lines]

    return Written(journal=LineJournal(stream, ManualClock()), events=events)


def _list() -> Written:
    journal = ListJournal()
    return Written(journal=journal, events=lambda: list(journal.events))


def _lambda() -> Written:
    """powertools keeps one logger a service, so each journal is a service of its own."""
    stream = io.StringIO()

    def events() -> list[Event]:
        lines = [json.loads(line) for line in stream.getvalue().split("\n") if line]
        return [(line["message"], line.get("fields") or {}) for line in lines if "_aws" not in line]

    service = f"imagine-contract-{next(_SERVICES)}"
    return Written(journal=LambdaJournal(service=service, function="worker", stream=stream), events=events)


every_journal = pytest.mark.parametrize("make", [_lines, _list, _lambda], ids=["lines", "list", "lambda"])


@every_journal
def test_events_are_read_back_in_their_order(make):
    written = make()
    written.journal.event("announced", job="abc", attempts=2, seconds=0.5, code=None)
    written.journal.event("resolved", job="abc", outcome="ok")
    written.journal.event("swept")

    assert written.events() == [
        ("announced", {"job": "abc", "attempts": 2, "seconds": 0.5, "code": None}),
        ("resolved", {"job": "abc", "outcome": "ok"}),
        ("swept", {}),
    ]


@every_journal
@given(fields=IDENTIFIERS)
def test_identifiers_and_numbers_are_read_back_as_they_were(make, fields: dict[str, Any]):
    written = make()
    written.journal.event("seen", **fields)

    assert written.events() == [("seen", fields)]


@every_journal
def test_no_field_can_begin_a_line_of_its_own(make):
    written = make()
    written.journal.event("refused", code='x"}\r\n{"event": "forged", "message": "forged"}\u2028')

    assert [name for name, _ in written.events()] == ["refused"]


@every_journal
@pytest.mark.parametrize(
    "value", [b"bytes", ["list"], {"prompt": "a fox"}, object()], ids=lambda v: type(v).__name__
)
def test_what_is_no_identifier_or_number_is_a_mistake_of_the_caller(make, value: object):
    written = make()

    with pytest.raises(TypeError, match="code"):
        written.journal.event("refused", code=value)
    assert written.events() == []


@every_journal
def test_no_prompt_slips_in_whole(make):
    written = make()
    written.journal.event("refused", code="a very long prompt " * 50)

    ((_, fields),) = written.events()
    assert len(fields["code"]) == 200
