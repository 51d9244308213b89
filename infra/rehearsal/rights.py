"""What each function's role allows, as it lies deployed, beside what the function did."""

import fnmatch
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.aws.clients import ServiceClients
from infra.rehearsal.calls import Call

UNSEEN: Mapping[str, str] = {
    "cloudwatch:DeleteAlarms": "it has AlarmNames, and the emulator looks for an AlarmName",
    "ssm:DeleteParameters": "it has Names, and the emulator looks for a Name",
    "ssm:GetParameters": "it has Names, and the emulator looks for a Name",
}
"""Actions whose resources the emulator cannot find in a request, so that it decides about `*`."""

LOOSENED = "emulator-cannot-see"
"""The policy that a role gets for `UNSEEN`, in the emulator alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """One action on one resource pattern of one statement."""

    action: str
    resource: str

    def allows(self, call: Call) -> bool:
        """IAM's `*` and `?`; a call without a resource of its own needs a `*`."""
        return self.action.lower() == call.action.lower() and fnmatch.fnmatchcase(
            call.resource, self.resource
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A function's role. `key` is the access key that the emulator gives to it."""

    function: str
    name: str
    key: str
    rights: frozenset[Right]

    def refused(self, calls: Iterable[Call]) -> list[Call]:
        """Calls that no right allows."""
        return sorted({call for call in calls if not any(right.allows(call) for right in self.rights)})

    def unused(self, calls: Iterable[Call]) -> list[Right]:
        """Rights that no call needed."""
        made = set(calls)
        spare = [right for right in self.rights if not any(right.allows(call) for call in made)]
        return sorted(spare, key=lambda right: (right.action, right.resource))


def roles_of(clients: ServiceClients, functions: Sequence[str]) -> list[Role]:
    """The roles of deployed functions, their policies resolved."""
    return [_role(clients, function) for function in functions]


def loosen(clients: ServiceClients, role: Role) -> None:
    """Let the emulator's own check pass where it looks at the wrong place: for actions that the role holds.

    Resources are checked all the same, by `Role.refused`, over the record of the gateway.
    """
    document = unseen(right.action for right in role.rights)
    if document:
        clients["iam"].put_role_policy(RoleName=role.name, PolicyName=LOOSENED, PolicyDocument=document)


def unseen(actions: Iterable[str]) -> str:
    """A policy that allows those of `UNSEEN` among the actions on everything; empty where there are none."""
    held = sorted(set(actions) & UNSEEN.keys())
    statement = {"Effect": "Allow", "Action": held, "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}) if held else ""


def tighten(clients: ServiceClients, role: Role) -> None:
    """Take back what `loosen` gave; a role with a policy that is not its stack's cannot be deleted."""
    names = clients["iam"].list_role_policies(RoleName=role.name)["PolicyNames"]
    if LOOSENED in names:
        clients["iam"].delete_role_policy(RoleName=role.name, PolicyName=LOOSENED)


def _role(clients: ServiceClients, function: str) -> Role:
    told = clients["lambda"].get_function_configuration(FunctionName=function)
    name = told["Role"].rpartition("/")[2]
    rights = {right for document in _documents(clients["iam"], name) for right in _rights(document)}
    return Role(
        function=function,
        name=name,
        key=_key_of(told["FunctionArn"], told["Role"]),
        rights=frozenset(rights),
    )


def _key_of(function: str, role: str) -> str:
    """As ministack names the session of an execution role (core/lambda_runtime.py, execution_credentials)."""
    digest = hashlib.sha256(f"{function}:{role}".encode()).hexdigest()
    return f"ASIA{digest[:16].upper()}"


def _documents(iam: Any, role: str) -> Iterator[Mapping[str, Any]]:
    for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        if name != LOOSENED:
            yield _read(iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"])
    for policy in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
        arn = policy["PolicyArn"]
        version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        yield _read(iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"])


def _read(document: Any) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(document) if isinstance(document, str) else document
    return found


def _rights(document: Mapping[str, Any]) -> Iterator[Right]:
    for statement in document["Statement"]:
        if statement["Effect"] != "Allow":
            continue
        for action in _listed(statement["Action"]):
            for resource in _listed(statement["Resource"]):
                yield Right(action=action, resource=resource)


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]
