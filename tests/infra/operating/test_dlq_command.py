"""`imagine dlq`: what lies in the dead-letter queues, and what becomes of it when it is sent again."""

import io
import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.aws.sqs_queue import body_of
from infra import cli
from infra.operating.dead_events import read_event
from tests.aws.functions import records, s3_record, schedule, sns_record
from tests.infra.plain_account import PlainAccount

JOB = "abcdefghijklmnopqrstuvwxyz"
ARN = "arn:aws:lambda:us-east-1:123456789012:function:imagine-dev-"
SECRET_ADDRESS = "https://hooks.slack.com/commands/planted"


@pytest.fixture
def stage(account: PlainAccount) -> PlainAccount:
    """A stage with its queues; `dead-nudges` takes what the worker failed five times."""
    for name in ("nudges", "dead-nudges", "dead-events"):
        account["sqs"].create_queue(QueueName=f"imagine-dev-{name}")
    return account


def url_of(account: PlainAccount, name: str) -> str:
    return str(account["sqs"].get_queue_url(QueueName=f"imagine-dev-{name}")["QueueUrl"])


def put(account: PlainAccount, name: str, body: str, **attributes: str) -> None:
    told = {key: {"DataType": "String", "StringValue": value} for key, value in attributes.items()}
    account["sqs"].send_message(QueueUrl=url_of(account, name), MessageBody=body, MessageAttributes=told)


def bodies(account: PlainAccount, name: str) -> list[str]:
    told = account["sqs"].receive_message(
        QueueUrl=url_of(account, name), MaxNumberOfMessages=10, VisibilityTimeout=0
    )
    return sorted(message["Body"] for message in told.get("Messages", []))


def record(function: str, payload: object, error: str = "HandlerFailed") -> str:
    """What Lambda sends to an on-failure destination (guide: "Retaining records")."""
    return json.dumps(
        {
            "version": "1.0",
            "timestamp": "2026-11-22T12:00:00.000Z",
            "requestContext": {
                "requestId": "1",
                "functionArn": f"{ARN}{function}:$LATEST",
                "condition": "RetriesExhausted",
                "approximateInvokeCount": 3,
            },
            "requestPayload": payload,
            "responseContext": {"statusCode": 200, "functionError": "Unhandled"},
            "responsePayload": {"errorType": error, "errorMessage": "planted"},
        }
    )


ARRIVED = records(s3_record(f"out/T1/{JOB}.out"))
NOTICE = json.dumps({"invocationStatus": "Failed", "inferenceId": f"T1.{JOB}.1", "failureReason": "planted"})
ORDER = {"command": "wake", "response_url": SECRET_ADDRESS}
SNS = json.dumps({"Type": "Notification", "TopicArn": "arn:x", "Message": NOTICE})


class Functions:
    """Answers Invoke in Lambda's place: moto runs functions in Docker alone."""

    def __init__(self, account: PlainAccount) -> None:
        self.invoked: list[tuple[str, Any]] = []
        self.failing: set[str] = set()
        account["lambda"].meta.events.register("before-call.lambda.Invoke", self._answer)

    def _answer(self, params: Mapping[str, Any], **_: Any) -> tuple[Any, Any]:
        name = params["url_path"].split("/")[3]
        self.invoked.append((name, json.loads(params["body"])))
        fails = name in self.failing
        payload = io.BytesIO(b'{"errorType": "HandlerFailed"}' if fails else b"null")
        told = {"StatusCode": 200, "Payload": payload, **({"FunctionError": "Unhandled"} if fails else {})}
        return SimpleNamespace(status_code=200, headers={}), told


@pytest.mark.parametrize(
    ("queue", "body", "told"),
    [
        ("dead-nudges", body_of(JOB), f"nudge of job {JOB}"),
        ("dead-nudges", '{"job": "../../etc"}', "nobody's message"),
        ("dead-events", record("result", ARRIVED), f"result: object that arrived of job {JOB}"),
        (
            "dead-events",
            record("failure", records(sns_record(NOTICE))),
            f"notice of a failed drawing of job {JOB}",
        ),
        ("dead-events", record("admin", ORDER), "admin: order of an admin (RetriesExhausted HandlerFailed)"),
        ("dead-events", record("admin", {**ORDER, "by": "sweep"}), "admin: order for waiting jobs ("),
        ("dead-events", record("result", {"Event": "s3:TestEvent"}), "result: test event of S3 ("),
        ("dead-events", record("failure", {"detail": "planted"}), "failure: event of an unknown kind ("),
        ("dead-events", record("admin", {"command": "planted"}), "admin: event of an unknown kind ("),
        ("dead-events", record("result", records({"eventSource": "aws:sqs"})), "event of an unknown kind ("),
        ("dead-events", record("api", ["planted"]), "api: event of an unknown kind ("),
        ("dead-events", SNS, f"failure: notice of a failed drawing of job {JOB} (not handed over)"),
        ("dead-events", json.dumps(schedule()), "minute of the schedule"),
        ("dead-events", record("sweep", schedule()), "minute of the schedule"),
        ("dead-events", "planted {", "nobody's message"),
    ],
)
def test_each_message_is_told_for_what_it_is(
    stage: PlainAccount, queue: str, body: str, told: str, capsys: pytest.CaptureFixture[str]
):
    put(stage, queue, body)

    assert cli.main(["dlq", "list"]) == 0
    said = capsys.readouterr().out
    assert f"{queue}: 1\n" in said
    assert told in said
    assert "planted" not in said
    assert bodies(stage, queue) == [body], "looking takes nothing away"


