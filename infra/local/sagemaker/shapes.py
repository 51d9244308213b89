"""Requests and replies of AWS's JSON protocols, held to botocore's own service models: no drift is possible.

Types, required members, ranges, patterns and enums come from the model of the installed botocore; the
sentences follow AWS's ("1 validation error detected: …").
"""

import functools
import json
import re
from collections.abc import Mapping
from typing import Any

import botocore.loaders
from botocore.model import OperationModel, ServiceModel

from infra.local.sagemaker.errors import Refusal

_KINDS = {"L": r"\w", "M": r"\w", "N": r"\d", "Z": r"\s", "P": r"!-/:-@\[-`{-~", "S": r"\W"}
"""Unicode's classes as they are written inside brackets; each a little wider than Java's."""
_JAVA = (
    (r"[\p{Print}]", "[ -~]"),
    (r"\p{Print}", "[ -~]"),
    (r"\p{ASCII}", r"[\x00-\x7f]"),
    (r"\p{Alnum}", "A-Za-z0-9"),
    (r"${1,", "{1,"),  # a slip of the service's own model
    *((rf"\p{{{kind}}}", python) for kind, python in _KINDS.items()),
    (r"\z", r"\Z"),
    (r"\uD800\uDC00-\uDBFF\uDFFF", r"\U00010000-\U0010FFFF"),
)
_SCALARS: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "boolean": (bool,),
    "timestamp": (int, float),
}


@functools.cache
def service_model(name: str) -> ServiceModel:
    """The model of a service as botocore has it; read once, for SageMaker alone takes several megabytes."""
    loaded = botocore.loaders.create_loader().load_service_model(name, "service-2")
    return ServiceModel(loaded, name)


class JsonService:
    """One service's operations. `target` is the prefix of its `X-Amz-Target` header."""

    def __init__(self, name: str) -> None:
        self._model = service_model(name)
        self.target = str(self._model.metadata["targetPrefix"])

    def operation(self, name: str) -> OperationModel:
        """Raises Refusal for an operation that the service does not have."""
        if name not in self._model.operation_names:
            raise Refusal(
                "UnknownOperationException", f"{name} is no operation of {self._model.service_name}"
            )
        return self._model.operation_model(name)

    def read(self, operation: str, body: bytes) -> dict[str, Any]:
        """The request's members. Raises Refusal naming the member that does not fit."""
        shape = self.operation(operation).input_shape
        try:
            sent = json.loads(body or b"{}")
        except ValueError as error:
            raise Refusal("SerializationException", "the body is no JSON") from error
        if shape is not None:
            _check(shape, sent, "")
        return dict(sent)

    def write(self, operation: str, told: Mapping[str, Any]) -> bytes:
        """The reply's body. Raises ValueError where the model has no such reply: a defect of ours."""
        shape = self.operation(operation).output_shape
        if shape is None:
            if told:
                raise ValueError(f"{operation} answers nothing, not {sorted(told)}")
            return b""
        try:
            _check(shape, told, "")
        except Refusal as wrong:
            raise ValueError(f"reply of {operation}: {wrong.message}") from wrong
        return json.dumps(told).encode()


def _check(shape: Any, value: Any, path: str) -> None:
    if shape.type_name == "structure":
        _check_structure(shape, value, path)
    elif shape.type_name == "list":
        _check_type(value, list, path)
        _check_length(shape, value, path)
        for index, item in enumerate(value, start=1):
            _check(shape.member, item, f"{path}.{index}.member")
    elif shape.type_name == "map":
        _check_type(value, dict, path)
        _check_length(shape, value, path)
        for key, item in value.items():
            _check(shape.key, key, f"{path}.key")
            _check(shape.value, item, f"{path}.{key}")
    else:
        _check_scalar(shape, value, path)


def _check_structure(shape: Any, value: Any, path: str) -> None:
    _check_type(value, dict, path)
    for name in shape.required_members:
        if value.get(name) is None:
            raise _violated("null", _below(path, name), "Member must not be null")
    for name, item in value.items():
        member = shape.members.get(name)
        if member is None:
            raise _invalid(f"Unknown field at '{_below(path, name)}'")
        if item is not None:
            _check(member, item, _below(path, name))


def _check_scalar(shape: Any, value: Any, path: str) -> None:
    kinds = _SCALARS.get(shape.type_name)
    if kinds is None:
        return
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise Refusal("SerializationException", f"{path or 'the value'} is no {shape.type_name}")
    if isinstance(value, str):
        _check_length(shape, value, path)
        _check_text(shape, value, path)
    elif not isinstance(value, bool):
        _check_range(shape, value, path)


def _check_text(shape: Any, value: str, path: str) -> None:
    enum, pattern = shape.metadata.get("enum"), shape.metadata.get("pattern")
    if enum and value not in enum:
        raise _violated(value, path, f"Member must satisfy enum value set: [{', '.join(enum)}]")
    if pattern and not python_pattern(pattern).fullmatch(value):
        raise _violated(value, path, f"Member must satisfy regular expression pattern: {pattern}")


def _check_length(shape: Any, value: Any, path: str) -> None:
    least, most = shape.metadata.get("min", 0), shape.metadata.get("max")
    if len(value) < least:
        raise _violated(value, path, f"Member must have length greater than or equal to {least}")
    if most is not None and len(value) > most:
        raise _violated(value, path, f"Member must have length less than or equal to {most}")


def _check_range(shape: Any, value: Any, path: str) -> None:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and value < least:
        raise _violated(value, path, f"Member must have value greater than or equal to {least}")
    if most is not None and value > most:
        raise _violated(value, path, f"Member must have value less than or equal to {most}")


def _check_type(value: Any, kind: type, path: str) -> None:
    if not isinstance(value, kind):
        raise Refusal("SerializationException", f"{path or 'the body'} is no {kind.__name__}")


def _below(path: str, name: str) -> str:
    camel = name[:1].lower() + name[1:]
    return f"{path}.{camel}" if path else camel


def _violated(value: Any, path: str, constraint: str) -> Refusal:
    return _invalid(f"Value '{value}' at '{path}' failed to satisfy constraint: {constraint}")


def _invalid(sentence: str) -> Refusal:
    return Refusal("ValidationException", f"1 validation error detected: {sentence}")


def python_pattern(pattern: str) -> re.Pattern[str]:
    """AWS writes Java's patterns; they hold for the whole text."""
    for java, python in _JAVA:
        pattern = pattern.replace(java, python)
    return re.compile(pattern, re.DOTALL)
