"""Every right that a role has: the action exists, and what it reaches is no wider than it must be."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from infra.template_gates.findings import Finding, Waiver
from infra.template_gates.policies import allowed, listed

UNKNOWN, STARRED, EVERYWHERE, WIDE = "unknown-action", "starred-action", "every-resource", "wide-resource"

WAIVERS = (
    Waiver(
        rule=EVERYWHERE,
        where="cloudwatch:GetMetricData",
        reason="its only resource is a dataset of PromQL, which is not what we read",
    ),
    Waiver(rule=WIDE, where="*:::*/failed/[*]", reason="objects of one folder"),
    Waiver(rule=WIDE, where="*:::*/images/[*]", reason="objects of one folder"),
    Waiver(rule=WIDE, where="*:::*/in/[*]", reason="objects of one folder"),
    Waiver(rule=WIDE, where="*:::*/out/[*]", reason="objects of one folder"),
    Waiver(
        rule=WIDE, where="*/releases/[*]/catalogue.json", reason="what every release says about its files"
    ),
    Waiver(rule=WIDE, where="*:endpoint-config/*-[*]", reason="each update of the endpoint has a new one"),
    Waiver(rule=WIDE, where="*:model/*-[*]", reason="each update of the endpoint has a new one"),
    Waiver(
        rule=WIDE,
        where="*:scalable-target/[*]",
        reason="AWS makes its name up; conditions hold it to SageMaker's instance counts",
    ),
)


class Reference(Protocol):
    """What AWS says of its actions (service authorization reference)."""

    def knows(self, action: str) -> bool: ...

    def names_resources(self, action: str) -> bool:
        """Whether the action can be allowed on less than everything."""
        ...


def findings(reference: Reference, templates: Iterable[Mapping[str, Any]]) -> Iterator[Finding]:
    """About every Allow of every role and managed policy."""
    for template in templates:
        for name, statement in allowed(template):
            yield from _about(reference, name, statement)


def unknown(reference: Reference, actions: Iterable[str], *, holder: str) -> Iterator[Finding]:
    """Those of `actions` that AWS does not know."""
    for action in actions:
        if not reference.knows(action):
            yield Finding(
                rule=UNKNOWN, where=action, says=f"{holder} allows it, and AWS knows no such action"
            )


def _about(reference: Reference, name: str, statement: Mapping[str, Any]) -> Iterator[Finding]:
    actions = listed(statement["Action"])
    for action in actions:
        if "*" in action:
            yield Finding(rule=STARRED, where=action, says=f"{name} allows actions that do not exist yet")
        elif not reference.knows(action):
            yield Finding(rule=UNKNOWN, where=action, says=f"{name} allows it, and AWS knows no such action")
    for resource in map(_written, listed(statement["Resource"])):
        if resource == "*":
            yield from _everywhere(reference, name, actions)
        elif "*" in resource:
            yield Finding(rule=WIDE, where=resource, says=f"{name} allows {', '.join(actions)} on it")


def _everywhere(reference: Reference, name: str, actions: Iterable[str]) -> Iterator[Finding]:
    """Only an action that knows no resource may have every resource."""
    for action in actions:
        if reference.knows(action) and reference.names_resources(action):
            yield Finding(rule=EVERYWHERE, where=action, says=f"{name} could name what it is allowed on")


def _written(resource: Any) -> str:
    """The pattern as it is written: a reference names one thing and holds no star."""
    if isinstance(resource, str):
        return resource
    return str(resource["Fn::Sub"]) if "Fn::Sub" in resource else ""
