"""What SQS adds to the promises of Queue: what a message says, and what a failed nudge means."""

import json

import pytest
from botocore.awsrequest import AWSPreparedRequest
from hypothesis import given
from hypothesis import strategies as st

from bot.aws.sqs_queue import SqsQueue, body_of, job_of
from bot.domain.errors import Ambiguous, Busy, PeerError, Rejected, Unavailable
from bot.domain.job import job_id
from tests.aws.cloud import Cloud
from tests.aws.wire import Wire, lost_reply, nobody_there, reset, says, silent

JOB = job_id("T0000000001", "trigger")


@pytest.fixture
def wire(cloud: Cloud) -> Wire:
    return Wire(cloud)


@pytest.fixture
def url(cloud: Cloud) -> str:
    return cloud.make_queue()


@pytest.fixture
def queue(wire: Wire, url: str) -> SqsQueue:
    return SqsQueue(wire.clients, url=url)


def test_a_message_holds_the_job_id_and_nothing_else(queue, url, cloud):
    queue.nudge(JOB)

    (message,) = cloud.clients["sqs"].receive_message(QueueUrl=url)["Messages"]
    assert json.loads(message["Body"]) == {"job": JOB}


@pytest.mark.parametrize(
    ("delay", "seconds"), [(0.0, 0), (0.25, 1), (1.0, 1), (1.2, 2), (900.0, 900), (3600.0, 900), (-1.0, 0)]
)
def test_a_delay_is_rounded_up_to_whole_seconds_that_sqs_takes(queue, wire, delay, seconds):
    queue.nudge(JOB, delay=delay)

    assert _sent(wire.requests[0])["DelaySeconds"] == seconds


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (nobody_there, Unavailable),
        (reset, Ambiguous),
        (lost_reply, Ambiguous),
        (silent, Ambiguous),
        (says(500, "InternalFailure"), Ambiguous),
        (says(403, "ExpiredTokenException"), Unavailable),
        (says(400, "RequestThrottled"), Busy),
        (says(403, "AccessDeniedException"), Rejected),
        (says(400, "AWS.SimpleQueueService.NonExistentQueue"), Rejected),
    ],
)
def test_a_nudge_is_sent_once_whatever_happens(queue, wire, fault, error):
    wire.always = fault

    with pytest.raises(error):
        queue.nudge(JOB)
    assert wire.operations == ["SendMessage"]


def test_a_queue_that_does_not_exist_is_a_lasting_no(wire, url):
    with pytest.raises(Rejected):
        SqsQueue(wire.clients, url=f"{url}-gone").nudge(JOB)


def test_no_id_is_in_what_an_error_says(queue, wire):
    wire.always = says(400, "InvalidMessageContents")

    with pytest.raises(PeerError) as refusal:
        queue.nudge(JOB)
    assert str(refusal.value) == "InvalidMessageContents"


@given(st.text(max_size=30), st.text(max_size=30))
def test_every_job_is_read_back_from_its_message(tenant, source):
    job = job_id(tenant, source)

    assert job_of(body_of(job)) == job


@pytest.mark.parametrize(
    "body",
    [
        "",
        "null",
        "7",
        "[]",
        '"aaaaaaaaaaaaaaaaaaaaaaaaaa"',
        "{}",
        '{"job": null}',
        '{"job": 7}',
        '{"job": ["a"]}',
        '{"job": ""}',
        '{"job": "aaaaaaaaaaaaaaaaaaaaaaaaa"}',
        '{"job": "aaaaaaaaaaaaaaaaaaaaaaaaaaa"}',
        '{"job": "AAAAAAAAAAAAAAAAAAAAAAAAAA"}',
        '{"job": "../../../../../etc/passwd0"}',
        '{"job": "aaaaaaaaaaaaaaaaaaaaaaaaaa\\n"}',
        '{"job": "aaaaaaaaaaaaaaaaaaaaaaaaaa"',
        '{"job": "aaaaaaaaaaaaaaaaaaaaaaaaaa"}' + " " * 300,
        "[" * 200,
        '{"job":' * 30,
        "9" * 200,
        "\ud800",
    ],
)
def test_a_message_that_nobody_of_ours_sent_names_no_job(body):
    assert job_of(body) is None


@given(
    st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=4).map(json.dumps)
)
def test_no_message_is_an_error(body):
    assert job_of(body) is None


def _sent(request: AWSPreparedRequest) -> dict[str, object]:
    sent: dict[str, object] = json.loads(request.body or b"")
    return sent
