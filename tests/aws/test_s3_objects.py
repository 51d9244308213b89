"""What S3 adds to the promises of Objects: what is sent, and what its failures mean."""

import base64
import hashlib

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from bot.aws import s3_objects
from bot.aws.s3_objects import S3Objects
from bot.domain.errors import Ambiguous, Busy, PeerError, Rejected, Unavailable
from tests.aws.cloud import Cloud
from tests.aws.wire import (
    Answer,
    Fault,
    Wire,
    corrupted,
    garbled,
    lost_reply,
    nobody_there,
    reset,
    s3_says,
    silent,
    truncated,
)

KEY = "images/T01/job/1.png"
CALLS = {
    "put": lambda objects: objects.put(KEY, b"picture"),
    "get": lambda objects: objects.get(KEY),
    "list": lambda objects: objects.list("images/"),
    "delete": lambda objects: objects.delete(KEY),
}
READS = ["get", "list"]
WRITES = ["put", "delete"]


@pytest.fixture
def wire(cloud: Cloud) -> Wire:
    return Wire(cloud)


@pytest.fixture
def bucket(cloud: Cloud) -> str:
    return cloud.make_bucket()


@pytest.fixture
def objects(wire: Wire, bucket: str, cloud: Cloud) -> S3Objects:
    return S3Objects(wire.clients, bucket=bucket, owner=cloud.account_id)


# What is sent


@pytest.mark.parametrize("call", CALLS)
def test_every_call_names_the_owner_of_the_bucket(objects, wire, cloud, call):
    CALLS[call](objects)

    assert [request.headers["x-amz-expected-bucket-owner"] for request in wire.requests] == [
        cloud.account_id.encode()
    ]


def test_a_body_is_written_once_and_with_its_checksum(objects, wire):
    objects.put(KEY, b"picture")

    (request,) = wire.requests
    digest = base64.b64encode(hashlib.sha256(b"picture").digest())
    assert _sent(request, "if-none-match") == "*"
    assert _sent(request, "x-amz-checksum-sha256") == digest.decode()
    assert _sent(request, "x-amz-sdk-checksum-algorithm") == "SHA256"


@pytest.mark.parametrize(
    ("key", "content_type"),
    [
        ("images/T01/job/1.png", "image/png"),
        ("in/T01/job.json", "application/json"),
        ("out/T01/job.out", "application/json"),
        ("failed/T01/job", "application/octet-stream"),
    ],
)
def test_the_kind_of_a_body_follows_from_its_key(objects, bucket, cloud, key, content_type):
    objects.put(key, b"{}")

    assert cloud.clients["s3"].head_object(Bucket=bucket, Key=key)["ContentType"] == content_type


def test_a_read_asks_for_the_checksum(objects, wire):
    objects.get(KEY)

    assert _sent(wire.requests[0], "x-amz-checksum-mode") == "ENABLED"


def test_one_call_each_and_a_second_only_for_a_used_key(objects, wire):
    for call in CALLS.values():
        call(objects)
    assert wire.operations == ["PutObject", "GetObject", "ListObjectsV2", "DeleteObject"]

    wire.operations.clear()
    objects.put(KEY, b"picture")
    objects.put(KEY, b"picture")
    assert wire.operations == ["PutObject", "PutObject", "GetObject"]


# What is missing and what is refused


@pytest.mark.parametrize("fault", [s3_says(404, "NoSuchKey"), s3_says(403, "AccessDenied")])
def test_what_may_not_be_seen_is_missing(objects, wire, fault):
    """Without ListBucket S3 answers 403 for an object that is not there."""
    wire.always = fault

    assert objects.get(KEY) is None


@pytest.mark.parametrize("call", ["put", "list", "delete"])
def test_a_bucket_of_somebody_else_is_no_missing_object(objects, wire, call):
    wire.always = s3_says(403, "AccessDenied")

    with pytest.raises(Rejected, match="AccessDenied"):
        CALLS[call](objects)


@pytest.mark.parametrize("call", CALLS)
def test_a_missing_bucket_is_no_missing_object(wire, cloud, call):
    objects = S3Objects(wire.clients, bucket="imagine-nowhere", owner=cloud.account_id)

    with pytest.raises(Rejected, match="NoSuchBucket"):
        CALLS[call](objects)


