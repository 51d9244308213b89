"""Taking an endpoint away: what goes, in which order, and what stays and goes on billing."""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from bot.aws.clients import ServiceClients
from infra.endpoint.ownership import check_ours
from infra.endpoint.place import Place
from infra.endpoint.plan import Action, Step, Waits, hosting_of, remove
from infra.endpoint.resources import POLICY, described
from infra.endpoint.wanted import DIMENSION


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """One thing to remove, and how."""

    step: Step
    do: Callable[[], None]


STAYS = (
    "the models in S3 (imagine models remove)",
    "the image in ECR (imagine image push keeps three)",
    "pictures and results in the stage's bucket, until their days are over",
    "the endpoint's log, until its days are over",
    "everything that imagine deploy made (imagine remove)",
)
"""What `delete` leaves, and whose it is to remove."""

ALONE = (
    *STAYS[:2],
    "results in the bucket that endpoint.toml names, for ever",
    STAYS[3],
)
"""The same for an endpoint without a deployed stage."""

FREE = "roles and project of trainings and image builds (imagine endpoint delete --all)"
"""What `delete` leaves without `everything`."""


def removals(place: Place, clients: ServiceClients, *, everything: bool = False) -> Iterator[Removal]:
    """What is there, in the order in which it has to go: what acts on the endpoint first, its role last.

    `everything`: also what trainings and image builds of the stage have left, roles and a build project.
    Raises NotOurs, before it names anything, where somebody else made the endpoint or a role.
    """
    roles = tuple(_roles(place, everything=everything))
    _check_endpoint(place, clients)
    for name, _ in roles:
        _check_role(name, clients)
    yield from _scaling(place, clients)
    yield from _alarms(place, clients)
    if described(clients["sagemaker"].describe_endpoint, EndpointName=place.name) is not None:
        yield _removal(
            "endpoint", place.name, lambda: clients["sagemaker"].delete_endpoint(EndpointName=place.name)
        )
    for kind, name in hosting_of(place, clients):
        step = Step(kind=kind, name=name, action=Action.REMOVE)
        yield Removal(step=step, do=functools.partial(remove, step, clients))
    if everything:
        yield from _builds(f"{place.name}-image", clients)
    for name, policy in roles:
        yield from _role(name, policy, clients)


def delete(
    place: Place,
    clients: ServiceClients,
    *,
    waits: Waits,
    everything: bool = False,
    told: Callable[[Step], None] = lambda _step: None,
) -> tuple[Step, ...]:
    """Remove it all; what was removed. Killed anywhere, the next call removes the rest. Raises NotOurs."""
    done = []
    waits.until_changeable()
    for removal in removals(place, clients, everything=everything):
        told(removal.step)
        removal.do()
        done.append(removal.step)
        if removal.step.kind == "endpoint":
            waits.until_gone()
    return tuple(done)


def _roles(place: Place, *, everything: bool) -> Iterator[tuple[str, str]]:
    """Name of each role, and of the policy in it."""
    yield f"{place.name}-endpoint", POLICY
    if everything:
        yield f"{place.name}-training", "imagine-training"
        yield f"{place.name}-image", "imagine-image"


def _check_endpoint(place: Place, clients: ServiceClients) -> None:
    told = described(clients["sagemaker"].describe_endpoint, EndpointName=place.name)
    if told is not None:
        tags = clients["sagemaker"].list_tags(ResourceArn=told["EndpointArn"])["Tags"]
        check_ours("endpoint", place.name, tags)


def _check_role(name: str, clients: ServiceClients) -> None:
    role = _found(lambda: clients["iam"].get_role(RoleName=name))
    if role is not None:
        check_ours("role", name, role["Role"].get("Tags", ()))


def _scaling(place: Place, clients: ServiceClients) -> Iterator[Removal]:
    scaling = clients["application-autoscaling"]
    named = {"ServiceNamespace": "sagemaker", "ScalableDimension": DIMENSION}
    targets = scaling.describe_scalable_targets(**named, ResourceIds=[place.resource_id])["ScalableTargets"]
    if targets:
        yield _removal(
            "scaling target",
            place.resource_id,
            lambda: scaling.deregister_scalable_target(**named, ResourceId=place.resource_id),
        )


def _alarms(place: Place, clients: ServiceClients) -> Iterator[Removal]:
    names = [f"{place.name}-wake", f"{place.name}-idle"]
    for alarm in clients["cloudwatch"].describe_alarms(AlarmNames=names)["MetricAlarms"]:
        name = alarm["AlarmName"]
        delete_alarm = functools.partial(clients["cloudwatch"].delete_alarms, AlarmNames=[name])
        yield _removal("alarm", name, delete_alarm)


def _builds(project: str, clients: ServiceClients) -> Iterator[Removal]:
    """The CodeBuild project of `imagine image push --codebuild`, and its log."""
    codebuild, logs, group = clients["codebuild"], clients["logs"], f"/aws/codebuild/{project}"
    if codebuild.batch_get_projects(names=[project]).get("projects"):
        yield _removal("build project", project, lambda: codebuild.delete_project(name=project))
    groups = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    if any(told["logGroupName"] == group for told in groups):
        yield _removal("log group", group, lambda: logs.delete_log_group(logGroupName=group))


def _role(name: str, policy: str, clients: ServiceClients) -> Iterator[Removal]:
    iam = clients["iam"]
    if _found(lambda: iam.get_role(RoleName=name)) is None:
        return
    if _found(lambda: iam.get_role_policy(RoleName=name, PolicyName=policy)) is not None:
        yield _removal("role policy", name, lambda: iam.delete_role_policy(RoleName=name, PolicyName=policy))
    yield _removal("role", name, lambda: iam.delete_role(RoleName=name))


def _removal(kind: str, name: str, do: Callable[[], object]) -> Removal:
    return Removal(step=Step(kind=kind, name=name, action=Action.REMOVE), do=lambda: _done(do))


def _done(do: Callable[[], object]) -> None:
    do()


def _found(read: Callable[[], Any]) -> Any:
    """IAM's answer, None for what is not there."""
    try:
        return read()
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchEntity":
            raise
    return None
