"""Asleep, a job, woken once, drawn, handed back; and whatever may get lost on the way."""

from dataclasses import replace

import pytest

from bot import bootstrap_workers
from bot.aws.lambda_steering import LambdaSteering
from bot.bootstrap_aws import deployment
from bot.domain.errors import Busy, Rejected, Unavailable
from bot.domain.steering import LONGEST_REPEAT, OURSELVES, Asked, Command
from bot.functions.attempts import HandlerFailed
from bot.ports import Warmth
from bot.services import admin, control
from bot.services.core import Caller, Policy
from bot.services.rows import IN_FLIGHT
from bot.services.waking import WAKING
from tests.aws.cloud import Cloud
from tests.aws.desks import Service
from tests.aws.environment import environment
from tests.aws.functions import ROBIN, TENANT, accepted
from tests.aws.invocations import Invocations

WAKE, HAND_BACK = Command.WAKE, Command.HAND_BACK


@pytest.fixture
def service():
    return Service()


def submit(service, count=1):
    """Jobs that were accepted and handed to the endpoint."""
    jobs = [accepted(service.core, f"a fox {n}", key=f"k{n}") for n in range(count)]
    for job in jobs:
        service.work(job)
    assert service.core.jobs.counter(IN_FLIGHT) == count
    return jobs


def minutes(service, count):
    """So many minutes pass, with a sweep each."""
    for _ in range(count):
        service.core.clock.advance(60)
        service.sweep()


def finish(service, jobs):
    """They end, and leave their places."""
    caller = Caller(tenant=TENANT, user=ROBIN, is_admin=True)
    for job in jobs:
        control.cancel(service.core, caller, job_ref=job.id)


def test_ten_jobs_at_once_wake_it_once_and_it_is_handed_back(service):
    submit(service, 10)
    assert service.orders.commands == [WAKE]
    assert service.deliver() == [{"done": WAKE}]
    assert service.target.low == 1

    service.seen(Warmth.WAKING, desired=1)
    minutes(service, 5)
    assert service.orders.commands == [WAKE], "it is starting: nobody asks again"

    service.seen(Warmth.AWAKE, instances=1, desired=1)
    service.sweep()
    assert service.deliver() == [{"done": HAND_BACK}]
    assert service.target.low == 0
    minutes(service, 30)
    assert service.orders.commands == [WAKE, HAND_BACK]


@pytest.mark.parametrize(
    ("function", "wakes"),
    [
        (bootstrap_workers.worker, True),
        (bootstrap_workers.sweep, True),
        (bootstrap_workers.result, False),
        (bootstrap_workers.failure, False),
    ],
)
def test_a_function_without_the_right_leaves_waking_to_the_sweep(service, function, wakes):
    """What the functions that have the right are allowed is in `tests/infra/serverless/test_roles.py`."""
    built = []
    function(deployment("any", environment()), refit=lambda core: built.append(core) or core)
    (core,) = built
    service.core = replace(service.core, steering=core.steering and service.orders)

    submit(service)
    assert service.orders.commands == ([WAKE] if wakes else [])
    assert service.core.journal.named("order_lost") == []


def test_accepting_asks_for_nothing(service):
    accepted(service.core)
    assert service.orders.commands == []


def test_awake_and_down_it_is_left_alone(service):
    for warmth, instances in ((Warmth.AWAKE, 1), (Warmth.DOWN, 0)):
        service.seen(warmth, instances=instances, desired=instances)
        service.work(accepted(service.core, f"a fox {warmth}", key=warmth))
        service.sweep()
    assert service.orders.commands == []


@pytest.mark.parametrize("error", [Unavailable("down"), Rejected("AccessDeniedException"), Busy("Throttled")])
def test_a_lost_order_costs_the_job_nothing_and_the_sweep_asks_again(service, error):
    service.orders.error = error
    (job,) = submit(service)
    assert service.core.jobs.get(job.id).submissions == 1
    assert service.core.journal.named("order_lost") == [{"command": "wake", "code": error.code}]

    service.orders.error = None
    minutes(service, 3)
    service.deliver()
    assert service.target.low == 1


def test_a_dead_admin_function_is_asked_ever_more_seldom(service):
    service.orders.lost = True
    submit(service)
    minutes(service, 35)
    assert service.orders.commands == [WAKE] * 5, "at once, and after 2, 6, 14 and 29 minutes"
    assert {asked.id for asked in service.orders.given} == {service.orders.given[0].id}


def test_it_wakes_by_the_step_policy_all_the_same_and_the_row_is_cleared(service):
    """The admin function was dead, the endpoint's own policy started an instance."""
    service.orders.lost = True
    submit(service)
    service.seen(Warmth.AWAKE, instances=1, desired=1)
    service.orders.lost = False
    minutes(service, 1)
    service.deliver()
    assert service.core.cells.read(WAKING).value == {}


