"""Lambda's Invoke, as far as our functions use it: an event is taken and its function runs some time later.

Source: botocore `lambda` 2015-03-31, Invoke with InvocationType Event (202, no body).
"""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from moto.core.botocore_stubber import MockRawResponse

from tests.aws.cloud import Cloud

LONGEST_EVENT = 256 * 1024
"""Bytes of an asynchronous event that Lambda takes in every region."""


class Invocations:
    """An unmodified client whose events go to `take`; while `refuse` names an error, every call gets it."""

    def __init__(self, cloud: Cloud, take: Callable[[str, dict[str, Any]], None]) -> None:
        self._take = take
        self.refuse: str | None = None
        session = cloud.session()
        events: Any = session.get_component("event_emitter")
        events.unregister("before-send", cloud.answer)
        events.register("before-send", self.answer)
        self.client = session.create_client("lambda")

    def answer(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        """What Lambda answers: a `before-send` handler."""
        if self.refuse is not None:
            headers = {"x-amzn-ErrorType": self.refuse}
            return AWSResponse(request.url, 429, headers, MockRawResponse(b"{}"))
        body = request.body if isinstance(request.body, bytes) else request.body.encode()
        assert request.headers["X-Amz-Invocation-Type"] in ("Event", b"Event")
        assert len(body) <= LONGEST_EVENT
        name = unquote(request.url.split("/functions/")[1].split("/")[0])
        self._take(name, json.loads(body))
        return AWSResponse(request.url, 202, {}, MockRawResponse(b""))
