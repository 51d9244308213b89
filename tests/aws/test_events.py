"""Events are read once, into a job's id or the reason why they are not for us."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.aws.events import (
    Arrival,
    FailureNotice,
    Message,
    Reason,
    Refusal,
    Unneeded,
    arrivals,
    messages,
    notices,
    tick,
)
from bot.aws.sqs_queue import body_of
from tests.aws.functions import (
    NOBODYS,
    OURS,
    QUEUE_ARN,
    TOPIC,
    records,
    s3_record,
    schedule,
    sns_record,
    sqs_record,
)

JOB = "abcdefghijklmnopqrstuvwx27"
TEST_EVENT = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": OURS.bucket, "RequestId": "r"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


def out(*of):
    return arrivals(records(*of), OURS, folder="out/")


def notice(**changes):
    """SageMaker's error notice, in the SageMaker guide's words."""
    told = {
        "awsRegion": "us-east-1",
        "eventTime": "2026-11-22T12:00:00.000Z",
        "invocationStatus": "Failed",
        "failureReason": "ClientError: received client error (400) from primary",
        "requestParameters": {"endpointName": "imagine-dev", "inputLocation": "s3://b/in/x"},
        "inferenceId": f"T1.{JOB}.2",
        "eventVersion": "1.0",
        "eventSource": "aws:sagemaker",
        "eventName": "InferenceResult",
        **changes,
    }
    return sns_record(json.dumps({name: value for name, value in told.items() if value is not None}))


@pytest.mark.parametrize(
    ("key", "decoded"),
    [
        (f"out/T1/{JOB}.out", f"out/T1/{JOB}.out"),
        (f"out/T1/a+name%2C{JOB}%2F%C3%A4.out", f"out/T1/a name,{JOB}/ä.out"),
        (f"out/T1.{JOB}.1.out", f"out/T1.{JOB}.1.out"),
    ],
)
def test_an_object_tells_its_job_wherever_the_key_holds_the_id(key, decoded):
    assert out(s3_record(key)) == [Arrival(job_id=JOB, key=decoded)]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (s3_record(f"out/T1/{JOB}.out", bucket="somebody-elses"), Reason.BUCKET),
        (s3_record(f"images/T1/{JOB}/1.png"), Reason.KEY),
        (s3_record(f"failed/T1/{JOB}.out"), Reason.KEY),
        (s3_record("out/T1/picture.png"), Reason.KEY),
        (s3_record(f"out/T1/{JOB}7.out"), Reason.KEY),
        (s3_record(f"out/{'x' * 2000}/{JOB}.out"), Reason.KEY),
        (s3_record(f"out/T1/{JOB}.out", name="ObjectRemoved:Delete"), Reason.SHAPE),
        ({**s3_record(f"out/T1/{JOB}.out"), "eventSource": "aws:sqs"}, Reason.SHAPE),
        ({"eventSource": "aws:s3", "eventName": "ObjectCreated:Put"}, Reason.SHAPE),
        ({}, Reason.SHAPE),
        ("text", Reason.SHAPE),
        (None, Reason.SHAPE),
    ],
)
def test_a_foreign_object_is_refused_with_the_reason(record, reason):
    ours = s3_record(f"out/T1/{JOB}.out")

    assert out(record, ours) == [Refusal(reason=reason), Arrival(job_id=JOB, key=f"out/T1/{JOB}.out")]


def test_the_test_event_that_s3_sends_at_set_up_holds_nothing():
    assert arrivals(TEST_EVENT, OURS, folder="out/") == notices(TEST_EVENT, OURS) == []


@pytest.mark.parametrize(
    "event", [None, [], "text", 7, {}, {"Records": None}, {"Records": []}, {"Records": {}}]
)
def test_an_event_without_records_is_refused_whole(event):
    refused = [Refusal(reason=Reason.SHAPE)]

    assert arrivals(event, OURS, folder="out/") == notices(event, OURS) == messages(event, OURS) == refused


def test_a_failure_object_is_matched_by_the_id_anywhere_in_its_key():
    keys = [f"failed/T1/{JOB}-error.out", f"failed/2026/x-T1.{JOB}.2-error.out"]

    assert notices(records(*map(s3_record, keys)), OURS) == [Arrival(job_id=JOB, key=key) for key in keys]


def test_an_error_notice_names_job_submission_and_what_happened():
    timed_out = notice(failureReason="Model invocation timed out")

    assert notices(records(timed_out), OURS) == [
        FailureNotice(job_id=JOB, submission=2, body=b'{"error": {"code": "timeout"}}')
    ]


def test_a_notice_of_success_is_nothing_to_do():
    assert notices(records(notice(invocationStatus="Completed", failureReason=None)), OURS) == [Unneeded()]


def test_the_answer_to_the_sweeps_own_question_is_nothing_to_do():
    answers = [s3_record(f"out/catalogue/{JOB}.out"), s3_record(f"out/x-catalogue.{JOB}.1.out")]
    failures = [
        s3_record(f"failed/catalogue/{JOB}-error.out"),
        s3_record(f"failed/x-catalogue.{JOB}.1-error.out"),
        notice(inferenceId=f"catalogue.{JOB}.1"),
    ]

    assert arrivals(records(*answers), OURS, folder="out/") == [Unneeded()] * 2
    assert notices(records(*failures), OURS) == [Unneeded()] * 3


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (sns_record("{}", topic=f"{TOPIC}-forged"), Reason.TOPIC),
        (sns_record("not JSON"), Reason.SHAPE),
        (sns_record("[]"), Reason.SHAPE),
        (sns_record("{}"), Reason.SHAPE),
        (notice(inferenceId=None), Reason.SHAPE),
        (notice(inferenceId="0f0f-uuid"), Reason.SHAPE),
        (notice(inferenceId=f"T1.{JOB}.two"), Reason.SHAPE),
        (notice(inferenceId="T1.job.1"), Reason.JOB),
        (notice(invocationStatus="Sideways"), Reason.JOB),
        ({"EventSource": "aws:sns"}, Reason.SHAPE),
    ],
)
def test_a_forged_or_unreadable_notice_is_refused_with_the_reason(record, reason):
    assert notices(records(record), OURS) == [Refusal(reason=reason)]


def test_a_message_of_ours_names_its_job():
    assert messages(records(sqs_record(body_of(JOB))), OURS) == [Message(message_id="m1", job_id=JOB)]


@pytest.mark.parametrize("body", ["", "{}", "[]", "no job here", '{"job": "short"}', '{"job": 7}'])
def test_a_message_that_nobody_of_ours_wrote_names_none(body):
    assert messages(records(sqs_record(body)), OURS) == [Message(message_id="m1", job_id=None)]


@pytest.mark.parametrize(
    "arn", [QUEUE_ARN.replace("nudges", "others"), QUEUE_ARN.replace("123456789012", "999999999999")]
)
def test_a_message_of_another_queue_is_refused(arn):
    assert messages(records(sqs_record(body_of(NOBODYS), arn=arn)), OURS) == [Refusal(reason=Reason.QUEUE)]


def test_only_our_own_schedule_ticks():
    assert tick(schedule(), OURS) is None
    assert tick(schedule(account="999999999999"), OURS) == Refusal(reason=Reason.ACCOUNT)
    assert tick({"detail-type": "Other"}, OURS) == tick(None, OURS) == Refusal(reason=Reason.SHAPE)


@given(JSON, JSON)
def test_nothing_that_arrives_makes_the_readers_raise(event, record):
    for told in (
        event,
        {"Records": event},
        {"Records": [record]},
        {"Records": [{"s3": record, "Sns": record}]},
    ):
        facts = [*arrivals(told, OURS, folder="out/"), *notices(told, OURS), *messages(told, OURS)]
        assert all(isinstance(fact, Refusal) for fact in facts)
        tick(told, OURS)
