"""Taking an endpoint away: what goes, in which order, and what stays and goes on billing."""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from botocore.exceptions import ClientError

from bot.aws.clients import ServiceClients
from infra.endpoint.place import Place
from infra.endpoint.plan import Action, Step, Waits, is_ours, remove
from infra.endpoint.resources import POLICY
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
    "everything that imagine deploy made (npx osls remove)",
)
"""What `delete` leaves, and whose it is to remove."""


def removals(place: Place, clients: ServiceClients) -> Iterator[Removal]:
    """What is there, in the order in which it has to go: what acts on the endpoint first, its role last."""
    yield from _scaling(place, clients)
    yield from _alarms(place, clients)
    if _exists(lambda: clients["sagemaker"].describe_endpoint(EndpointName=place.name)):
        yield _removal(
            "endpoint", place.name, lambda: clients["sagemaker"].delete_endpoint(EndpointName=place.name)
        )
    yield from _hosting(place, clients)
    yield from _role(place, clients)


def delete(
    place: Place, clients: ServiceClients, *, waits: Waits, told: Callable[[Step], None] = lambda _step: None
) -> tuple[Step, ...]:
    """Remove it all; what was removed. Killed anywhere, the next call removes the rest."""
    done = []
    waits.until_changeable()
    for removal in removals(place, clients):
        told(removal.step)
        removal.do()
        done.append(removal.step)
        if removal.step.kind == "endpoint":
            waits.until_gone()
    return tuple(done)


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


def _hosting(place: Place, clients: ServiceClients) -> Iterator[Removal]:
    sagemaker, prefix = clients["sagemaker"], f"{place.name}-"
    configs = sagemaker.list_endpoint_configs(NameContains=prefix, MaxResults=100)["EndpointConfigs"]
    models = sagemaker.list_models(NameContains=prefix, MaxResults=100)["Models"]
    found = [("endpoint config", config["EndpointConfigName"]) for config in configs]
    found += [("model", model["ModelName"]) for model in models]
    for kind, name in found:
        if is_ours(name, prefix):
            step = Step(kind=kind, name=name, action=Action.REMOVE)
            yield Removal(step=step, do=functools.partial(remove, step, clients))


def _role(place: Place, clients: ServiceClients) -> Iterator[Removal]:
    iam, name = clients["iam"], f"{place.name}-endpoint"
    if not _exists(lambda: iam.get_role(RoleName=name)):
        return
    if _exists(lambda: iam.get_role_policy(RoleName=name, PolicyName=POLICY)):
        yield _removal("role policy", name, lambda: iam.delete_role_policy(RoleName=name, PolicyName=POLICY))
    yield _removal("role", name, lambda: iam.delete_role(RoleName=name))


def _removal(kind: str, name: str, do: Callable[[], object]) -> Removal:
    return Removal(step=Step(kind=kind, name=name, action=Action.REMOVE), do=lambda: _done(do))


def _done(do: Callable[[], object]) -> None:
    do()


def _exists(read: Callable[[], object]) -> bool:
    try:
        read()
    except ClientError as error:
        told = error.response["Error"]
        if told["Code"] == "NoSuchEntity" or "Could not find" in told["Message"]:
            return False
        raise
    return True
