"""Killed at any call, the same line again does the rest; nothing is raised that does not end by itself."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import count
from typing import Any

import pytest

from bot.aws.endpoint_control import EndpointControl
from bot.domain.warm_times import read_office_hours
from infra.endpoint.deletion import delete, removals
from infra.endpoint.errors import SelfTestFailed
from infra.endpoint.plan import Action, plan
from infra.endpoint.update import update
from infra.endpoint.wanted import DIMENSION, Wanted
from infra.local.sagemaker.hosting import Pace
from tests.aws.cloud import Cloud
from tests.infra.endpoint.account import Account, moments
from tests.infra.sagemaker.standing_region import standing_region

HOURS = read_office_hours("mon-fri 08:05-17:00 UTC")
OTHER_HOURS = read_office_hours("sat 10:00-11:00 UTC")


@pytest.fixture(scope="module")
def kept() -> Iterator[Account]:
    """One account for all: every test makes what it begins with. Its machines start within two looks."""
    nowhere = "http://127.0.0.1:9"
    with standing_region(Cloud(), container_url=nowhere, pace=Pace(launch=50)) as stand:
        yield Account(stand=stand)


Act = Callable[[], object]


MOMENTS = pytest.mark.parametrize(
    "every",
    [pytest.param(1, marks=pytest.mark.slow, id="every moment"), pytest.param(6, id="a sixth of them")],
)


def everywhere(
    account: Account, act: Act, *, before: Act, every: int, through: Iterable[str] = ()
) -> Iterator[str]:
    """`act` is killed at the moments at which that leaves something of its own; after which call it was.

    At each of them for `every` 1, at each sixth for 6. Those after the calls in `through` are among them all.
    """
    before()
    account.calls.clear()
    act()
    numbers = moments(account.calls)
    assert len(numbers) > 4
    assert set(through) <= {account.calls[number] for number in numbers}
    for number in numbers[::every]:
        before()
        assert account.interrupted(number, act)
        yield account.calls[-1]


def settled(account: Account) -> dict[str, Any]:
    """What a person sees once nothing is under way."""
    account.waits.until_changeable()
    return account.state()


def gone(account: Account) -> None:
    """Nothing is there, not even the log that `delete` leaves."""
    delete(account.place, account, waits=account.waits)
    if account["logs"].describe_log_groups()["logGroups"]:
        account["logs"].delete_log_group(logGroupName=account.place.log_group)


@MOMENTS
def test_apply_killed_at_any_call_is_finished_by_the_next(kept: Account, every: int):
    gone(kept)
    kept.apply()
    wanted = settled(kept)
    seen = []
    through = {"iam.CreateRole", "sagemaker.CreateEndpoint", "cloudwatch.PutMetricAlarm"}
    for call in everywhere(kept, kept.apply, before=lambda: gone(kept), every=every, through=through):
        seen.append(call)
        kept.apply()
        assert settled(kept) == wanted, seen


def awake(account: Account) -> None:
    """The endpoint as first applied, with an instance that no alarm ends."""
    account.apply()
    raise_minimum(account)


def raise_minimum(account: Account) -> None:
    account["application-autoscaling"].register_scalable_target(
        ServiceNamespace="sagemaker",
        ScalableDimension=DIMENSION,
        ResourceId=account.place.resource_id,
        MinCapacity=1,
    )
    account.waits.until_changeable()


def proven() -> None:
    """A picture came."""


def refuse() -> None:
    raise SelfTestFailed("the endpoint answered no picture")


def updating(account: Account, goal: Wanted, prove: Callable[[], None] = proven) -> Act:
    return lambda: update(goal, account, waits=account.waits, prove=prove)


@MOMENTS
def test_update_killed_at_any_call_is_finished_by_the_next(kept: Account, every: int):
    goal = kept.goal(concurrency=2)
    seen = []
    through = {"sagemaker.UpdateEndpoint", "sagemaker.DeleteEndpointConfig"}
    act = updating(kept, goal)
    for call in everywhere(kept, act, before=lambda: awake(kept), every=every, through=through):
        seen.append(call)
        updating(kept, goal)()
        state = settled(kept)
        assert state["endpoint"] == (goal.config_name, "InService"), seen
        assert (state["configs"], state["models"]) == ([goal.config_name], [goal.model_name])
        assert {step.action for step in plan(goal, kept)} == {Action.KEEP}


@MOMENTS
def test_update_killed_at_any_call_still_goes_back_where_the_next_draws_nothing(kept: Account, every: int):
    former, goal = kept.goal(), kept.goal(concurrency=2)

    def failing() -> None:
        with pytest.raises(SelfTestFailed, match="again, as before"):
            updating(kept, goal, refuse)()

    for call in everywhere(kept, failing, before=lambda: awake(kept), every=every):
        failing()
        assert settled(kept)["endpoint"] == (former.config_name, "InService"), call
    kept.apply(former)
    assert {step.action for step in plan(former, kept)} == {Action.KEEP}


@MOMENTS
def test_delete_killed_at_any_call_is_finished_by_the_next(kept: Account, every: int):
    def deleting() -> None:
        delete(kept.place, kept, waits=kept.waits)

    seen = []
    through = {"sagemaker.DeleteEndpoint", "cloudwatch.DeleteAlarms", "iam.DeleteRole"}
    for call in everywhere(kept, deleting, before=kept.apply, every=every, through=through):
        seen.append(call)
        deleting()
        assert list(removals(kept.place, kept)) == [], seen


def asleep(account: Account) -> EndpointControl:
    """An endpoint without an instance, and nothing scheduled."""
    account.apply()
    control = EndpointControl(account, name="imagine-dev")
    control.end_office_hours()
    account.waits.until_changeable()
    control.sleep()
    account.waits.until_changeable()
    return control


def warm_for(seconds: float, account: Account, control: EndpointControl) -> float:
    now = account.stand.region.now()
    return control.warm(now + seconds, now=now)


def warm(account: Account) -> EndpointControl:
    control = asleep(account)
    warm_for(7200, account, control)
    account.waits.until_changeable()
    return control


def in_office_hours(account: Account) -> EndpointControl:
    """They have opened, and an instance runs."""
    control = asleep(account)
    control.keep_office_hours(read_office_hours("mon-fri 08:05-17:00 UTC"))
    raise_minimum(account)
    return control


def ends_by_itself(control: EndpointControl) -> bool:
    """Whatever raises the minimum, or has raised it, is followed by what lowers it, without us."""
    minima = {action.minimum for action in control.scheduled()}
    return 0 in minima or not (minima or control.bounds().low)


STEERING: dict[str, Callable[[Account, EndpointControl], object]] = {
    "warm": partial(warm_for, 3600),
    "schedule": lambda _, control: control.keep_office_hours(read_office_hours("sat 10:00-11:00 UTC")),
    "schedule off": lambda _, control: control.end_office_hours(),
    "sleep": lambda _, control: control.sleep(),
}


@pytest.mark.parametrize("name", STEERING)
@pytest.mark.parametrize("before", [asleep, pytest.param(warm, marks=pytest.mark.slow), in_office_hours])
def test_steering_killed_at_any_call_leaves_nothing_raised_for_ever(
    kept: Account, name: str, before: Callable[[Account], EndpointControl]
):
    for number in count():
        control = before(kept)
        killed = kept.interrupted(number, partial(STEERING[name], kept, control))
        assert ends_by_itself(control), kept.calls
        if not killed:
            break
    assert number >= 1


def test_hours_that_end_while_they_are_open_let_the_instance_go(kept: Account):
    control = in_office_hours(kept)

    assert control.end_office_hours()
    kept.stand.advance(40 * 60)
    assert kept.stand.status("imagine-dev") == ("InService", 0, 0)


def test_killed_between_the_end_and_the_beginning_of_a_warm_time_it_sleeps_on(kept: Account):
    control = asleep(kept)

    assert kept.interrupted(2, partial(warm_for, 600, kept, control))
    assert kept.calls[-1] == "application-autoscaling.PutScheduledAction"
    assert [action.minimum for action in control.scheduled()] == [0]
    assert control.bounds().low == 0
