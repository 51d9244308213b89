"""What gets into the log, and what cannot."""

import io
import json

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


def test_a_list_journal_keeps_events_by_name():
    journal = ListJournal()
    journal.event("announced", job="a")
    journal.event("finished", job="a")
    journal.event("announced", job="b")
    assert journal.named("announced") == [{"job": "a"}, {"job": "b"}]
