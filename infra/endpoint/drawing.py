"""Asking the endpoint for a picture with plain AWS calls, and looking for the answer where it or a failure
may lie.

This is the seed's polling: outputs and failures alike, so that a failure is told and never waited for.
"""

import base64
import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from bot.aws.clients import ServiceClients
from infra.endpoint.errors import SelfTestFailed
from infra.endpoint.settings import EndpointSettings

LOOK_EVERY = 2.0
MISSING = frozenset({"NoSuchKey", "404", "AccessDenied", "403"})
"""Without the right to list, S3 answers 403 for what is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """Where SageMaker said the answer will lie, or its failure."""

    inference_id: str
    output: str
    failure: str


def submit(
    name: str, clients: ServiceClients, body: Mapping[str, Any], settings: EndpointSettings
) -> Submitted:
    """Hand one request in. It costs GPU seconds, and wakes an endpoint that sleeps."""
    inference_id = f"test-{uuid.uuid4().hex[:20]}"  # a file name may have 32 characters
    reply = clients["sagemaker-runtime"].invoke_endpoint_async(
        EndpointName=name,
        Body=json.dumps(body).encode(),
        ContentType="application/json",
        InferenceId=inference_id,
        Filename=f"{inference_id}.out",
        S3OutputPathExtension="test/",
        RequestTTLSeconds=settings.request_ttl,
        InvocationTimeoutSeconds=settings.invocation_timeout,
    )
    return Submitted(
        inference_id=inference_id, output=reply["OutputLocation"], failure=reply["FailureLocation"]
    )


def wait(
    submitted: Submitted,
    clients: ServiceClients,
    *,
    patience: float,
    pause: Callable[[float], None],
    told: Callable[[float], None] = lambda _waited: None,
) -> bytes:
    """The answer's bytes. Raises SelfTestFailed with the failure's own words, or when patience (seconds)
    ends.
    """
    waited = 0.0
    while waited <= patience:
        if (answer := _object(clients["s3"], submitted.output)) is not None:
            return answer
        if (failure := _object(clients["s3"], submitted.failure)) is not None:
            raise SelfTestFailed(f"the endpoint failed: {_reason(failure)}")
        told(waited)
        pause(LOOK_EVERY)
        waited += LOOK_EVERY
    raise SelfTestFailed(
        f"nothing came within {patience / 60:.0f} minutes; see imagine endpoint status and logs"
    )


def pictures_of(answer: bytes) -> list[bytes]:
    """The picture files in an answer. Raises SelfTestFailed where there is none."""
    try:
        told = json.loads(answer)
        pictures = [base64.b64decode(image, validate=True) for image in told["images"]]
    except (ValueError, KeyError, TypeError) as error:
        raise SelfTestFailed(f"the endpoint answered no pictures: {_reason(answer)}") from error
    if not pictures:
        raise SelfTestFailed("the endpoint answered no picture")
    return pictures


def request_for(prompt: str, *, side: int = 512, steps: int = 20, model: str | None = None) -> dict[str, Any]:
    """A request in the seed's form."""
    payload = {"prompt": prompt, "width": side, "height": side, "steps": steps, "sampler_name": "Euler a"}
    return {"task": "text-to-image", "model": model, "txt2img_payload": {**payload, "seed": 1}}


def _object(s3: Any, location: str) -> bytes | None:
    bucket, _, key = location.removeprefix("s3://").partition("/")
    try:
        body: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] in MISSING:
            return None
        raise
    return body


def _reason(body: bytes) -> str:
    """What the container said, at most a line of it; it never quotes a prompt."""
    try:
        told = json.loads(body)
        error = told.get("error", told) if isinstance(told, dict) else told
        said = error.get("message", error) if isinstance(error, dict) else error
    except ValueError:
        said = body.decode(errors="replace")
    return " ".join(str(said).split())[:300]