def test_a_key_that_is_taken_by_what_may_not_be_read_is_refused(objects, wire):
    wire.faults.extend([s3_says(412, "PreconditionFailed"), s3_says(403, "AccessDenied")])

    with pytest.raises(Rejected, match="already_exists"):
        objects.put(KEY, b"picture")


# Lost calls


@pytest.mark.parametrize("fault", [nobody_there, reset, lost_reply, s3_says(500, "InternalError")])
@pytest.mark.parametrize("call", CALLS)
def test_a_call_that_was_lost_once_is_repeated_at_once(objects, wire, call, fault):
    wire.faults.append(fault)

    CALLS[call](objects)

    assert len(set(wire.operations[:2])) == 1


def test_a_write_whose_reply_was_lost_is_known_by_its_bytes(objects, wire):
    wire.faults.append(lost_reply)

    objects.put(KEY, b"picture")

    assert wire.operations == ["PutObject", "PutObject", "GetObject"]
    assert objects.get(KEY) == b"picture"


def test_a_lost_write_to_a_key_that_others_hold_is_refused(objects, wire):
    objects.put(KEY, b"theirs")
    wire.faults.append(reset)

    with pytest.raises(Rejected, match="already_exists"):
        objects.put(KEY, b"ours")


def test_a_refusal_that_is_cut_short_is_asked_for_again(objects, wire):
    wire.faults.append(truncated)
    assert objects.get(KEY) is None

    wire.always = truncated
    with pytest.raises(Unavailable):
        objects.get(KEY)


@pytest.mark.parametrize("fault", [nobody_there, reset, silent, s3_says(500, "InternalError"), garbled])
@pytest.mark.parametrize("call", READS)
def test_a_read_that_stays_lost_had_no_effect(objects, wire, call, fault):
    if call == "get" and fault is garbled:
        fault = truncated
        objects.put(KEY, b"picture")
    wire.always = fault

    with pytest.raises(Unavailable):
        CALLS[call](objects)


@pytest.mark.parametrize("fault", [reset, silent, s3_says(500, "InternalError")])
@pytest.mark.parametrize("call", WRITES)
def test_a_write_that_stays_lost_may_have_had_its_effect(objects, wire, call, fault):
    wire.always = fault

    with pytest.raises(Ambiguous):
        CALLS[call](objects)


@pytest.mark.parametrize("call", WRITES)
def test_a_write_that_found_nobody_twice_had_no_effect(objects, wire, call):
    wire.always = nobody_there

    with pytest.raises(Unavailable):
        CALLS[call](objects)


def test_a_first_try_that_may_have_landed_is_not_forgotten(objects, wire):
    wire.faults.extend([lost_reply, nobody_there])

    with pytest.raises(Ambiguous):
        objects.put(KEY, b"picture")


@pytest.mark.parametrize("call", CALLS)
def test_who_was_silent_for_the_whole_timeout_is_not_asked_again(objects, wire, call):
    wire.always = silent

    with pytest.raises(PeerError):
        CALLS[call](objects)
    assert len(wire.operations) == 1


def test_a_conditional_write_that_met_another_is_sent_again(objects, wire):
    wire.faults.append(s3_says(409, "ConditionalRequestConflict"))

    objects.put(KEY, b"picture")

    assert objects.get(KEY) == b"picture"


def test_a_conditional_write_that_keeps_meeting_others_had_no_effect(objects, wire):
    wire.always = s3_says(409, "ConditionalRequestConflict")

    with pytest.raises(Unavailable):
        objects.put(KEY, b"picture")


@pytest.mark.parametrize("call", CALLS)
def test_throttling_for_ever_says_to_come_back_and_costs_one_call(objects, wire, call):
    wire.always = s3_says(503, "SlowDown")

    with pytest.raises(Busy):
        CALLS[call](objects)
    assert len(wire.operations) == 1


@pytest.mark.parametrize("code", ["ExpiredToken", "InvalidAccessKeyId", "SignatureDoesNotMatch"])
@pytest.mark.parametrize("call", CALLS)
def test_bad_credentials_are_no_missing_object_and_not_repeated(objects, wire, call, code):
    wire.always = s3_says(403, code)

    with pytest.raises(Unavailable, match=code):
        CALLS[call](objects)
    assert len(wire.operations) == 1


