"""A wire between botocore and the stand-in that can be cut at any request, before or after its effect.

wire = Wire(cloud)
wire.faults.append(lost_reply)       # for the next request; after it all is well again
SomeAdapter(wire.clients, …)
assert wire.operations == ["PutObject", "PutObject"]
"""

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ConnectionClosedError, EndpointConnectionError, ReadTimeoutError
from moto.core.botocore_stubber import MockRawResponse

from bot.aws.clients import Clients
from tests.aws.cloud import Cloud

Answer = Callable[[AWSPreparedRequest], AWSResponse]
Fault = Callable[[AWSPreparedRequest, Answer], AWSResponse]


class Wire:
    """Clients of their own. `faults` stand in for the next requests, `always` for all when it is set."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self.faults: deque[Fault] = deque()
        self.always: Fault | None = None
        self.requests: list[AWSPreparedRequest] = []
        self.operations: list[str] = []
        session = cloud.session()
        events: Any = session.get_component("event_emitter")
        events.unregister("before-send", cloud.answer)
        events.register("before-send", self._carry)
        self.clients = Clients(session)

    def _carry(self, request: AWSPreparedRequest, event_name: str, **_: Any) -> AWSResponse:
        self.requests.append(request)
        self.operations.append(event_name.rsplit(".", 1)[-1])
        fault = self.faults.popleft() if self.faults else self.always
        return self._answer(request) if fault is None else fault(request, self._answer)

    def _answer(self, request: AWSPreparedRequest) -> AWSResponse:
        answer = self._cloud.answer(request)
        assert answer is not None
        return answer


def nobody_there(request: AWSPreparedRequest, answer: Answer) -> AWSResponse:
    """No connection: provably without effect."""
    raise EndpointConnectionError(endpoint_url=request.url)


def reset(request: AWSPreparedRequest, answer: Answer) -> AWSResponse:
    """The connection broke before the request had its effect, which nobody can know."""
    raise ConnectionClosedError(endpoint_url=request.url)


def lost_reply(request: AWSPreparedRequest, answer: Answer) -> AWSResponse:
    """The request had its effect, then the connection broke."""
    answer(request)
    raise ConnectionClosedError(endpoint_url=request.url)


def silent(request: AWSPreparedRequest, answer: Answer) -> AWSResponse:
    """Nothing came back in time."""
    raise ReadTimeoutError(endpoint_url=request.url)


def slow(request: AWSPreparedRequest, answer: Answer) -> AWSResponse:
    """The answer takes a moment, in which others may come."""
    time.sleep(0.05)
    return answer(request)


def garbled(request: AWSPreparedRequest, answer: Answer) -> AWSResponse:
    """Success, and a body that is neither XML nor JSON."""
    answer(request)
    return AWSResponse(request.url, 200, {}, MockRawResponse(b"<html>in between"))


def truncated(request: AWSPreparedRequest, answer: Answer) -> AWSResponse:
    """The body ends in the middle."""
    whole = answer(request)
    body = whole.content[: len(whole.content) // 2]
    return AWSResponse(request.url, whole.status_code, whole.headers, MockRawResponse(body))


def corrupted(request: AWSPreparedRequest, answer: Answer) -> AWSResponse:
    """A bit of the body flipped on the way."""
    whole = answer(request)
    body = bytes([whole.content[0] ^ 1]) + whole.content[1:]
    return AWSResponse(request.url, whole.status_code, whole.headers, MockRawResponse(body))


def s3_says(status: int, code: str) -> Fault:
    """S3 refuses, in XML."""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>"
    return _says(status, body)


def says(status: int, code: str) -> Fault:
    """A service that speaks JSON refuses."""
    return _says(status, f'{{"__type": "{code}", "message": "no"}}')


def _says(status: int, body: str) -> Fault:
    def fault(request: AWSPreparedRequest, answer: Answer) -> AWSResponse:
        return AWSResponse(request.url, status, {}, MockRawResponse(body.encode()))

    return fault
