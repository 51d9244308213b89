"""What every implementation of the port Endpoint promises. Another one adds a parameter to `stand`."""

import json
import queue
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from bot.aws.result_objects import job_id_in
from bot.aws.sagemaker_endpoint import SagemakerEndpoint
from bot.domain.job import Outcome
from bot.domain.wire import read_failure
from bot.local.http_endpoint import HttpEndpoint
from bot.local.inference_server import InferenceServer
from bot.local.journal import ListJournal
from bot.local.memory_objects import MemoryObjects
from bot.local.system import SystemClock
from bot.ports import Endpoint, Fate, Objects, Submission, Warmth
from tests.aws.async_endpoint import running_endpoint
from tests.contracts.inference_stub import InferenceStub, running_stub

PATIENCE = 60.0


@dataclass(kw_only=True)
class Stand:
    """An endpoint, the container behind it, where it writes, and the jobs it told us about."""

    endpoint: Endpoint
    container: InferenceStub
    objects: Objects
    settled: "queue.Queue[str]"


@pytest.fixture(params=["http", "sagemaker"])
def stand(request: pytest.FixtureRequest) -> Iterator[Stand]:
    kinds = {"http": http_stand, "sagemaker": sagemaker_stand}
    with running_stub() as container, kinds[request.param](request, container) as stand:
        yield stand


@contextmanager
def http_stand(_request: pytest.FixtureRequest, container: InferenceStub) -> Iterator[Stand]:
    objects, settled = MemoryObjects(), queue.Queue[str]()
    endpoint = HttpEndpoint(
        InferenceServer(container.url, impatience=PATIENCE),
        objects=objects,
        on_settled=settled.put,
        clock=SystemClock(),
        journal=ListJournal(),
    )
    yield Stand(endpoint=endpoint, container=container, objects=objects, settled=settled)
    endpoint.close()


@contextmanager
def sagemaker_stand(request: pytest.FixtureRequest, container: InferenceStub) -> Iterator[Stand]:
    """Unmodified botocore against the stand-in; the bucket is moto's, and it tells us of objects like S3."""
    settled = queue.Queue[str]()
    with running_endpoint(
        request.getfixturevalue("cloud"),
        container_url=container.url,
        on_object=lambda _bucket, key: settled.put(str(job_id_in(key))),
    ) as stand:
        endpoint = SagemakerEndpoint(
            stand.clients,
            name=stand.name,
            bucket=stand.bucket,
            objects=stand.objects,
            snapshot=lambda: {"warmth": "awake", "instances": 1, "max_instances": 1},
            journal=ListJournal(),
        )
        yield Stand(endpoint=endpoint, container=container, objects=stand.objects, settled=settled)


def a_submission(job_id: str = "a" * 26, *, ordinal: int = 1) -> Submission:
    return Submission(
        job_id=job_id,
        tenant="T01",
        ordinal=ordinal,
        body=json.dumps({"task": "text-to-image", "job": job_id}).encode(),
        output_key=f"out/T01/{job_id}.out",
        failure_prefix=f"failed/T01/{job_id}",
        ttl=60,
        timeout=30,
    )


def test_a_drawing_ends_in_the_output_object_as_the_container_wrote_it(stand: Stand):
    stand.container.answer = lambda body: (200, b'{"images": ["eA=="], "was": ' + body + b"}")
    stand.endpoint.submit(a_submission())
    assert stand.settled.get(timeout=PATIENCE) == "a" * 26
    assert stand.objects.get(a_submission().output_key) == (
        b'{"images": ["eA=="], "was": ' + a_submission().body + b"}"
    )
    assert stand.objects.list("failed/") == ()


def test_the_container_learns_the_inference_id(stand: Stand):
    stand.endpoint.submit(a_submission())
    stand.settled.get(timeout=PATIENCE)
    assert stand.container.invocations == [(f"T01.{'a' * 26}.1", a_submission().body)]


@pytest.mark.parametrize("status", [400, 422, 499, 500, 503, 507])
def test_a_failure_ends_in_an_object_under_the_failure_prefix(stand: Stand, status: int):
    told = {"error": {"code": "out_of_memory", "message": "too big", "field": None}}
    stand.container.answer = lambda _body: (status, json.dumps(told).encode())
    stand.endpoint.submit(a_submission())
    stand.settled.get(timeout=PATIENCE)
    assert stand.objects.get(a_submission().output_key) is None
    (key,) = stand.objects.list(a_submission().failure_prefix)
    assert "a" * 26 in key
    assert read_failure(stand.objects.get(key) or b"") is Outcome.OUT_OF_MEMORY


def test_submitting_does_not_wait_for_the_drawing(stand: Stand):
    stand.container.gate.clear()
    for letter in "abc":
        stand.endpoint.submit(a_submission(letter * 26))
    assert stand.objects.list("out/") == ()
    stand.container.gate.set()
    assert {stand.settled.get(timeout=PATIENCE) for _ in range(3)} == {letter * 26 for letter in "abc"}
    assert len(stand.objects.list("out/")) == 3


def test_what_is_under_way_is_never_called_lost(stand: Stand):
    stand.container.gate.clear()
    stand.endpoint.submit(a_submission())
    assert stand.endpoint.fate(a_submission().inference_id) is not Fate.LOST
    stand.container.gate.set()
    stand.settled.get(timeout=PATIENCE)
    assert stand.endpoint.fate(a_submission().inference_id) is not Fate.LOST


def test_two_submissions_of_a_job_that_both_fail_leave_two_readable_failures(stand: Stand):
    stand.container.answer = lambda _body: (500, b'{"error": {"code": "engine_crash"}}')
    stand.endpoint.submit(a_submission())
    stand.settled.get(timeout=PATIENCE)
    stand.container.answer = lambda _body: (507, b'{"error": {"code": "out_of_memory"}}')
    stand.endpoint.submit(a_submission(ordinal=2))
    stand.settled.get(timeout=PATIENCE)
    failures = [stand.objects.get(key) for key in stand.objects.list(a_submission().failure_prefix)]
    assert {json.loads(body or b"")["error"]["code"] for body in failures} == {
        "engine_crash",
        "out_of_memory",
    }


def test_a_second_submission_can_succeed_after_a_first_that_failed(stand: Stand):
    stand.container.answer = lambda _body: (500, b"{}")
    stand.endpoint.submit(a_submission())
    stand.settled.get(timeout=PATIENCE)
    stand.container.answer = lambda _body: (200, b'{"images": ["eA=="]}')
    stand.endpoint.submit(a_submission(ordinal=2))
    stand.settled.get(timeout=PATIENCE)
    assert stand.objects.get(a_submission().output_key) == b'{"images": ["eA=="]}'


def test_cancelling_what_it_does_not_know_is_harmless(stand: Stand):
    assert stand.endpoint.cancel("T01.nothing.1") is False


def test_a_cancelled_drawing_does_not_hold_up_the_next(stand: Stand):
    stand.endpoint.submit(a_submission())
    stand.endpoint.cancel(a_submission().inference_id)
    stand.endpoint.submit(a_submission("b" * 26))
    told = {stand.settled.get(timeout=PATIENCE)}
    if told != {"b" * 26}:
        told = {stand.settled.get(timeout=PATIENCE)}
    assert told == {"b" * 26}


def test_the_state_tells_how_warm_it_is_and_how_much_may_be_in_flight(stand: Stand):
    state = stand.endpoint.state()
    assert state.warmth is Warmth.AWAKE
    assert state.window >= 1
    assert state.backlog == 0