# Broken bodies


@pytest.mark.parametrize("fault", [truncated, corrupted])
def test_a_body_that_broke_once_is_read_again(objects, wire, fault):
    objects.put(KEY, b"picture")
    wire.faults.append(fault)

    assert objects.get(KEY) == b"picture"


@pytest.mark.parametrize("fault", [truncated, corrupted])
def test_a_broken_body_is_never_taken_for_the_object(objects, wire, fault):
    objects.put(KEY, b"picture")
    wire.always = fault

    with pytest.raises(Unavailable):
        objects.get(KEY)


def test_a_broken_body_is_not_compared_with_ours(objects, wire):
    """The bytes are the same, only the wire is not: saying "already exists" would be a lie."""
    objects.put(KEY, b"picture")
    wire.faults.extend([s3_says(412, "PreconditionFailed"), corrupted, corrupted])

    with pytest.raises(Unavailable):
        objects.put(KEY, b"picture")


def test_a_body_larger_than_a_function_can_hold_is_not_read(objects, wire, monkeypatch):
    kept: list[AWSResponse] = []
    objects.put(KEY, b"x" * 9)
    monkeypatch.setattr(s3_objects, "MOST_BYTES", 8)
    wire.faults.append(_unread(kept))

    with pytest.raises(Rejected, match="too_large"):
        objects.get(KEY)
    assert kept[0].raw.closed


def test_a_body_that_could_not_be_read_again_is_not_written(objects, wire, monkeypatch):
    monkeypatch.setattr(s3_objects, "MOST_BYTES", 8)

    with pytest.raises(Rejected, match="too_large"):
        objects.put(KEY, b"x" * 9)
    assert wire.operations == []


def _unread(kept: list[AWSResponse]) -> Fault:
    """The answer, whose body must not be touched and whose end is not left to the garbage collector."""

    def fault(request: AWSPreparedRequest, answer: Answer) -> AWSResponse:
        kept.append(answer(request))
        kept[0].raw.read = _untouchable
        return kept[0]

    return fault


def _untouchable(*_: object) -> bytes:
    raise AssertionError("read")


def test_no_setting_of_the_environment_turns_the_checksums_off(cloud, bucket, monkeypatch):
    for name in ("AWS_REQUEST_CHECKSUM_CALCULATION", "AWS_RESPONSE_CHECKSUM_VALIDATION"):
        monkeypatch.setenv(name, "when_required")
    wire = Wire(cloud)
    objects = S3Objects(wire.clients, bucket=bucket, owner=cloud.account_id)
    objects.put(KEY, b"picture")
    wire.always = corrupted

    with pytest.raises(Unavailable):
        objects.get(KEY)


# Keys


@pytest.mark.parametrize(
    "key", ["../x", "/x", "a//b", "a/../b", "a/./b", "é", "e\u0301", "a\u202eb", "a%2fb", "."]
)
def test_a_key_that_means_different_things_in_different_places_never_leaves(objects, wire, key):
    for call in (lambda: objects.put(key, b""), lambda: objects.get(key), lambda: objects.delete(key)):
        with pytest.raises(Rejected, match="bad_key"):
            call()
    assert wire.operations == []


def test_what_others_put_under_odd_names_is_not_listed(objects, cloud, bucket):
    for key in ("failed/", "failed/T01/", "failed/T01/a b", "failed/T01/é", "failed/T01/job.out"):
        cloud.clients["s3"].put_object(Bucket=bucket, Key=key, Body=b"")

    assert objects.list("failed/") == ("failed/T01/job.out",)


def test_an_object_of_another_writer_without_our_checksum_is_read(objects, cloud, bucket):
    cloud.clients["s3"].put_object(Bucket=bucket, Key="out/T01/job.out", Body=b"{}")

    assert objects.get("out/T01/job.out") == b"{}"


def test_no_body_is_in_what_an_error_says(objects, wire):
    wire.always = s3_says(403, "AccessDenied")

    with pytest.raises(Rejected) as refusal:
        objects.put("in/T01/job.json", b"canary-prompt")

    assert "canary" not in repr(refusal.value) + str(refusal.value.__cause__)


def _sent(request: AWSPreparedRequest, header: str) -> str:
    value = request.headers[header]
    return value.decode() if isinstance(value, bytes) else value
