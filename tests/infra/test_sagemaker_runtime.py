"""The stand-in for SageMaker's asynchronous runtime: what it refuses, how it misbehaves, and that it ends."""

import base64
import http.client
import json
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError

from tests.aws.async_endpoint import Running, running_endpoint
from tests.aws.cloud import Cloud
from tests.contracts.inference_stub import InferenceStub

PATIENCE = 60.0
BOTH_TOPICS = frozenset({"SUCCESS_NOTIFICATION_TOPIC", "ERROR_NOTIFICATION_TOPIC"})


@pytest.fixture(scope="session")
def cloud() -> Cloud:
    return Cloud()


class Clock:
    """Time that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass(kw_only=True)
class Stand:
    """A running stand-in, a client of it, and what it wrote and announced, in order.

    The client is unmodified botocore, kept from refusing anything itself and from trying again.
    """

    running: Running
    client: Any
    clock: Clock
    objects: "queue.Queue[str]"
    notices: "queue.Queue[tuple[str, dict[str, Any]]]"

    def invoke(self, **changed: Any) -> dict[str, Any]:
        """One call; None drops a field."""
        fields = {"EndpointName": self.running.name, "Body": b"{}", "InferenceId": "T01.job.1", **changed}
        sent = {name: value for name, value in fields.items() if value is not None}
        reply: dict[str, Any] = self.client.invoke_endpoint_async(**sent)
        return reply

    def written(self) -> str:
        return self.objects.get(timeout=PATIENCE)

    def noticed(self) -> tuple[str, dict[str, Any]]:
        return self.notices.get(timeout=PATIENCE)

    def read(self, key: str) -> bytes:
        answer = self.running.cloud.clients["s3"].get_object(Bucket=self.running.bucket, Key=key)
        body: bytes = answer["Body"].read()
        return body

    def control(self, path: str, told: Any = None, **headers: str) -> tuple[int, dict[str, Any]]:
        """GET, or POST when there is something to tell."""
        body = None if told is None else json.dumps(told)
        return ask(self.running.runtime.url, "GET" if body is None else "POST", path, body, headers)


def ask(
    url: str, method: str, path: str, body: str | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", int(urlsplit(url).port or 0), timeout=PATIENCE)
    with closing(connection):
        connection.request(method, path, body=body, headers=dict(headers or {}))
        response = connection.getresponse()
        return response.status, json.loads(response.read())


@contextmanager
def standing(cloud: Cloud, container_url: str, **options: Any) -> Iterator[Stand]:
    objects, notices, clock = queue.Queue[str](), queue.Queue[tuple[str, dict[str, Any]]](), Clock()
    with running_endpoint(
        cloud,
        container_url=container_url,
        clock=clock,
        on_object=lambda _bucket, key: objects.put(key),
        on_notice=lambda topic, message: notices.put((topic, json.loads(message))),
        **options,
    ) as running:
        client = cloud.session().create_client(
            "sagemaker-runtime",
            endpoint_url=running.runtime.url,
            config=Config(parameter_validation=False, retries={"total_max_attempts": 1}),
        )
        with closing(client):
            yield Stand(running=running, client=client, clock=clock, objects=objects, notices=notices)


@pytest.fixture
def stand(cloud: Cloud, container: InferenceStub) -> Iterator[Stand]:
    with standing(cloud, container.url) as stand:
        yield stand


def eventually(look: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not look():
        assert time.monotonic() < deadline, f"not within {PATIENCE} s"
        time.sleep(0.005)


def code_of(error: "pytest.ExceptionInfo[ClientError]") -> tuple[str, int]:
    response: Any = error.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


# What is accepted and refused


def test_a_call_is_answered_before_the_drawing_with_both_locations(stand: Stand, container: InferenceStub):
    container.gate.clear()
    reply = stand.invoke(Filename="job.out", S3OutputPathExtension="T01/")
    bucket = stand.running.bucket
    assert reply["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert reply["InferenceId"] == "T01.job.1"
    assert reply["OutputLocation"] == f"s3://{bucket}/out/T01/job.out"
    assert reply["FailureLocation"].startswith(f"s3://{bucket}/failed/")
    assert "job.out" not in reply["FailureLocation"]
    container.gate.set()
    assert stand.written() == "out/T01/job.out"


def test_without_a_filename_the_output_is_named_after_the_inference_id(stand: Stand):
    stand.invoke()
    assert stand.written() == "out/T01.job.1.out"


def test_without_an_inference_id_one_is_made(stand: Stand):
    reply = stand.invoke(InferenceId=None)
    assert len(reply["InferenceId"]) == 36
    assert stand.written() == f"out/{reply['InferenceId']}.out"


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"EndpointName": "other"}, "Endpoint other of account"),
        ({"EndpointName": "-"}, "'endpointName' failed to satisfy constraint: Member must satisfy regular"),
        ({"EndpointName": "a" * 64}, "less than or equal to 63"),
        (
            {"RequestTTLSeconds": 59},
            "'requestTTLSeconds' failed to satisfy constraint: Member must have value",
        ),
        ({"RequestTTLSeconds": 21_601}, "less than or equal to 21600"),
        ({"InvocationTimeoutSeconds": 0}, "greater than or equal to 1"),
        ({"InvocationTimeoutSeconds": 3_601}, "less than or equal to 3600"),
        ({"InferenceId": "i" * 65}, "less than or equal to 64"),
        ({"Filename": "a.b.c"}, "'filename' failed to satisfy constraint: Member must satisfy regular"),
        ({"Filename": "f" * 33}, "less than or equal to 32"),
        ({"S3OutputPathExtension": "s3://elsewhere/"}, "'s3OutputPathExtension' failed"),
        ({"S3OutputPathExtension": "e" * 513}, "less than or equal to 512"),
        ({"CustomAttributes": "x" * 1025}, "less than or equal to 1024"),
        ({"InputLocation": "ftp://bucket/key", "Body": None}, "'inputLocation' failed"),
        ({"InputLocation": "s3://bucket/key"}, "Exactly one of"),
        ({"Body": None}, "Exactly one of"),
        ({"Body": b"x" * 128_001}, "Value '128001 bytes' at 'body'"),
    ],
)
def test_what_the_service_model_forbids_is_refused(
    stand: Stand, container: InferenceStub, changed: dict[str, Any], told: str
):
    with pytest.raises(ClientError, match=told) as error:
        stand.invoke(**changed)
    assert code_of(error) == ("ValidationError", 400)
    assert stand.running.endpoint.backlog == 0
    assert container.invocations == []


@pytest.mark.parametrize("status", ["Creating", "Failed", "OutOfService", "Deleting"])
def test_an_endpoint_that_is_not_in_service_is_not_found(stand: Stand, status: str):
    stand.running.endpoint.scale(status=status)
    with pytest.raises(ClientError, match="not found") as error:
        stand.invoke()
    assert code_of(error) == ("ValidationError", 400)


@pytest.mark.parametrize("status", ["Updating", "SystemUpdating", "RollingBack", "UpdateRollbackFailed"])
def test_an_endpoint_that_is_being_updated_takes_requests(stand: Stand, status: str):
    stand.running.endpoint.scale(status=status)
    stand.invoke()
    assert stand.written()


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("POST", "/endpoints/imagine/async-invocations", {}, 403),
        ("POST", "/endpoints/imagine/invocations", {"Authorization": "AWS4-HMAC-SHA256 x"}, 404),
        ("GET", "/endpoints/imagine/async-invocations", {"Authorization": "AWS4-HMAC-SHA256 x"}, 404),
        ("POST", "/", {"Authorization": "AWS4-HMAC-SHA256 x"}, 404),
        ("POST", "/", {"Content-Length": str(1 << 30)}, 400),
        ("POST", "/", {"Transfer-Encoding": "chunked"}, 400),
    ],
)
def test_what_is_no_signed_call_of_the_operation_is_refused(
    stand: Stand, method: str, path: str, headers: dict[str, str], status: int
):
    assert ask(stand.running.runtime.url, method, path, headers=headers)[0] == status


# How the queue is drawn from


def test_with_no_instances_the_queue_waits_until_there_is_one(stand: Stand, container: InferenceStub):
    stand.running.endpoint.scale(instances=0)
    for number in (1, 2):
        stand.invoke(InferenceId=f"T01.job.{number}")
    assert stand.running.endpoint.backlog == 2
    assert container.invocations == []
    stand.running.endpoint.scale(instances=1)
    assert [stand.written() for _ in range(2)] == ["out/T01.job.1.out", "out/T01.job.2.out"]
    eventually(lambda: stand.running.endpoint.backlog == 0)


@pytest.mark.parametrize(("concurrency", "instances"), [(2, 1), (1, 2)])
def test_as_many_are_drawn_at_once_as_instances_take(
    cloud: Cloud, container: InferenceStub, concurrency: int, instances: int
):
    container.gate.clear()
    with standing(cloud, container.url, concurrency=concurrency, instances=instances) as stand:
        for number in (1, 2, 3):
            stand.invoke(InferenceId=f"T01.job.{number}")
        for _ in range(2):
            assert container.started.acquire(timeout=PATIENCE)
        assert not container.started.acquire(timeout=0.05)
        assert stand.running.endpoint.backlog == 3
        container.gate.set()
        assert {stand.written() for _ in range(3)} == {f"out/T01.job.{number}.out" for number in (1, 2, 3)}


def test_nothing_is_sent_to_a_container_until_it_is_healthy(stand: Stand, container: InferenceStub):
    container.ping = (503, b"")
    stand.invoke()
    for _ in range(3):
        assert container.pinged.acquire(timeout=PATIENCE)
    assert container.invocations == []
    container.ping = (200, b"")
    assert stand.written()


@pytest.mark.parametrize("announced", [False, True])
def test_a_request_older_than_its_ttl_expires(stand: Stand, container: InferenceStub, announced: bool):
    stand.running.faults.change({"expiry_notices": announced})
    stand.running.endpoint.scale(instances=0)
    stand.invoke(RequestTTLSeconds=60)
    stand.clock.now += 59
    stand.running.endpoint.look_again()
    assert stand.running.endpoint.backlog == 1
    stand.clock.now += 1
    stand.running.endpoint.look_again()
    eventually(lambda: stand.running.endpoint.backlog == 0)
    assert stand.running.endpoint.tally.expired == 1
    assert stand.objects.empty()
    assert container.invocations == []
    if announced:
        topic, told = stand.noticed()
        assert (topic, told["invocationStatus"]) == (stand.running.error_topic, "Failed")
    assert stand.notices.empty()


def test_a_request_whose_container_never_gets_healthy_expires(stand: Stand, container: InferenceStub):
    container.ping = (503, b"")
    stand.invoke(RequestTTLSeconds=60)
    assert container.pinged.acquire(timeout=PATIENCE)
    stand.clock.now += 60
    eventually(lambda: stand.running.endpoint.tally.expired == 1)


def test_the_input_comes_from_the_bucket_when_it_is_there(stand: Stand, container: InferenceStub):
    stand.running.cloud.clients["s3"].put_object(
        Bucket=stand.running.bucket, Key="in/1.json", Body=b"from S3"
    )
    stand.invoke(Body=None, InputLocation=f"s3://{stand.running.bucket}/in/1.json")
    stand.written()
    assert container.invocations == [("T01.job.1", b"from S3")]


def test_an_input_that_is_not_there_is_a_failure(stand: Stand, container: InferenceStub):
    stand.invoke(Body=None, InputLocation=f"s3://{stand.running.bucket}/in/missing.json")
    assert stand.written().startswith("failed/")
    assert "download" in stand.noticed()[1]["failureReason"]
    assert stand.running.endpoint.tally.lost_inputs == 1
    assert container.invocations == []


# What containers may do wrong

Play = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def odd_container(play: Play) -> Iterator[tuple[str, "queue.Queue[dict[str, str]]"]]:
    """A healthy container that answers a drawing as the test plays it, and the headers it was sent."""
    asked = queue.Queue[dict[str, str]]()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the base class's name for it)
            """Say nothing."""

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            asked.put(dict(self.headers.items()))
            self.close_connection = True
            play(self)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def answering(status: int, body: bytes, **headers: str) -> Play:
    def play(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return play


def saying_nothing(handler: BaseHTTPRequestHandler) -> None:
    """Hang up."""


@pytest.mark.parametrize(
    ("play", "reason"),
    [
        (answering(200, b"2\r\n{}\r\n0\r\n\r\n", Transfer_Encoding="chunked"), "required Content-Length"),
        (answering(200, b"{}"), "required Content-Length"),
        (answering(200, b"{", Content_Length="2"), "ended before its Content-Length"),
        (saying_nothing, "Unable to reach"),
    ],
    ids=["chunked", "no length", "cut short", "hangs up"],
)
def test_an_answer_that_sagemaker_does_not_take_is_a_failure(cloud: Cloud, play: Play, reason: str):
    with odd_container(play) as (url, _), standing(cloud, url) as stand:
        stand.invoke()
        assert reason in stand.read(stand.written()).decode()
        assert reason in stand.noticed()[1]["failureReason"]


def test_a_drawing_that_takes_too_long_is_a_failure(cloud: Cloud):
    released = threading.Event()

    def waiting(_handler: BaseHTTPRequestHandler) -> None:
        released.wait(PATIENCE)

    with odd_container(waiting) as (url, _), standing(cloud, url) as stand:
        stand.invoke(InvocationTimeoutSeconds=1)
        assert "timed out" in stand.read(stand.written()).decode()
        released.set()


def test_the_container_is_sent_the_body_with_its_length_and_the_callers_headers(cloud: Cloud):
    with (
        odd_container(answering(200, b"{}", Content_Length="2")) as (url, asked),
        standing(cloud, url) as stand,
    ):
        stand.invoke(ContentType="application/json", Accept="application/json", CustomAttributes="trace=1")
        sent = asked.get(timeout=PATIENCE)
    told = {name: sent[name] for name in sent if name not in {"Host", "Accept-Encoding"}}
    assert told == {
        "Content-Length": "2",
        "Content-Type": "application/json",
        "Accept": "application/json",
        "X-Amzn-SageMaker-Custom-Attributes": "trace=1",
        "X-Amzn-SageMaker-Inference-Id": "T01.job.1",
    }


@pytest.mark.parametrize(("status", "side"), [(400, "client"), (507, "server")])
def test_a_containers_own_error_is_the_failure_object(
    stand: Stand, container: InferenceStub, status: int, side: str
):
    container.answer = lambda _body: (status, b'{"error": {"code": "odd"}}')
    stand.invoke()
    key = stand.written()
    assert (key.startswith("failed/T01.job.1-"), key.endswith("-error.out")) == (True, True)
    assert stand.read(key) == b'{"error": {"code": "odd"}}'
    assert f"Received {side} error ({status})" in stand.noticed()[1]["failureReason"]


def test_an_error_inside_a_success_is_the_containers_affair(stand: Stand, container: InferenceStub):
    container.answer = lambda _body: (200, b'{"error": "CUDA"}')
    stand.invoke()
    assert stand.read(stand.written()) == b'{"error": "CUDA"}'
    assert stand.noticed()[1]["invocationStatus"] == "Completed"


# What is announced


def test_a_success_is_announced_in_the_documented_shape(stand: Stand):
    stand.invoke(ContentType="application/json", Accept="application/json")
    topic, told = stand.noticed()
    assert topic == stand.running.success_topic
    assert len(told.pop("eventTime")) == len(told.pop("receivedTime")) == len("2026-01-01T00:00:00.000Z")
    assert told == {
        "awsRegion": "us-east-1",
        "invocationStatus": "Completed",
        "requestParameters": {
            "endpointName": stand.running.name,
            "contentType": "application/json",
            "accept": "application/json",
        },
        "responseParameters": {
            "contentType": "application/octet-stream",
            "outputLocation": f"s3://{stand.running.bucket}/out/T01.job.1.out",
        },
        "inferenceId": "T01.job.1",
        "eventVersion": "1.0",
        "eventSource": "aws:sagemaker",
        "eventName": "InferenceResult",
    }


def test_a_failure_is_announced_with_its_reason_and_no_response(stand: Stand, container: InferenceStub):
    container.answer = lambda _body: (500, b"{}")
    stand.invoke()
    topic, told = stand.noticed()
    assert topic == stand.running.error_topic
    assert (told["invocationStatus"], told["inferenceId"]) == ("Failed", "T01.job.1")
    assert told["failureReason"].startswith("ServerError: Received server error (500) from model.")
    assert "responseParameters" not in told


@pytest.mark.parametrize(("status", "answer"), [(200, b"drawn"), (500, b"broken")])
def test_a_response_is_included_where_it_was_asked_for(
    cloud: Cloud, container: InferenceStub, status: int, answer: bytes
):
    container.answer = lambda _body: (status, answer)
    with standing(cloud, container.url, include_in=BOTH_TOPICS) as stand:
        stand.invoke()
        assert base64.b64decode(stand.noticed()[1]["responseBody"]["content"]) == answer
        container.answer = lambda _body: (status, b"x" * (128 * 1024 + 1))
        stand.invoke()
        assert "responseBody" not in stand.noticed()[1]


def test_notices_travel_through_sns(cloud: Cloud, stand: Stand):
    inbox = cloud.make_queue()
    sns, sqs = cloud.clients["sns"], cloud.clients["sqs"]
    sns.subscribe(TopicArn=stand.running.success_topic, Protocol="sqs", Endpoint=cloud.queue_arn(inbox))
    stand.invoke()
    stand.noticed()
    (message,) = sqs.receive_message(QueueUrl=inbox)["Messages"]
    assert json.loads(json.loads(message["Body"])["Message"])["inferenceId"] == "T01.job.1"


# Faults


@pytest.mark.parametrize(
    ("switch", "answer", "drawings"),
    [
        ("throttled", ("ThrottlingException", 400), 0),
        ("failed_before", ("ServiceUnavailable", 503), 0),
        ("failed_after", ("InternalFailure", 500), 1),
    ],
)
def test_the_next_calls_fail_as_told_and_the_one_after_is_well(
    stand: Stand, container: InferenceStub, switch: str, answer: tuple[str, int], drawings: int
):
    stand.running.faults.change({switch: 2})
    for number in (1, 2):
        with pytest.raises(ClientError) as error:
            stand.invoke(InferenceId=f"T01.job.{number}")
        assert code_of(error) == answer
    stand.invoke(InferenceId="T01.job.3")
    drawn = [stand.written() for _ in range(2 * drawings + 1)]
    assert drawn[-1] == "out/T01.job.3.out"
    assert len(container.invocations) == len(drawn)


def test_a_dropped_reply_is_a_reset_connection_after_the_request_was_taken(stand: Stand):
    stand.running.faults.change({"dropped_replies": 1})
    with pytest.raises(ConnectionClosedError):
        stand.invoke()
    assert stand.written() == "out/T01.job.1.out"


def test_a_lost_request_is_accepted_and_never_heard_of_again(stand: Stand, container: InferenceStub):
    stand.running.faults.change({"lost": 1})
    assert stand.invoke()["InferenceId"] == "T01.job.1"
    stand.invoke(InferenceId="T01.job.2")
    assert stand.written() == "out/T01.job.2.out"
    assert len(container.invocations) == 1


@pytest.mark.parametrize("status", [200, 500])
def test_a_result_can_arrive_twice(stand: Stand, container: InferenceStub, status: int):
    container.answer = lambda _body: (status, b"{}")
    stand.running.faults.change({"duplicated_results": 1})
    stand.invoke()
    assert stand.written() == stand.written()
    assert stand.noticed()[1]["inferenceId"] == stand.noticed()[1]["inferenceId"] == "T01.job.1"
    assert len(container.invocations) == 1


def test_a_request_can_reach_the_container_cut_short(stand: Stand, container: InferenceStub):
    reached = []
    container.answer = lambda body: reached.append(body) or (400, b"{}")
    stand.running.faults.change({"garbled_bodies": 1})
    stand.invoke()
    assert stand.written().startswith("failed/")
    assert stand.noticed()[1]["invocationStatus"] == "Failed"
    with pytest.raises(json.JSONDecodeError, match="line 1"):
        json.loads(reached[0])


def test_the_engine_can_crash(stand: Stand, container: InferenceStub):
    stand.running.faults.change({"crashed_engines": 1})
    stand.invoke()
    assert stand.written().startswith("failed/")
    assert "Received server error (500)" in stand.noticed()[1]["failureReason"]
    assert container.invocations == []


def test_a_failure_can_come_without_its_notice(stand: Stand, container: InferenceStub):
    container.answer = lambda _body: (500, b"{}")
    stand.running.faults.change({"silent_failures": 1})
    stand.invoke()
    assert stand.written().startswith("failed/")
    eventually(lambda: stand.running.endpoint.backlog == 0)
    assert stand.notices.empty()


def test_a_failure_can_come_without_its_object(stand: Stand, container: InferenceStub):
    container.answer = lambda _body: (500, b"{}")
    stand.running.faults.change({"missing_failure_objects": 1})
    stand.invoke()
    assert stand.noticed()[1]["invocationStatus"] == "Failed"
    assert stand.objects.empty()


def test_a_failure_object_can_be_named_after_nothing_we_know(stand: Stand, container: InferenceStub):
    container.answer = lambda _body: (500, b"{}")
    stand.running.faults.change({"nameless_failures": True})
    reply = stand.invoke(Filename="job.out")
    key = stand.written()
    assert "job" not in key
    assert reply["FailureLocation"] == f"s3://{stand.running.bucket}/{key}"


def test_a_reply_can_take_its_time(stand: Stand):
    stand.running.faults.change({"reply_seconds": 0.2})
    began = time.monotonic()
    stand.invoke()
    assert time.monotonic() - began >= 0.2


def test_a_result_can_be_long_on_its_way(stand: Stand, container: InferenceStub):
    stand.running.faults.change({"output_seconds": 2.0})
    stand.invoke()
    assert container.started.acquire(timeout=PATIENCE)
    assert stand.objects.empty()
    assert stand.running.endpoint.backlog == 1
    assert stand.written()


@pytest.mark.parametrize("field", ["Body", "Filename", "S3OutputPathExtension"])
def test_a_field_can_be_unknown_as_to_an_older_service(stand: Stand, field: str):
    stand.running.faults.change({"unknown_fields": [field]})
    sent = {"Body": b"{}", "Filename": "job.out", "S3OutputPathExtension": "T01/"}
    with pytest.raises(ClientError, match="Unknown field") as error:
        stand.invoke(**sent)
    assert code_of(error) == ("ValidationError", 400)


def test_a_field_can_be_passed_over_in_silence(stand: Stand):
    stand.running.faults.change({"ignored_fields": ["Filename"]})
    stand.invoke(Filename="job.out")
    assert stand.written() == "out/T01.job.1.out"


def test_an_output_bucket_that_is_gone_is_a_failure(cloud: Cloud, stand: Stand):
    cloud.clients["s3"].delete_bucket(Bucket=stand.running.bucket)
    stand.invoke()
    topic, told = stand.noticed()
    assert (topic, "upload" in told["failureReason"]) == (stand.running.error_topic, True)
    assert stand.running.endpoint.tally.lost_uploads >= 1


# The control route


def test_another_process_can_read_the_state_and_turn_the_switches(stand: Stand):
    status, told = stand.control("/_sagemaker/state")
    assert (status, told["status"], told["instances"], told["backlog"]) == (200, "InService", 1, 0)
    assert stand.control("/_sagemaker/faults", {"throttled": 1, "unknown_fields": ["Body"]})[0] == 200
    status, told = stand.control("/_sagemaker/endpoint", {"instances": 0, "status": "Updating"})
    assert (told["instances"], told["status"]) == (0, "Updating")
    assert (told["faults"]["throttled"], told["faults"]["unknown_fields"]) == (1, ["Body"])
    with pytest.raises(ClientError, match="Rate exceeded"):
        stand.invoke()
    stand.running.faults.clear()
    stand.invoke()
    assert stand.control("/_sagemaker/state")[1]["backlog"] == 1


@pytest.mark.parametrize(
    ("path", "told", "sentence"),
    [
        ("faults", {"throtled": 1}, "no switch throtled; there are throttled"),
        ("faults", {"throttled": -1}, "takes a value like 0"),
        ("faults", {"throttled": "many"}, "takes a value like 0"),
        ("faults", {"throttled": 1.5}, "takes a value like 0"),
        ("faults", {"throttled": True}, "takes a value like 0"),
        ("faults", {"nameless_failures": 1}, "takes a value like False"),
        ("faults", {"unknown_fields": "Body"}, "takes a value like ()"),
        ("faults", {"_turn": None}, "no switch _turn"),
        ("faults", [], "must be a JSON object"),
        ("endpoint", {"instances": -1}, "0 or more"),
        ("endpoint", {"instances": True}, "instances=True"),
        ("endpoint", {"status": "Resting"}, "status must be one of"),
        ("endpoint", {"name": "x"}, "name='x'"),
    ],
)
def test_a_switch_that_does_not_exist_or_fit_is_refused(stand: Stand, path: str, told: Any, sentence: str):
    status, answer = stand.control(f"/_sagemaker/{path}", told)
    assert status == 400
    assert sentence in answer["Message"]
    assert stand.control("/_sagemaker/state")[1]["faults"]["throttled"] == 0


@pytest.mark.parametrize("headers", [{"Origin": "http://127.0.0.1"}, {"Host": "evil.example"}])
def test_a_page_in_a_browser_cannot_turn_the_switches(stand: Stand, headers: dict[str, str]):
    assert stand.control("/_sagemaker/faults", {"throttled": 1}, **headers)[0] == 403
    assert stand.control("/_sagemaker/nothing")[0] == 404


# Its end


@pytest.mark.parametrize("instances", [0, 1])
def test_it_ends_at_once_and_leaves_no_thread_whatever_is_under_way(
    cloud: Cloud, container: InferenceStub, instances: int
):
    before = set(threading.enumerate())
    container.gate.clear()
    with standing(cloud, container.url, instances=instances) as stand:
        for number in (1, 2):
            stand.invoke(InferenceId=f"T01.job.{number}")
        if instances:
            assert container.started.acquire(timeout=PATIENCE)
        stand.control("/_sagemaker/state")
    left = set(threading.enumerate()) - before
    assert {thread for thread in left if not thread.daemon} == set()
    assert stand.objects.empty()
    assert stand.notices.empty()


def test_a_result_on_its_way_at_the_end_never_arrives(cloud: Cloud, container: InferenceStub):
    with standing(cloud, container.url) as stand:
        stand.running.faults.change({"output_seconds": 60.0})
        stand.invoke()
        assert container.started.acquire(timeout=PATIENCE)
    assert stand.objects.empty()
