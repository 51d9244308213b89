"""Events of the deployed service are JSON lines, and some are counts in CloudWatch's embedded format."""

import io
import itertools
import json

import pytest

from bot.aws.journal import COUNTED, COUNTED_AS, LambdaJournal

_NUMBERS = itertools.count(1)


@pytest.fixture
def told():
    """A journal, and what it has written so far: log lines and counts."""
    stream = io.StringIO()
    journal = LambdaJournal(service=f"imagine-test-{next(_NUMBERS)}", function="worker", stream=stream)

    def lines():
        every = [json.loads(line) for line in stream.getvalue().splitlines()]
        return [line for line in every if "_aws" not in line], [line for line in every if "_aws" in line]

    return journal, lines


def test_an_event_is_one_line_with_its_fields_and_the_function(told):
    journal, lines = told
    journal.event("rest_overtaken", job="a" * 26, attempts=2, code=None)

    ((line,), counts) = lines()
    assert (line["message"], line["function"]) == ("rest_overtaken", "worker")
    assert line["fields"] == {"job": "a" * 26, "attempts": 2, "code": None}
    assert counts == []


def test_an_event_that_matters_is_counted_by_its_few_valued_fields(told):
    journal, lines = told
    journal.event("resolved", job="a" * 26, outcome="ok")

    _, (count,) = lines()
    (metrics,) = count["_aws"]["CloudWatchMetrics"]
    assert metrics["Namespace"] == "imagine"
    assert metrics["Metrics"] == [{"Name": "resolved", "Unit": "Count"}]
    assert [sorted(names) for names in metrics["Dimensions"]] == [["outcome", "service"]]
    assert (count["resolved"], count["outcome"]) == ([1.0], "ok")
    assert "job" not in count


@pytest.mark.parametrize("name", sorted(COUNTED))
def test_every_counted_event_counts_also_without_its_fields(told, name):
    journal, lines = told
    journal.event(name)

    _, (count,) = lines()
    assert count[COUNTED_AS.get(name, name)] == [1.0]


def test_fields_named_like_a_log_records_own_do_no_harm(told):
    journal, lines = told
    journal.event("x", message="m", args="a", exc_info="e")

    assert lines()[0][0]["fields"] == {"message": "m", "args": "a", "exc_info": "e"}
