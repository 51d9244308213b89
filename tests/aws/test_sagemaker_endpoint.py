"""SagemakerEndpoint beyond the contract: the request it sends, what answers mean, and older services."""

import json
import queue
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import botocore.loaders
import pytest
from botocore.stub import Stubber

from bot.aws.clients import Clients
from bot.aws.sagemaker_endpoint import INLINE_BYTES, PLACE, SagemakerEndpoint
from bot.domain.errors import Ambiguous, BotError, Busy, Rejected, Unavailable
from bot.local.journal import ListJournal
from bot.local.memory_objects import MemoryObjects
from bot.ports import Fate, Submission, Warmth
from tests.aws.async_endpoint import Running, clients_at, running_endpoint
from tests.aws.cloud import Cloud
from tests.aws.wire import Wire, nobody_there, reset, silent
from tests.contracts.inference_stub import InferenceStub, running_stub
from tests.unit.slack.scripted_peer import Peer, reply

PATIENCE = 60.0
JOB = "a" * 26
OUTPUT = f"out/T01/{JOB}.out"
AS_EXPECTED = {
    "InferenceId": f"T01.{JOB}.1",
    "OutputLocation": f"s3://bucket/{OUTPUT}",
    "FailureLocation": "s3://bucket/failed/x-error.out",
}
INLINE = {
    "EndpointName": "imagine",
    "ContentType": "application/json",
    "Accept": "application/json",
    "InferenceId": f"T01.{JOB}.1",
    "Filename": f"{JOB}.out",
    "S3OutputPathExtension": "T01/",
    "RequestTTLSeconds": 1800,
    "InvocationTimeoutSeconds": 600,
    "Body": b'{"task": "text-to-image"}',
}


def a_submission(**changed: Any) -> Submission:
    fields: dict[str, Any] = {
        "job_id": JOB,
        "tenant": "T01",
        "ordinal": 1,
        "body": INLINE["Body"],
        "output_key": OUTPUT,
        "failure_prefix": f"failed/T01/{JOB}",
        "ttl": 1800.0,
        "timeout": 600.0,
    }
    return Submission(**{**fields, **changed})


def an_endpoint(clients: Clients, **changed: Any) -> SagemakerEndpoint:
    fields: dict[str, Any] = {
        "name": "imagine",
        "bucket": "bucket",
        "objects": MemoryObjects(),
        "snapshot": lambda: None,
        "journal": ListJournal(),
    }
    return SagemakerEndpoint(clients, **{**fields, **changed})


@contextmanager
def stubbed(cloud: Cloud) -> Iterator[tuple[Clients, Stubber]]:
    """Clients whose SageMaker answers what the test planned, and nothing unplanned was asked."""
    clients = cloud.new_clients()
    with Stubber(clients["sagemaker-runtime"]) as stubber:
        yield clients, stubber
        stubber.assert_no_pending_responses()


def no_inline(request: Mapping[str, Any], *, input_key: str = f"in/T01/{JOB}.1.json") -> dict[str, Any]:
    return {
        **{name: value for name, value in request.items() if name != "Body"},
        "InputLocation": f"s3://bucket/{input_key}",
    }


def invalid(stubber: Stubber, message: str, *, expected: Mapping[str, Any] = INLINE) -> None:
    stubber.add_client_error(
        "invoke_endpoint_async",
        service_error_code="ValidationError",
        service_message=message,
        http_status_code=400,
        expected_params=dict(expected),
    )


def test_one_call_names_the_output_and_says_how_long_it_may_take(cloud: Cloud):
    with stubbed(cloud) as (clients, stubber):
        stubber.add_response("invoke_endpoint_async", AS_EXPECTED, INLINE)
        objects = MemoryObjects()
        an_endpoint(clients, objects=objects).submit(a_submission())
        assert objects.list("in/") == ()


