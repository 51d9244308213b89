"""What gets into the log, and what cannot."""

import io
import json

import pytest

from bot.local.journal import LineJournal, ListJournal
from bot.local.system import ManualClock


def test_an_event_is_one_json_line():
    stream = io.StringIO()
    journal = LineJournal(stream, ManualClock(12.3456))
    journal.event("announced", job="abc", attempts=2, seconds=0.5, code=None)
    journal.event("finished")
    first, second = stream.getvalue().splitlines()
    assert json.loads(first) == {
        "at": 12.346, "event": "announced", "job": "abc", "attempts": 2, "seconds": 0.5, "code": None
    }  # fmt: skip
    assert json.loads(second)["event"] == "finished"


def test_no_field_can_begin_a_line_of_its_own():
    stream = io.StringIO()
    LineJournal(stream, ManualClock()).event("refused", code='x"}\r\n{"event": "forged\u2028')
    assert len(stream.getvalue().splitlines()) == 1
    assert json.loads(stream.getvalue())["event"] == "refused"


@pytest.mark.parametrize("value", [b"bytes", ["list"], {"prompt": "a fox"}, object()])
def test_what_is_no_identifier_or_number_is_a_mistake_of_the_caller(value: object):
    stream, kept = io.StringIO(), ListJournal()
    for journal in (LineJournal(stream, ManualClock()), kept):
        with pytest.raises(TypeError, match="code"):
            journal.event("refused", code=value)  # type: ignore[arg-type]
    assert stream.getvalue() == ""
    assert kept.events == []


def test_long_text_is_cut():
    stream = io.StringIO()
    LineJournal(stream, ManualClock()).event("refused", code="a very long prompt " * 50)
    assert len(json.loads(stream.getvalue())["code"]) == 200


def test_a_list_journal_keeps_events_by_name():
    journal = ListJournal()
    journal.event("announced", job="a")
    journal.event("finished", job="a")
    journal.event("announced", job="b")
    assert journal.named("announced") == [{"job": "a"}, {"job": "b"}]
