"""The SNS messages of asynchronous inference.

Success: the SageMaker guide, "Check prediction results" (async-inference-check-predictions). Failure: as
public handlers read it, the same without `responseParameters` and with `failureReason`.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MOST_INCLUDED = 128 * 1024
"""A response is included where IncludeInferenceResponseIn asks for it, up to 128 KB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The invocation a notice is about. Times are ISO 8601."""

    region: str
    endpoint: str
    inference_id: str
    input_location: str | None
    content_type: str | None
    accept: str | None
    received_time: str
    event_time: str


def success(
    subject: Subject, *, output_location: str, content_type: str, included: bytes | None = None
) -> str:
    """The message on the success topic."""
    response: dict[str, Any] = {"contentType": content_type, "outputLocation": output_location}
    told = {"invocationStatus": "Completed", "responseParameters": response}
    return _message(subject, {**told, **_included(included)})


def failure(subject: Subject, *, reason: str, included: bytes | None = None) -> str:
    """The message on the error topic."""
    told = {"invocationStatus": "Failed", "failureReason": reason}
    return _message(subject, {**told, **_included(included)})


def _message(subject: Subject, told: Mapping[str, Any]) -> str:
    request = {
        "endpointName": subject.endpoint,
        "contentType": subject.content_type,
        "accept": subject.accept,
        "inputLocation": subject.input_location,
    }
    return json.dumps(
        {
            "awsRegion": subject.region,
            "eventTime": subject.event_time,
            "receivedTime": subject.received_time,
            **told,
            "requestParameters": {name: value for name, value in request.items() if value is not None},
            "inferenceId": subject.inference_id,
            "eventVersion": "1.0",
            "eventSource": "aws:sagemaker",
            "eventName": "InferenceResult",
        }
    )


def _included(body: bytes | None) -> dict[str, Any]:
    """The response itself. Where AWS puts it is not documented; no reader may depend on it."""
    if body is None or len(body) > MOST_INCLUDED:
        return {}
    return {"responseBody": {"content": base64.b64encode(body).decode(), "encoding": "BASE64"}}
