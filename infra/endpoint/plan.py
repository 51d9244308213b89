"""What is different from what should be, and doing something about it.

A plan only reads. Applying reads each thing again just before it acts, so an apply that was interrupted at
any call is finished by the next one, and one that finds everything right writes nothing.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from bot.aws.clients import ServiceClients
from infra.endpoint.ownership import is_tagged
from infra.endpoint.place import Place
from infra.endpoint.resources import FAILED, Endpoint, Resource, resources_of
from infra.endpoint.wanted import Wanted


class Waits(Protocol):
    """Patience with SageMaker, which takes minutes. Raises EndpointFailed."""

    def until_in_service(self, config: str) -> None: ...
    def until_changeable(self) -> None:
        """As `until_in_service`, but a failed endpoint will do."""

    def until_gone(self) -> None: ...


class Action(StrEnum):
    """What has to be done to one thing."""

    KEEP = "keep"
    MAKE = "make"
    CHANGE = "change"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One place in a thing: what it is and what it should be, JSON-ready."""

    path: str
    live: Any
    wanted: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What has to be done to one thing, and why."""

    kind: str
    name: str
    action: Action
    differences: tuple[Difference, ...] = ()


def plan(goal: Wanted, clients: ServiceClients) -> tuple[Step, ...]:
    """A step for everything, also what is right already, then what is left over from before. Reads only."""
    steps = tuple(step_of(resource) for resource in resources_of(goal, clients))
    return steps + tuple(leftovers(goal, clients))


def step_of(resource: Resource) -> Step:
    """Compare one thing with what it should be."""
    live = resource.live()
    wanted = resource.wanted()
    if live is None:
        return Step(kind=resource.kind, name=resource.name, action=Action.MAKE)
    differences = tuple(compare(live, wanted))
    action = Action.CHANGE if differences else Action.KEEP
    return Step(kind=resource.kind, name=resource.name, action=action, differences=differences)


def apply(
    goal: Wanted,
    clients: ServiceClients,
    *,
    waits: Waits,
    told: Callable[[Step], None] = lambda _step: None,
) -> tuple[Step, ...]:
    """Make it so; the steps that were done. `told` hears of each before it is done.

    Raises EndpointFailed where SageMaker gives the endpoint up; the next apply makes it anew.
    """
    done = []
    for resource in resources_of(goal, clients):
        step = _applied(resource, waits, told)
        if step.action is not Action.KEEP:
            done.append(step)
        if isinstance(resource, Endpoint):
            waits.until_in_service(goal.config_name)
    return tuple(done)


def clean(
    goal: Wanted, clients: ServiceClients, *, told: Callable[[Step], None] = lambda _step: None
) -> tuple[Step, ...]:
    """Remove what is left over from before; what was removed."""
    found = tuple(leftovers(goal, clients))
    for step in found:
        told(step)
        remove(step, clients)
    return found


def _applied(resource: Resource, waits: Waits, told: Callable[[Step], None]) -> Step:
    step = step_of(resource)
    if step.action is Action.KEEP:
        return step
    if isinstance(resource, Endpoint) and step.action is Action.CHANGE:
        waits.until_changeable()
    told(step)
    if step.action is Action.MAKE:
        resource.make()
    elif isinstance(resource, Endpoint) and step.differences[0].live == FAILED:
        resource.delete()
        waits.until_gone()
        resource.make()
    else:
        resource.change(resource.live() or {})
    return step


def leftovers(goal: Wanted, clients: ServiceClients) -> Iterator[Step]:
    """Models and configs of this endpoint's name that nothing uses any more, the configs first."""
    used = frozenset({goal.config_name, goal.model_name})
    for kind, name in hosting_of(goal.place, clients, but=used):
        yield Step(kind=kind, name=name, action=Action.REMOVE)


def hosting_of(
    place: Place, clients: ServiceClients, *, but: frozenset[str] = frozenset()
) -> Iterator[tuple[str, str]]:
    """Kind and name of every config and model of ours that this stage's endpoint has or had, `but` those."""
    sagemaker, prefix = clients["sagemaker"], f"{place.name}-"
    configs = sagemaker.list_endpoint_configs(NameContains=prefix, MaxResults=100)["EndpointConfigs"]
    models = sagemaker.list_models(NameContains=prefix, MaxResults=100)["Models"]
    found = [("endpoint config", told["EndpointConfigName"], told["EndpointConfigArn"]) for told in configs]
    found += [("model", told["ModelName"], told["ModelArn"]) for told in models]
    for kind, name, arn in found:
        if name not in but and is_ours(name, prefix) and is_tagged(sagemaker, arn):
            yield kind, name


def remove(step: Step, clients: ServiceClients) -> None:
    """Remove a leftover."""
    if step.kind == "model":
        clients["sagemaker"].delete_model(ModelName=step.name)
    else:
        clients["sagemaker"].delete_endpoint_config(EndpointConfigName=step.name)


def is_ours(name: str, prefix: str) -> bool:
    """Stages may begin alike: dev and dev-anna. Ours end in a digest and nothing more."""
    digest = name.removeprefix(prefix)
    return name.startswith(prefix) and len(digest) == 10 and set(digest) <= set("0123456789abcdef")


def compare(live: Any, wanted: Any, path: str = "") -> Iterator[Difference]:
    """Where two JSON values differ. What `live` has beyond a wanted mapping is AWS's own: no difference."""
    if isinstance(live, Mapping) and isinstance(wanted, Mapping):
        for key, value in wanted.items():
            yield from compare(live.get(key), value, f"{path}.{key}" if path else key)
    elif _listed(live) and _listed(wanted) and len(live) == len(wanted):
        for index, (one, other) in enumerate(zip(live, wanted, strict=True)):
            yield from compare(one, other, f"{path}[{index}]")
    elif live != wanted:
        yield Difference(path=path, live=live, wanted=wanted)


def _listed(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)