@pytest.mark.parametrize(
    ("ttl", "timeout", "sent"),
    [(1.0, 0.2, (60, 1)), (60.4, 1.6, (60, 2)), (99_999.0, 99_999.0, (21_600, 3_600))],
)
def test_times_are_brought_into_the_ranges_sagemaker_takes(
    cloud: Cloud, ttl: float, timeout: float, sent: tuple[int, int]
):
    expected = {**INLINE, "RequestTTLSeconds": sent[0], "InvocationTimeoutSeconds": sent[1]}
    with stubbed(cloud) as (clients, stubber):
        stubber.add_response("invoke_endpoint_async", AS_EXPECTED, expected)
        an_endpoint(clients).submit(a_submission(ttl=ttl, timeout=timeout))


def test_the_longest_inline_body_is_sent_inline(cloud: Cloud):
    body = b"x" * INLINE_BYTES
    with stubbed(cloud) as (clients, stubber):
        stubber.add_response("invoke_endpoint_async", AS_EXPECTED, {**INLINE, "Body": body})
        an_endpoint(clients).submit(a_submission(body=body))


def test_a_longer_body_goes_through_the_bucket(cloud: Cloud):
    body, objects = b"x" * (INLINE_BYTES + 1), MemoryObjects()
    with stubbed(cloud) as (clients, stubber):
        stubber.add_response("invoke_endpoint_async", AS_EXPECTED, no_inline(INLINE))
        an_endpoint(clients, objects=objects).submit(a_submission(body=body))
    assert objects.get(f"in/T01/{JOB}.1.json") == body


class LosingObjects(MemoryObjects):
    """Every upload's reply is lost."""

    def put(self, key: str, body: bytes) -> None:
        super().put(key, body)
        raise Ambiguous("ReadTimeoutError")


def test_an_upload_in_doubt_means_that_nothing_was_submitted(cloud: Cloud):
    with stubbed(cloud) as (clients, _):
        endpoint = an_endpoint(clients, objects=LosingObjects())
        with pytest.raises(Unavailable):
            endpoint.submit(a_submission(body=b"x" * (INLINE_BYTES + 1)))


@pytest.mark.parametrize(
    ("code", "status", "message", "meaning"),
    [
        ("ThrottlingException", 400, "Rate exceeded", Busy),
        ("TooManyRequestsException", 429, "", Busy),
        ("ModelNotReadyException", 429, "", Busy),
        ("ValidationError", 400, "Endpoint imagine of account 123456789012 not found.", Unavailable),
        ("AccessDeniedException", 403, "not authorized to perform", Unavailable),
        ("ExpiredTokenException", 403, "", Unavailable),
        ("InternalFailure", 500, "", Ambiguous),
        ("ServiceUnavailable", 503, "", Ambiguous),
        ("SomethingNew", 400, "", Rejected),
    ],
)
def test_what_sagemaker_answers_is_told_in_the_ports_words(
    cloud: Cloud, code: str, status: int, message: str, meaning: type[BotError]
):
    with stubbed(cloud) as (clients, stubber):
        stubber.add_client_error("invoke_endpoint_async", code, message, status, expected_params=INLINE)
        with pytest.raises(meaning):
            an_endpoint(clients).submit(a_submission())


@pytest.mark.parametrize(
    ("fault", "meaning"), [(nobody_there, Unavailable), (silent, Ambiguous), (reset, Ambiguous)]
)
def test_a_call_that_got_no_answer_is_made_once(cloud: Cloud, fault: Any, meaning: type[BotError]):
    wire = Wire(cloud)
    wire.always = fault
    with pytest.raises(meaning):
        an_endpoint(wire.clients).submit(a_submission())
    assert wire.operations == ["InvokeEndpointAsync"]


