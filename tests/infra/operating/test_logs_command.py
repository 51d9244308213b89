"""`imagine logs`: several groups as one, oldest first, narrowed by time, request and job."""

import contextlib
import itertools
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra import cli
from infra.operating.errors import OperatingError
from infra.operating.logs import Group, LogReader, seconds_of
from tests.infra.plain_account import PlainAccount

JOB = "abcdefghijklmnopqrstuvwxyz"
EVENT = {
    "level": "INFO",
    "message": "resolved",
    "timestamp": "x",
    "service": "imagine-dev",
    "function": "worker",
}


def write(account: PlainAccount, group: str, *texts: str, at: float | None = None) -> None:
    """Lines of a group, which is made first."""
    logs = account["logs"]
    known = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    if not known:
        logs.create_log_group(logGroupName=group)
        logs.create_log_stream(logGroupName=group, logStreamName="s")
    moment = int((at or time.time()) * 1000)
    events = [{"timestamp": moment + n, "message": text} for n, text in enumerate(texts)]
    logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=events)


@pytest.fixture
def written(account: PlainAccount) -> PlainAccount:
    now = time.time()
    told = json.dumps({**EVENT, "fields": {"job": JOB, "outcome": "ok", "code": None}})
    write(account, "/aws/lambda/imagine-dev-worker", told, '{"_aws": {}, "resolved": 1}', at=now - 20)
    write(account, "/aws/lambda/imagine-dev-slack", "START RequestId: 1-2", at=now - 40)
    write(account, "/aws/lambda/imagine-dev-slack", "an hour old", at=now - 3600)
    write(account, "/aws/lambda/imagine-devil-slack", "another stage", at=now - 30)
    write(account, "/aws/sagemaker/Endpoints/imagine-dev", "loading the model", at=now - 30)
    return account


def test_functions_are_read_as_one_oldest_first(written: PlainAccount, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["logs"]) == 0

    lines = [line[20:] for line in capsys.readouterr().out.splitlines()]
    assert lines == ["slack     START RequestId: 1-2", f"worker    resolved job={JOB} outcome=ok"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("slack", "--since", "2h"), ["an hour old", "START RequestId: 1-2"]),
        (("endpoint",), ["loading the model"]),
        (("--job", JOB), [f"resolved job={JOB} outcome=ok"]),
        (("--request", "1-2"), ["START RequestId: 1-2"]),
    ],
)
def test_it_can_be_narrowed(
    written: PlainAccount, words: tuple[str, ...], said: list[str], capsys: pytest.CaptureFixture[str]
):
    assert cli.main(["logs", *words]) == 0
    assert [line[30:] for line in capsys.readouterr().out.splitlines()] == said


def test_for_programs_each_line_is_an_object(written: PlainAccount, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["logs", "worker", "--json"]) == 0

    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {line["source"] for line in told} == {"worker"}
    assert len(told) == 2, "counts are left in"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("nobody",), "nobody has no log; there are slack, worker, endpoint"),
        (("--since", "yesterday"), "write 30s, 10m, 2h or 1d"),
        (("--job", 'x" "y'), "is no id"),
        (("slack", "--stage", "prod"), "is the stage deployed?"),
        (("--stage", "prod"), "is the stage deployed?"),
    ],
)
def test_what_cannot_be_read_is_said(
    written: PlainAccount, words: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
):
    assert cli.main(["logs", *words]) == 1
    assert told in capsys.readouterr().err


def test_a_quiet_time_is_told(written: PlainAccount, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["logs", "worker", "--since", "1s"]) == 0
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "no lines in the last 1s\n")


def test_a_stage_whose_name_goes_on_is_another(written: PlainAccount, capsys: pytest.CaptureFixture[str]):
    write(written, "/aws/lambda/imagine-dev-2-slack", "not ours")

    assert cli.main(["logs"]) == 0
    assert "not ours" not in capsys.readouterr().out


class Enough(Exception):
    pass


def test_following_tells_each_line_once_also_a_late_one(account: PlainAccount):
    group, now = "/aws/lambda/imagine-dev-worker", time.time()
    write(account, group, "first", at=now - 5)
    rounds = iter(["a late one", ""])

    def pause(_seconds: float) -> None:
        text = next(rounds, None)
        if text is None:
            raise Enough
        if text:
            write(account, group, text, at=now - 6)

    reader = LogReader(account, [Group(source="worker", name=group)])
    following = reader.follow(since=now - 60, now=lambda: now, pause=pause)

    assert [line.text for line in itertools.islice(following, 2)] == ["first", "a late one"]
    with pytest.raises(Enough):
        next(following)


@given(st.text(max_size=8))
def test_a_span_is_seconds_or_refused(text: str):
    with contextlib.suppress(OperatingError):
        assert seconds_of(text) > 0


@given(st.integers(1, 9999), st.sampled_from("smhd"))
def test_a_span_counts_its_unit(number: int, unit: str):
    assert seconds_of(f"{number}{unit}") == number * {"s": 1, "m": 60, "h": 3600, "d": 86400}[unit]
