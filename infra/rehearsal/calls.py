"""What a signed request to AWS is in the words of IAM: an action, and the resources it acts on."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

CREDENTIAL = re.compile(r"Credential=(?P<key>[^/,]+)/\d{8}/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")
PREFIXES = {"monitoring": "cloudwatch"}
"""The service as it signs, where IAM calls it otherwise."""

OBJECT_ACTIONS = {"GET": "GetObject", "HEAD": "GetObject", "PUT": "PutObject", "DELETE": "DeleteObject"}
KINDS = {"Endpoint": "endpoint", "EndpointConfig": "endpoint-config", "Model": "model"}
"""SageMaker: what an operation describes, and what its ARN calls it."""

NAMED_BY_AWS = "named-by-aws"
"""The last part of a scalable target's ARN, which no request tells."""

TRANSACTED = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request as it came. `path` has its query; names of `headers` are in small letters."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """Who signed a request, and for which service."""

    key: str
    region: str
    service: str


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Call:
    """`action` as in `dynamodb:PutItem`; `resource` is an ARN, `*` where the action has none."""

    action: str
    resource: str


def signer_of(request: Request) -> Signer | None:
    """None for a request that nobody signed in its headers, such as one to the HTTP API."""
    found = CREDENTIAL.search(request.headers.get("authorization", ""))
    return Signer(**found.groupdict()) if found else None


def calls_of(request: Request, signer: Signer, *, account: str) -> tuple[Call, ...]:
    """What IAM decides about for this request: one call, more where it acts on several resources."""
    place = f"{signer.region}:{account}"
    return tuple(sorted(set(_read(request, signer.service, place))))


def name_of(request: Request, signer: Signer) -> str:
    """Such as `dynamodb TransactWriteItems`: one name a request, however much it acts on."""
    if signer.service == "s3":
        return _s3(request).action.replace(":", " ")
    return f"{signer.service} {_operation(request, signer.service)}"


def _read(request: Request, service: str, place: str) -> Iterator[Call]:
    if service == "s3":
        yield _s3(request)
        return
    operation = _operation(request, service)
    told = _members(request)
    if service == "dynamodb":
        yield from _dynamodb(operation, told, place)
        return
    action = f"{PREFIXES.get(service, service)}:{operation}"
    for resource in _resources(request, service, operation, told, place):
        yield Call(action=action, resource=resource)


def _operation(request: Request, service: str) -> str:
    """From the target header, the form, the CBOR path, or the address of the two REST services we know."""
    target = request.headers.get("x-amz-target", "")
    if target:
        return target.rpartition(".")[2]
    path = urlsplit(request.path).path
    if "/operation/" in path:
        return path.rpartition("/")[2]
    if service == "lambda" and path.endswith("/invocations"):
        return "InvokeFunction"
    if service == "sagemaker" and path.endswith("/async-invocations"):
        return "InvokeEndpointAsync"
    return str(_members(request).get("Action", f"{request.method} {path}"))


def _members(request: Request) -> Mapping[str, Any]:
    """The request's members, empty where its body is none of ours to read."""
    kind = request.headers.get("content-type", "")
    if "json" in kind:
        try:
            told = json.loads(request.body or b"{}")
        except ValueError:
            return {}
        return told if isinstance(told, dict) else {}
    if "form-urlencoded" in kind:
        return dict(parse_qsl(request.body.decode(errors="replace")))
    return {}


def _s3(request: Request) -> Call:
    address = urlsplit(request.path)
    bucket, _, key = unquote(address.path).lstrip("/").partition("/")
    if key:
        action = OBJECT_ACTIONS.get(request.method, request.method)
        return Call(action=f"s3:{action}", resource=f"arn:aws:s3:::{bucket}/{key}")
    listing = request.method in {"GET", "HEAD"} and not _subresource(address.query)
    action = "ListBucket" if listing else f"{request.method} ?{_subresource(address.query)}"
    return Call(action=f"s3:{action}", resource=f"arn:aws:s3:::{bucket}")


def _subresource(query: str) -> str:
    """Such as `notification`; a listing's own parameters are none."""
    return next((name for name, value in parse_qsl(query, keep_blank_values=True) if not value), "")


def _dynamodb(operation: str, told: Mapping[str, Any], place: str) -> Iterator[Call]:
    """A transaction is decided by what its items do, and a query of an index by the index."""
    table = f"arn:aws:dynamodb:{place}:table"
    for item in told.get("TransactItems", ()):
        for kind, part in item.items():
            yield Call(action=f"dynamodb:{TRANSACTED[kind]}", resource=f"{table}/{part['TableName']}")
    for name in told.get("RequestItems", ()):
        yield Call(action=f"dynamodb:{operation}", resource=f"{table}/{name}")
    if "TableName" in told:
        index = f"/index/{told['IndexName']}" if "IndexName" in told else ""
        yield Call(action=f"dynamodb:{operation}", resource=f"{table}/{told['TableName']}{index}")


def _resources(
    request: Request, service: str, operation: str, told: Mapping[str, Any], place: str
) -> Iterator[str]:
    parts = unquote(urlsplit(request.path).path).strip("/").split("/")
    if service == "sqs" and "QueueUrl" in told:
        yield f"arn:aws:sqs:{place}:{told['QueueUrl'].rpartition('/')[2]}"
    elif service == "ssm":
        names = told.get("Names") or [told.get("Name", "")]
        yield from (f"arn:aws:ssm:{place}:parameter/{name.lstrip('/')}" for name in names)
    elif operation == "InvokeFunction":
        yield f"arn:aws:lambda:{place}:function:{parts[-2]}"
    elif operation == "InvokeEndpointAsync":
        yield f"arn:aws:sagemaker:{place}:endpoint/{parts[1]}"
    elif service == "sagemaker":
        yield _hosted(told, place)
    elif service == "application-autoscaling" and not operation.startswith("Describe"):
        yield f"arn:aws:application-autoscaling:{place}:scalable-target/{NAMED_BY_AWS}"
    else:
        yield "*"


def _hosted(told: Mapping[str, Any], place: str) -> str:
    for member, kind in KINDS.items():
        if f"{member}Name" in told:
            return f"arn:aws:sagemaker:{place}:{kind}/{told[f'{member}Name']}".lower()
    return "*"