def test_a_lost_handing_back_is_repeated_until_it_is_done(service):
    submit(service)
    service.deliver()
    service.seen(Warmth.AWAKE, instances=1, desired=1)
    service.orders.lost = True
    minutes(service, 3)
    assert service.target.low == 1
    service.orders.lost = False
    minutes(service, int(LONGEST_REPEAT / 60))
    service.deliver()
    assert service.target.low == 0


def test_a_refusal_while_it_is_updating_is_asked_again(service):
    submit(service)
    service.target.error = Rejected("ValidationException")
    assert service.deliver() == [{"done": WAKE}]
    assert service.target.low == 0

    service.target.error = None
    minutes(service, 3)
    service.deliver()
    assert service.target.low == 1


def test_a_throttled_order_is_brought_again_by_lambda(service):
    submit(service)
    service.target.error = Busy("ThrottlingException")
    with pytest.raises(HandlerFailed):
        service.deliver()


def test_it_is_handed_back_when_every_job_ended_before_it_ran(service):
    jobs = submit(service, 2)
    service.deliver()
    service.seen(Warmth.WAKING, desired=1)
    finish(service, jobs)
    service.sweep()
    service.deliver()
    assert service.target.low == 0


def test_a_late_order_wakes_nothing_when_nothing_is_open(service):
    jobs = submit(service)
    finish(service, jobs)
    assert service.deliver() == [{"done": WAKE}]
    assert service.target.low == 0
    assert service.core.journal.named("order_outdated") == [{"command": "wake"}]


def test_an_order_of_an_earlier_sleep_wakes_nothing(service):
    submit(service)
    (old,) = service.orders.waiting
    service.seen(Warmth.AWAKE, instances=1, desired=1)
    service.orders.waiting = []
    service.sweep()
    service.deliver()
    service.orders.waiting = [old]
    service.deliver()
    assert service.target.low == 0


def test_a_handing_back_in_the_midst_of_a_waking_wins(service):
    submit(service)
    service.target.before_wake = lambda: service.core.cells.write(
        WAKING, {}, expected=service.core.cells.read(WAKING).version
    )
    service.deliver()
    assert service.target.low == 0


def test_while_paused_nothing_is_woken(service):
    submit(service)
    admin.pause(service.core, Caller(tenant=TENANT, user=ROBIN, is_admin=True), reason="GPU day off")
    service.deliver()
    assert service.target.low == 0
    service.sweep()
    assert WAKE not in service.orders.commands[1:]


def test_over_the_months_ceiling_nothing_is_woken():
    service = Service(policy=Policy(month_ceiling=1))
    service.work(accepted(service.core))
    service.sweep()
    assert service.orders.commands == []


def test_anybody_elses_order_to_wake_is_checked_against_the_row(service):
    forged = Asked(command=WAKE, tenant="", by=OURSELVES, id="made-up", at=service.core.clock.now())
    service.orders.waiting = [forged]
    service.deliver()
    assert service.target.low == 0


def test_a_warm_time_outlives_the_handing_back(service):
    submit(service)
    service.deliver()
    service.target.is_held = True
    service.seen(Warmth.AWAKE, instances=1, desired=1)
    service.sweep()
    service.deliver()
    assert service.target.low == 1
    assert service.core.cells.read(WAKING).value == {}


# the way to the function


@pytest.fixture(scope="module")
def cloud():
    return Cloud()


class WithLambda:
    def __init__(self, client):
        self._client = client

    def __getitem__(self, service):
        assert service == "lambda"
        return self._client


def test_an_order_is_one_asynchronous_event(cloud):
    taken = []
    invocations = Invocations(cloud, lambda name, event: taken.append((name, event)))
    order = Asked(command=WAKE, tenant=TENANT, by=ROBIN, id="w", at=1.5, response_url="https://x.test/1")

    LambdaSteering(WithLambda(invocations.client), function="imagine-dev-admin").ask(order)

    ((name, event),) = taken
    assert name == "imagine-dev-admin"
    assert Asked.of(event) == order


def test_a_throttled_invoke_is_busy(cloud):
    invocations = Invocations(cloud, lambda _name, _event: None)
    invocations.refuse = "TooManyRequestsException"
    with pytest.raises(Busy, match="TooManyRequestsException"):
        LambdaSteering(WithLambda(invocations.client), function="f").ask(
            Asked(command=WAKE, tenant=TENANT, by=ROBIN)
        )


def test_a_function_that_is_not_there_is_a_lasting_no(cloud):
    with pytest.raises(Rejected, match="ResourceNotFoundException"):
        LambdaSteering(cloud.clients, function="imagine-nobody").ask(
            Asked(command=WAKE, tenant=TENANT, by=ROBIN)
        )
