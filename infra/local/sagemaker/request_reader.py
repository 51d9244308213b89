"""Reading `InvokeEndpointAsync` requests by botocore's own service model: the stand-in cannot drift from it.

Member names, header names, ranges and patterns come from the model; sentences follow AWS's.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from botocore.model import OperationModel, Shape

from infra.local.sagemaker.errors import Refusal
from infra.local.sagemaker.shapes import service_model

DEFAULT_TTL, DEFAULT_TIMEOUT = 21_600, 900
"""Seconds, as documented at RequestTTLSeconds and InvocationTimeoutSeconds."""

_ROUTE = re.compile(r"/endpoints/(?P<name>[^/]+)/async-invocations")
_JAVA = ((r"[\p{Print}]", "[ -~]"), (r"\p{ASCII}", r"[\x00-\x7f]"), (r"\z", r"\Z"))


@dataclass(frozen=True, slots=True, kw_only=True)
class AsyncRequest:
    """A valid request. Exactly one of `body` and `input_location` is there; times are seconds."""

    endpoint: str
    body: bytes | None
    input_location: str | None
    content_type: str | None
    accept: str | None
    custom_attributes: str | None
    inference_id: str | None
    ttl: int
    timeout: int
    path_extension: str
    filename: str | None


class RequestReader:
    """Reads requests as the installed botocore describes them."""

    def __init__(self) -> None:
        self._operation = service_model("sagemaker-runtime").operation_model("InvokeEndpointAsync")

    def read(
        self,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        unknown: Collection[str] = (),
        ignored: Collection[str] = (),
    ) -> AsyncRequest:
        """Raises Refusal. `unknown` members are refused, `ignored` ones dropped, as an older service does.

        Header names come in lower case.
        """
        route = _ROUTE.fullmatch(path)
        if route is None:
            raise Refusal("UnknownOperationException", "no such operation", status=404)
        sent = {"EndpointName": unquote(route["name"]), **_members(self._operation, headers, body)}
        for name in sent.keys() & set(unknown):
            raise _invalid(f"Unknown field at '{_camel(name)}'")
        found = {
            name: _checked(name, value, _members_of(self._operation)[name])
            for name, value in sent.items()
            if name not in ignored
        }
        return _request(found)


def _request(found: Mapping[str, Any]) -> AsyncRequest:
    if ("Body" in found) == ("InputLocation" in found):
        raise _invalid("Exactly one of 'body' and 'inputLocation' must be specified")
    return AsyncRequest(
        endpoint=found["EndpointName"],
        body=found.get("Body"),
        input_location=found.get("InputLocation"),
        content_type=found.get("ContentType"),
        accept=found.get("Accept"),
        custom_attributes=found.get("CustomAttributes"),
        inference_id=found.get("InferenceId"),
        ttl=found.get("RequestTTLSeconds", DEFAULT_TTL),
        timeout=found.get("InvocationTimeoutSeconds", DEFAULT_TIMEOUT),
        path_extension=found.get("S3OutputPathExtension", ""),
        filename=found.get("Filename"),
    )


def _members_of(operation: OperationModel) -> Mapping[str, Shape]:
    members: Mapping[str, Shape] = operation.input_shape.members  # type: ignore[union-attr]  # this one has input
    return members


def _members(operation: OperationModel, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """What the request carries in headers and body, by member name."""
    found: dict[str, Any] = {"Body": body} if body else {}
    for name, shape in _members_of(operation).items():
        if shape.serialization.get("location") == "header":
            value = headers.get(shape.serialization["name"].lower())
            if value is not None:
                found[name] = value
    return found


def _checked(name: str, value: Any, shape: Shape) -> Any:
    """The value in its type. Raises Refusal where the model's range, length or pattern does not hold."""
    if shape.type_name == "integer":
        return _number(name, value, shape)
    least, most = shape.metadata.get("min", 0), shape.metadata.get("max")
    if len(value) < least:
        raise _violated(name, value, f"Member must have length greater than or equal to {least}")
    if most is not None and len(value) > most:
        raise _violated(name, value, f"Member must have length less than or equal to {most}")
    pattern = shape.metadata.get("pattern")
    if pattern is not None and not re.fullmatch(_python(pattern), value):
        raise _violated(name, value, f"Member must satisfy regular expression pattern: {pattern}")
    return value


def _number(name: str, value: str, shape: Shape) -> int:
    if not re.fullmatch(r"-?\d{1,9}", value):
        raise Refusal("SerializationException", f"{name} is no number")
    number = int(value)
    if number < shape.metadata["min"]:
        limit = f"greater than or equal to {shape.metadata['min']}"
    elif number > shape.metadata["max"]:
        limit = f"less than or equal to {shape.metadata['max']}"
    else:
        return number
    raise _violated(name, value, f"Member must have value {limit}")


def _violated(name: str, value: str | bytes, constraint: str) -> Refusal:
    shown = value if isinstance(value, str) else f"{len(value)} bytes"
    return _invalid(f"Value '{shown}' at '{_camel(name)}' failed to satisfy constraint: {constraint}")


def _invalid(sentence: str) -> Refusal:
    return Refusal("ValidationError", f"1 validation error detected: {sentence}")


def _camel(name: str) -> str:
    return name[0].lower() + name[1:]


def _python(pattern: str) -> str:
    """AWS writes Java's patterns; they hold for the whole text."""
    for java, python in _JAVA:
        pattern = pattern.replace(java, python)
    return pattern
