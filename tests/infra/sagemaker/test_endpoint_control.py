"""Steering an endpoint's capacity, against the stand-in region: warm times end by themselves, whatever
becomes of us.
"""

from datetime import UTC, datetime

import pytest

from bot.aws.clients import Clients
from bot.aws.endpoint_control import (
    OFFICE_CLOSES,
    OFFICE_OPENS,
    WARM_END,
    EndNotKept,
    EndpointControl,
    NotScalable,
)
from bot.domain.errors import Rejected
from bot.domain.warm_times import read_office_hours
from tests.infra.sagemaker.standing_region import Stand
from tests.infra.sagemaker.test_auto_scaling import asleep, register, track, wake_on_backlog


@pytest.fixture
def control(stand: Stand) -> EndpointControl:
    asleep(stand)
    track(stand)
    wake_on_backlog(stand)
    return of(stand)


def of(stand: Stand, name: str = "imagine") -> EndpointControl:
    return EndpointControl(StandClients(stand), name=name)


class StandClients(Clients):
    """Clients whose SageMaker and Application Auto Scaling are the stand-in."""

    def __init__(self, stand: Stand) -> None:
        super().__init__(stand.cloud.session())
        self._made = {"sagemaker": stand.sagemaker, "application-autoscaling": stand.scaling}


def warm(stand: Stand, control: EndpointControl, seconds: float) -> float:
    now = stand.region.now()
    return control.warm(now + seconds, now=now)


def test_waking_starts_an_instance_at_once_and_handing_back_lets_it_go(
    stand: Stand, control: EndpointControl
):
    assert control.wake()
    assert stand.status() == ("Updating", 0, 1)
    assert not control.wake(), "the second has nothing to do"
    stand.advance(240)

    assert control.hand_back(now=stand.region.now())
    assert not control.hand_back(now=stand.region.now())
    stand.advance(30 * 60)
    assert stand.status() == ("InService", 0, 0)


def test_a_warm_time_ends_when_all_of_our_code_is_dead(stand: Stand, control: EndpointControl):
    warm(stand, control, 3600)
    stand.advance(3500)
    assert stand.status() == ("InService", 1, 1)

    stand.advance(1800)
    assert stand.status() == ("InService", 0, 0)
    assert control.scheduled() == ()


def test_a_second_warm_time_moves_the_end(stand: Stand, control: EndpointControl):
    warm(stand, control, 1800)
    warm(stand, control, 7200)
    stand.advance(7000)

    assert stand.status() == ("InService", 1, 1)
    assert [action.name for action in control.scheduled()] == [WARM_END]


@pytest.fixture
def open_control(stand: Stand, control: EndpointControl) -> EndpointControl:
    """In office hours that have opened."""
    control.keep_office_hours(read_office_hours("mon-fri 09:00-18:00 UTC"))
    stand.advance(105 * 60)
    assert stand.status() == ("InService", 1, 1)
    return control


def test_a_warm_time_in_office_hours_does_not_end_them(stand: Stand, open_control: EndpointControl):
    closing = warm(stand, open_control, 1800)
    assert f"{datetime.fromtimestamp(closing, tz=UTC):%H:%M}" == "18:00"
    stand.advance(closing - stand.region.now() - 60)
    assert open_control.bounds().low == 1

    stand.advance(40 * 60)
    assert stand.status() == ("InService", 0, 0)


def test_office_hours_that_close_do_not_end_a_warm_time(stand: Stand, open_control: EndpointControl):
    now = stand.region.now()
    closing = read_office_hours("mon-fri 09:00-18:00 UTC").closes_after(now)
    end = open_control.warm(closing + 7200, now=now)
    assert end == closing + 7200
    stand.advance(end - now - 60)
    assert (open_control.bounds().low, stand.status()) == (1, ("InService", 1, 1))

    stand.advance(40 * 60)
    assert stand.status() == ("InService", 0, 0)


@pytest.mark.parametrize("ending", ["a shorter warm time", "sleep"])
def test_a_warm_time_that_was_taken_back_raises_nothing_later(
    stand: Stand, open_control: EndpointControl, ending: str
):
    warm(stand, open_control, 12 * 3600)
    if ending == "sleep":
        open_control.sleep()
    else:
        warm(stand, open_control, 600)
    stand.advance(9 * 3600)

    assert (open_control.bounds().low, stand.status()) == (0, ("InService", 0, 0))


def test_nothing_is_raised_before_the_end_is_seen(stand: Stand, control: EndpointControl):
    forgetful = EndpointControl(StandClients(stand), name="imagine")
    stand.scaling.meta.events.register(
        "after-call.application-autoscaling.DescribeScheduledActions",
        lambda parsed, **_: parsed.update(ScheduledActions=[]),
    )
    for raising in (
        lambda: warm(stand, forgetful, 3600),
        lambda: forgetful.keep_office_hours(read_office_hours("mon-fri 09:00-18:00 UTC")),
    ):
        with pytest.raises(EndNotKept):
            raising()
    assert stand.status() == ("InService", 0, 0)


def test_office_hours_open_and_close_by_the_clock(stand: Stand, control: EndpointControl):
    control.keep_office_hours(read_office_hours("mon-fri 09:00-18:00 UTC"))
    stand.advance(45 * 60)
    assert stand.status() == ("InService", 0, 0)

    stand.advance(3600)
    assert stand.status() == ("InService", 1, 1)
    assert not control.hand_back(now=stand.region.now()), "the hours hold it"
    stand.advance(9 * 3600)
    assert stand.status() == ("InService", 0, 0)


def test_waking_outside_the_hours_is_handed_back(stand: Stand, control: EndpointControl):
    control.keep_office_hours(read_office_hours("mon 01:00-02:00 UTC"))
    control.wake()

    assert control.hand_back(now=stand.region.now())


def test_ending_the_hours_removes_what_raises_first(stand: Stand, control: EndpointControl):
    control.keep_office_hours(read_office_hours("mon-fri 09:00-18:00 UTC"))
    removed: list[str] = []
    stand.scaling.meta.events.register(
        "provide-client-params.application-autoscaling.DeleteScheduledAction",
        lambda params, **_: removed.append(params["ScheduledActionName"]),
    )

    assert control.end_office_hours()
    assert removed == [OFFICE_OPENS, OFFICE_CLOSES]
    assert not control.end_office_hours()


def test_sleep_ends_instances_and_the_warm_time(stand: Stand, control: EndpointControl):
    warm(stand, control, 3600)
    stand.advance(300)
    control.sleep()
    stand.advance(10)

    assert stand.status() == ("InService", 0, 0)
    assert control.scheduled() == ()
    stand.invoke()
    stand.advance(400)
    assert stand.status() == ("InService", 1, 1), "the next job wakes it"


def test_an_endpoint_without_scaling_is_named_with_the_fix(stand: Stand):
    stand.make_endpoint()
    with pytest.raises(NotScalable, match="imagine endpoint apply"):
        of(stand).wake()


def test_sleeping_while_it_changes_is_refused_by_sagemaker(stand: Stand, control: EndpointControl):
    register(stand, 1, 2)
    with pytest.raises(Rejected):
        control.sleep()