def test_the_list_for_programs(stage: PlainAccount, capsys: pytest.CaptureFixture[str]):
    put(stage, "dead-nudges", body_of(JOB))

    assert cli.main(["dlq", "list", "--json", "--queue", "dead-nudges"]) == 0
    (queue,) = json.loads(capsys.readouterr().out)
    assert (queue["queue"], queue["letters"][0]["job"]) == ("dead-nudges", JOB)


def test_a_nudge_goes_to_the_worker_once_more(stage: PlainAccount, capsys: pytest.CaptureFixture[str]):
    put(stage, "dead-nudges", body_of(JOB))

    assert cli.main(["dlq", "redrive", "--yes"]) == 0
    assert bodies(stage, "nudges") == [body_of(JOB)]
    assert bodies(stage, "dead-nudges") == []
    assert "1 redriven, 0 stay" in capsys.readouterr().out


def test_one_that_comes_back_stays_and_so_does_what_nobody_wrote(
    stage: PlainAccount, capsys: pytest.CaptureFixture[str]
):
    put(stage, "dead-nudges", body_of(JOB), redriven="1")
    put(stage, "dead-nudges", "nobody wrote this")

    assert cli.main(["dlq", "redrive", "--queue", "dead-nudges", "--yes"]) == 1

    said = capsys.readouterr().out
    assert f"it failed a second time; imagine jobs show {JOB}" in said
    assert "nobody of ours wrote it" in said
    assert len(bodies(stage, "dead-nudges")) == 2
    assert bodies(stage, "nudges") == []


def test_a_redriven_nudge_says_so_when_it_dies_again(stage: PlainAccount):
    """SQS moves a message with its attributes."""
    put(stage, "dead-nudges", body_of(JOB))
    cli.main(["dlq", "redrive", "--yes"])

    (message,) = stage["sqs"].receive_message(
        QueueUrl=url_of(stage, "nudges"), MessageAttributeNames=["All"]
    )["Messages"]
    assert message["MessageAttributes"]["redriven"]["StringValue"] == "1"


@pytest.mark.parametrize(
    ("body", "function", "payload"),
    [
        (record("result", ARRIVED), "imagine-dev-result", ARRIVED),
        (record("admin", ORDER), "imagine-dev-admin", ORDER),
    ],
)
def test_an_event_goes_to_its_function_and_away_once_that_took_it(
    stage: PlainAccount, body: str, function: str, payload: object
):
    functions = Functions(stage)
    put(stage, "dead-events", body)

    assert cli.main(["dlq", "redrive", "--yes"]) == 0
    assert functions.invoked == [(function, payload)]
    assert bodies(stage, "dead-events") == []


def test_a_notice_that_was_not_handed_over_reaches_the_failure_function(stage: PlainAccount):
    functions = Functions(stage)
    put(stage, "dead-events", SNS)

    assert cli.main(["dlq", "redrive", "--yes"]) == 0
    ((name, payload),) = functions.invoked
    assert name == "imagine-dev-failure"
    assert payload["Records"][0]["Sns"]["Message"] == NOTICE


def test_a_minute_of_the_schedule_is_past(stage: PlainAccount, capsys: pytest.CaptureFixture[str]):
    functions = Functions(stage)
    put(stage, "dead-events", json.dumps(schedule()))

    assert cli.main(["dlq", "redrive", "--yes"]) == 0
    assert functions.invoked == []
    assert bodies(stage, "dead-events") == []
    assert "later minutes did its work" in capsys.readouterr().out


def test_an_event_that_fails_again_stays(stage: PlainAccount, capsys: pytest.CaptureFixture[str]):
    functions = Functions(stage)
    functions.failing.add("imagine-dev-result")
    put(stage, "dead-events", record("result", ARRIVED))

    assert cli.main(["dlq", "redrive", "--yes", "--json"]) == 1
    (letter,) = json.loads(capsys.readouterr().out)["letters"]
    assert (letter["fate"], letter["job"]) == ("stays", JOB)
    assert "failed again (HandlerFailed)" in letter["why"]
    assert bodies(stage, "dead-events") == [record("result", ARRIVED)]


def test_an_event_of_somebody_else_s_function_is_not_sent_there(stage: PlainAccount):
    functions = Functions(stage)
    put(stage, "dead-events", record("result", ARRIVED).replace("imagine-dev-", "payroll-"))

    assert cli.main(["dlq", "redrive", "--yes"]) == 1
    assert functions.invoked == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("redrive",), "say --yes"),
        (("redrive", "--queue", "dead-letters", "--yes"), "there are dead-events, dead-nudges"),
        (("list", "--queue", "dead-nudges", "--stage", "prod"), "is the stage deployed?"),
        (("list", "--stage", "prod"), "is the stage deployed?"),
        (("redrive", "--stage", "prod"), "is the stage deployed?"),
    ],
)
def test_what_cannot_be_done_is_said(
    stage: PlainAccount, words: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
):
    put(stage, "dead-nudges", body_of(JOB))

    assert cli.main(["dlq", *words]) == 1
    assert told in capsys.readouterr().err
    assert len(bodies(stage, "dead-nudges")) == 1


def test_with_nothing_there_nothing_is_asked(stage: PlainAccount, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["dlq", "redrive"]) == 0
    assert capsys.readouterr().out == "nothing to redrive\n"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)
KNOWN = st.fixed_dictionaries(
    {},
    optional={
        "requestContext": JSON,
        "requestPayload": JSON | st.fixed_dictionaries({"Records": JSON}),
        "responsePayload": JSON,
        "Type": st.just("Notification"),
        "Message": JSON,
    },
)


@given(st.text() | JSON.map(json.dumps) | KNOWN.map(json.dumps))
def test_no_body_makes_the_reading_raise(body: str):
    assert read_event(body, stage="dev").kind