def test_no_call_is_made_on_a_connection_that_may_have_died_meanwhile(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
):
    with Peer(script=[reply(202, b'{"InferenceId": "x"}')] * 2) as peer:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", peer.url)
        endpoint = an_endpoint(Clients(cloud.session()))
        for ordinal in (1, 2):
            endpoint.submit(a_submission(ordinal=ordinal))

    assert len(peer.requests) == peer.connections == 2


def test_nobody_at_the_address_is_unavailable(cloud: Cloud):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        clients = clients_at(cloud, f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(Unavailable):
            an_endpoint(clients).submit(a_submission())


def test_a_closed_endpoint_is_reported_for_the_job_only_waits(cloud: Cloud):
    journal = ListJournal()
    with stubbed(cloud) as (clients, stubber):
        invalid(stubber, "Endpoint imagine of account 123456789012 not found.")
        with pytest.raises(Unavailable):
            an_endpoint(clients, journal=journal).submit(a_submission())
    assert journal.named("endpoint_closed") == [{"code": "endpoint_not_found"}]


# Services and libraries older than the newer fields


def test_a_service_without_inline_bodies_gets_the_input_through_the_bucket_from_then_on(cloud: Cloud):
    journal, objects = ListJournal(), MemoryObjects()
    with stubbed(cloud) as (clients, stubber):
        endpoint = an_endpoint(clients, journal=journal, objects=objects)
        invalid(
            stubber, "Value null at 'inputLocation' failed to satisfy constraint: Member must not be null"
        )
        stubber.add_response("invoke_endpoint_async", AS_EXPECTED, no_inline(INLINE))
        endpoint.submit(a_submission())
        second = {**no_inline(INLINE, input_key=f"in/T01/{JOB}.2.json"), "InferenceId": f"T01.{JOB}.2"}
        stubber.add_response("invoke_endpoint_async", AS_EXPECTED, second)
        endpoint.submit(a_submission(ordinal=2))
    assert objects.get(f"in/T01/{JOB}.1.json") == INLINE["Body"]
    assert journal.events == [("sagemaker_fallback", {"fields": "Body", "code": "ValidationError"})]


def test_a_refusal_that_names_no_field_is_tried_without_any_newer_one(cloud: Cloud):
    plain = {name: value for name, value in INLINE.items() if name not in PLACE}
    with stubbed(cloud) as (clients, stubber):
        invalid(stubber, "Request is not valid")
        stubber.add_response("invoke_endpoint_async", AS_EXPECTED, no_inline(plain))
        an_endpoint(clients).submit(a_submission())


def test_a_request_that_is_wrong_in_itself_is_rejected_and_teaches_nothing(cloud: Cloud):
    plain = {name: value for name, value in INLINE.items() if name not in PLACE}
    journal = ListJournal()
    with stubbed(cloud) as (clients, stubber):
        endpoint = an_endpoint(clients, journal=journal)
        invalid(stubber, "Value 'T01' at 'inferenceId' failed to satisfy constraint")
        invalid(
            stubber, "Value 'T01' at 'inferenceId' failed to satisfy constraint", expected=no_inline(plain)
        )
        with pytest.raises(Rejected):
            endpoint.submit(a_submission())
        stubber.add_response("invoke_endpoint_async", AS_EXPECTED, INLINE)
        endpoint.submit(a_submission())
    assert journal.events == []


def test_a_service_that_refuses_field_after_field_gets_what_it_knows(cloud: Cloud):
    without_body = no_inline(INLINE)
    plain = {name: value for name, value in without_body.items() if name not in PLACE}
    journal = ListJournal()
    with stubbed(cloud) as (clients, stubber):
        invalid(stubber, "Unknown field at 'body'")
        invalid(stubber, "Unknown field at 'filename'", expected=without_body)
        stubber.add_response("invoke_endpoint_async", AS_EXPECTED, plain)
        an_endpoint(clients, journal=journal).submit(a_submission())
    assert journal.named("sagemaker_fallback") == [
        {"fields": "Body,Filename,S3OutputPathExtension", "code": "ValidationError"}
    ]


class OlderLoader(botocore.loaders.Loader):
    """A botocore whose InvokeEndpointAsync does not know some fields yet."""

    def __init__(self, missing: set[str]) -> None:
        super().__init__(include_default_search_paths=True)
        self._missing = missing

    def load_service_model(self, service_name: str, type_name: str, api_version: Any = None) -> Any:
        model = super().load_service_model(service_name, type_name, api_version)
        if service_name != "sagemaker-runtime" or type_name != "service-2":
            return model
        model = json.loads(json.dumps(model))
        shape = model["shapes"]["InvokeEndpointAsyncInput"]
        for name in self._missing:
            del shape["members"][name]
        if "Body" in self._missing:
            del shape["payload"]
        return model


@pytest.mark.parametrize(
    "missing", [{"Body"}, {"Body", "Filename", "S3OutputPathExtension"}], ids=["2026-02", "2025"]
)
def test_an_older_botocore_is_noticed_without_a_call_in_vain(cloud: Cloud, missing: set[str]):
    session, journal = cloud.session(), ListJournal()
    session.register_component("data_loader", OlderLoader(missing))
    clients, endpoint_objects = Clients(session), MemoryObjects()
    expected = {name: value for name, value in no_inline(INLINE).items() if name not in missing}
    with Stubber(clients["sagemaker-runtime"]) as stubber:
        endpoint = an_endpoint(clients, journal=journal, objects=endpoint_objects)
        for _ in range(2):
            stubber.add_response("invoke_endpoint_async", AS_EXPECTED, expected)
            endpoint.submit(a_submission())
        stubber.assert_no_pending_responses()
    fields = ",".join(sorted(missing))
    assert journal.events == [("sagemaker_fallback", {"fields": fields, "code": "older_botocore"})]


@pytest.fixture
def container() -> Iterator[InferenceStub]:
    with running_stub() as stub:
        stub.answer = lambda _body: (200, b'{"images": ["eA=="]}')
        yield stub


@contextmanager
def end_to_end(
    cloud: Cloud, container: InferenceStub
) -> Iterator[tuple[Running, SagemakerEndpoint, "queue.Queue[str]", ListJournal]]:
    """The stand-in, an endpoint that calls it, the keys that are written, and the endpoint's journal."""
    written, journal = queue.Queue[str](), ListJournal()
    with running_endpoint(
        cloud, container_url=container.url, on_object=lambda _bucket, key: written.put(key)
    ) as stand:
        endpoint = an_endpoint(
            stand.clients, name=stand.name, bucket=stand.bucket, objects=stand.objects, journal=journal
        )
        yield stand, endpoint, written, journal


@pytest.mark.parametrize("switch", ["unknown_fields", "ignored_fields"])
def test_the_result_is_found_though_the_service_knows_no_output_names(
    cloud: Cloud, container: InferenceStub, switch: str
):
    with end_to_end(cloud, container) as (stand, endpoint, written, journal):
        stand.faults.change({switch: ["Filename", "S3OutputPathExtension"]})
        for ordinal in (1, 2):
            endpoint.submit(a_submission(ordinal=ordinal))
            assert written.get(timeout=PATIENCE) == f"out/T01.{JOB}.{ordinal}.out"
        assert stand.objects.get(OUTPUT) == b'{"images": ["eA=="]}'
    told = {"unknown_fields": "sagemaker_fallback", "ignored_fields": "output_elsewhere"}
    assert [name for name, _ in journal.events] == [told[switch]]


def test_a_service_without_inline_bodies_draws_what_was_uploaded(cloud: Cloud, container: InferenceStub):
    with end_to_end(cloud, container) as (stand, endpoint, written, _):
        stand.faults.change({"unknown_fields": ["Body"]})
        endpoint.submit(a_submission())
        assert written.get(timeout=PATIENCE) == OUTPUT
    assert container.invocations == [(f"T01.{JOB}.1", INLINE["Body"])]


def test_an_input_too_large_to_send_reaches_the_container_whole(cloud: Cloud, container: InferenceStub):
    body = json.dumps({"init_images": ["A" * 1_000_000]}).encode()
    with end_to_end(cloud, container) as (_, endpoint, written, _):
        endpoint.submit(a_submission(body=body))
        assert written.get(timeout=PATIENCE) == OUTPUT
    assert container.invocations == [(f"T01.{JOB}.1", body)]


@pytest.mark.parametrize(
    ("switch", "meaning", "drawings"),
    [
        ("throttled", Busy, 0),
        ("failed_before", Ambiguous, 0),
        ("failed_after", Ambiguous, 1),
        ("dropped_replies", Ambiguous, 1),
    ],
)
def test_no_refusal_or_lost_reply_makes_a_second_drawing(
    cloud: Cloud, container: InferenceStub, switch: str, meaning: type[BotError], drawings: int
):
    with end_to_end(cloud, container) as (stand, endpoint, written, _):
        stand.faults.change({switch: 1})
        with pytest.raises(meaning):
            endpoint.submit(a_submission())
        for _ in range(drawings):
            assert written.get(timeout=PATIENCE) == OUTPUT
        endpoint.submit(a_submission(ordinal=2, body=b"{}"))
        assert written.get(timeout=PATIENCE)
    assert len(container.invocations) == drawings + 1


# What people are told


def a_snapshot(**changed: Any) -> dict[str, Any]:
    told = {
        "name": "imagine",
        "warmth": "awake",
        "instances": 1,
        "max_instances": 2,
        "backlog": 4,
        "model": "sdxl",
    }
    return {**told, **changed}


def test_the_state_is_what_the_snapshot_says(cloud: Cloud):
    state = an_endpoint(cloud.clients, snapshot=a_snapshot, concurrency=2, backlog_target=3).state()
    assert (state.name, state.warmth, state.model) == ("imagine", Warmth.AWAKE, "sdxl")
    assert (state.instances, state.backlog, state.window) == (1, 4, 2 * (2 + 3 + 1))


def test_while_the_shared_row_cannot_be_read_the_last_state_stands(cloud: Cloud):
    def snapshot() -> Mapping[str, Any]:
        if not told:
            raise Unavailable("EndpointConnectionError")
        return told.pop()

    told = [a_snapshot()]
    endpoint = an_endpoint(cloud.clients, snapshot=snapshot)
    assert endpoint.state() == endpoint.state()
    assert endpoint.state().window == 10


@pytest.mark.parametrize("told", [None, {}])
def test_an_endpoint_nobody_has_looked_at_is_down_with_the_window_of_one_instance(cloud: Cloud, told: Any):
    state = an_endpoint(cloud.clients, snapshot=lambda: told).state()
    assert (state.name, state.warmth, state.window) == ("imagine", Warmth.DOWN, 5)


@pytest.mark.parametrize(
    "odd",
    [
        {"warmth": "boiling"},
        {"warmth": None},
        {"warmth": ["awake"]},
        {"max_instances": None},
        {"max_instances": -1},
        {"instances": "two"},
        {"model": 7},
        {"name": None},
    ],
)
def test_a_snapshot_of_another_version_still_gives_a_state(cloud: Cloud, odd: dict[str, Any]):
    state = an_endpoint(cloud.clients, snapshot=lambda: a_snapshot(**odd)).state()
    assert state.window >= 5
    assert state.name == "imagine"
    assert state.instances >= 0
    assert state.model in {None, "sdxl"}


def test_sagemaker_neither_tells_a_fate_nor_calls_anything_back(cloud: Cloud):
    endpoint = an_endpoint(cloud.clients)
    assert endpoint.fate(f"T01.{JOB}.1") is Fate.UNKNOWN
    assert endpoint.cancel(f"T01.{JOB}.1") is False
