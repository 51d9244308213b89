"""A job on its way to its picture: the queue, the endpoint, budgets of a month, the delivery."""

import dataclasses

import pytest

from bot.domain.errors import Ambiguous, Busy, Rejected, Unavailable
from bot.domain.job import Outcome, SinkKind, State, state_of
from bot.domain.transitions import apply
from bot.http_api.poll_sink import PollSink
from bot.local.memory_objects import MemoryObjects
from bot.local.queue import InProcessQueue
from bot.ports import Index
from bot.services import admin, control
from bot.services.core import Policy, Process
from bot.services.rows import IN_FLIGHT, month_key, tokened
from bot.services.sweep import sweep
from bot.services.work import advance, take_failure, take_result
from tests.simulation.world import OUTPUT
from tests.unit.services.cores import (
    ADMIN,
    ME,
    RememberingEndpoint,
    ask,
    build,
    draw,
)


def test_a_lost_nudge_loses_nothing(core):
    core.queue.close()
    job = ask(core).job
    core.clock.advance(61)

    sweep(dataclasses.replace(core, queue=InProcessQueue()))

    assert state_of(core.jobs.get(job.id)) is State.SUBMITTED


def test_a_job_that_enters_is_submitted_though_the_hand_that_let_it_wait_still_holds_it(core):
    first, second = ask(core, "a red fox", key="k1").job, ask(core, "a blue jay", key="k2").job
    advance(core, first.id)
    advance(core, second.id)
    waiting = core.jobs.get(second.id)
    held = {"lease_owner": "another:hand", "lease_until": core.clock.now() + 120}
    core.jobs.transition(tokened(core, apply(waiting, "wait", **held)))

    draw(core, first)
    advance(core, second.id)

    assert state_of(core.jobs.get(second.id)) is State.SUBMITTED


class RememberingQueue:
    def __init__(self):
        self.nudges = []

    def nudge(self, job_id, *, delay=0.0):
        self.nudges.append((job_id, delay))


@pytest.mark.parametrize(("asked", "woken"), [(1.0, 2.0), (7.0, 7.0), (300.0, 300.0)])
def test_a_pause_that_a_peer_asks_for_ends_when_it_is_over_and_not_at_the_next_sweep(asked, woken):
    class Crowded(PollSink):
        def announce(self, stage):
            raise Busy("ratelimited", retry_after=asked)

    core = build(sinks={SinkKind.POLL: Crowded()}, queue=RememberingQueue())
    job = ask(core).job
    core.queue.nudges.clear()

    advance(core, job.id)

    assert core.queue.nudges == [(job.id, woken)]
    assert core.jobs.get(job.id).next_check_at == core.clock.now() + woken


def test_a_finished_job_is_spent_and_leaves_the_window(core):
    job = draw(core, ask(core).job)

    assert state_of(job) is State.DONE
    assert (core.jobs.person("T1", "U1").held, core.jobs.person("T1", "U1").spent) == (0, job.cost)
    assert core.jobs.counter(IN_FLIGHT) == 0
    assert admin.status(core, ADMIN).burned == job.cost, "the ledger books what was burned"


def test_the_window_holds_the_next_job_back(core):
    first = ask(core, "one", key="k1").job
    second = ask(core, "two", key="k2").job
    advance(core, first.id)
    advance(core, second.id)

    assert [state_of(core.jobs.get(job.id)) for job in (first, second)] == [State.SUBMITTED, State.ANNOUNCED]
    assert admin.status(core, ADMIN).waiting == 1


def test_a_card_tells_the_new_place_once_when_it_changed():
    class Telling(PollSink):
        def __init__(self):
            self.places = []

        def announce(self, stage):
            self.places.append(stage.place)
            return super().announce(stage)

        def show(self, stage):
            self.places.append(stage.place)

    sink = Telling()
    core = build(sinks={SinkKind.POLL: sink})
    first, _second, third = (ask(core, f"fox {number}", key=f"k{number}").job for number in range(3))
    for job in core.jobs.query(Index.DUE, upto=core.clock.now() + 99, limit=9).jobs:
        advance(core, job.id)
    advance(core, third.id)
    sink.places.clear()
    for _ in range(3):
        advance(core, third.id)
    assert sink.places == [], "nothing new, nothing said"

    draw(core, first)
    advance(core, third.id)
    advance(core, third.id)

    assert sink.places == [0], "one place further, said once"


def test_a_spent_month_refuses_at_admission():
    core = build(policy=Policy(month_ceiling=10))
    job = ask(core).job
    advance(core, job.id)
    advance(core, job.id)

    assert core.jobs.get(job.id).final_outcome is Outcome.BUDGET_SPENT
    assert core.jobs.person("T1", "U1").held == 0


def test_two_jobs_cannot_both_take_what_is_left_of_a_month():
    wide = RememberingEndpoint(window=9)
    core = build(endpoint=wide)
    cost = ask(core).job.cost
    core = build(endpoint=wide, policy=Policy(month_ceiling=cost + cost // 2))
    jobs = [ask(core, f"fox {number}", key=f"k{number}").job for number in range(2)]
    for job in jobs:
        advance(core, job.id)

    outcomes = [core.jobs.get(job.id).final_outcome for job in jobs]

    assert outcomes == [None, Outcome.BUDGET_SPENT]
    assert [submission.job_id for submission in wide.submitted] == [jobs[0].id]


def test_what_was_booked_for_a_job_that_burned_nothing_is_free_again(core):
    class Closed(RememberingEndpoint):
        def submit(self, submission):
            raise Unavailable("asleep")

    core = dataclasses.replace(core, endpoint=Closed())
    job = ask(core).job
    advance(core, job.id)
    booked = admin.status(core, ADMIN).burned
    control.cancel(core, ME, job_ref=job.id)

    assert (booked, admin.status(core, ADMIN).burned) == (job.cost, 0)


def test_a_drawing_across_the_end_of_a_month_is_booked_in_the_month_it_began(core):
    began = core.clock.now()
    job = ask(core).job
    advance(core, job.id)
    core.clock.advance(40 * 24 * 3600)
    core.objects.put(core.endpoint.submitted[-1].output_key, OUTPUT)
    take_result(core, job.id)

    assert core.jobs.counter(month_key(began)) == job.cost
    assert core.jobs.counter(month_key(core.clock.now())) == 0


OUT_OF_MEMORY = b'{"error": {"code": "out_of_memory", "message": "no room on the GPU"}}'


def test_news_of_a_failure_ends_the_job_with_its_reason(core):
    job = ask(core).job
    advance(core, job.id)

    take_failure(core, job.id, OUT_OF_MEMORY, submission=1)

    assert core.jobs.get(job.id).final_outcome is Outcome.OUT_OF_MEMORY


def test_a_picture_that_is_there_wins_over_news_of_a_failure(core):
    job = ask(core).job
    advance(core, job.id)
    core.objects.put(core.endpoint.submitted[0].output_key, OUTPUT)

    take_failure(core, job.id, OUT_OF_MEMORY)

    assert core.jobs.get(job.id).final_outcome is Outcome.OK


def test_news_of_a_first_submission_does_not_end_the_second(core):
    job = ask(core).job
    advance(core, job.id)
    core.clock.advance(core.times.submission_life + 1)
    advance(core, job.id)
    assert core.jobs.get(job.id).submissions == 2

    take_failure(core, job.id, OUT_OF_MEMORY, submission=1)

    assert state_of(core.jobs.get(job.id)) is State.SUBMITTED


def test_news_of_a_failure_of_what_was_never_submitted_changes_nothing(core):
    job = ask(core).job

    take_failure(dataclasses.replace(core, endpoint=RememberingEndpoint(window=0)), job.id, OUT_OF_MEMORY)
    take_failure(core, "z" * 26, OUT_OF_MEMORY)

    assert core.jobs.get(job.id).result is None


def test_an_output_that_can_never_be_read_ends_the_job(core):
    class Refusing(MemoryObjects):
        def get(self, key):
            raise Rejected("too_large")

    core = dataclasses.replace(core, objects=Refusing())
    job = ask(core).job
    advance(core, job.id)

    take_result(core, job.id)

    assert core.jobs.get(job.id).final_outcome is Outcome.BAD_PICTURE


def test_a_result_lets_the_next_job_in_at_once(core):
    first, second = (ask(core, name, key=name).job for name in ("a fox", "a hare"))
    advance(core, first.id)
    advance(core, second.id)
    assert state_of(core.jobs.get(second.id)) is State.ANNOUNCED

    draw(core, first)

    assert state_of(core.jobs.get(second.id)) is State.ADMITTED


def test_a_job_that_enters_at_once_needs_no_edit_to_say_so():
    class Telling(PollSink):
        def __init__(self):
            self.told = []

        def announce(self, stage):
            self.told.append((state_of(stage.job), stage.place))
            return super().announce(stage)

        def show(self, stage):
            self.told.append((state_of(stage.job), stage.place))

    sink = Telling()
    core = build(sinks={SinkKind.POLL: sink})
    advance(core, ask(core, "a fox", key="1").job.id)
    assert sink.told == [(State.ADMITTED, None)]

    sink.told.clear()
    advance(core, ask(core, "a hare", key="2").job.id)
    assert sink.told == [(State.ADMITTED, None), (State.ANNOUNCED, 0)], "the window was full: put right"


def test_a_sweep_begins_nothing_after_its_deadline(core):
    jobs = [ask(core, f"a fox {number}", key=str(number)).job for number in range(3)]
    core.clock.advance(100)

    assert sweep(core, deadline=core.clock.now()) == 0
    assert [core.jobs.get(job.id).announced_ref for job in jobs] == [None] * 3
    assert sweep(core, deadline=core.clock.now() + 1) == 3


class Died(BaseException):
    pass


class DeadlySink(PollSink):
    """The process dies as it is about to deliver, the first time."""

    def __init__(self):
        self.calls = 0

    def deliver(self, job):
        self.calls += 1
        if self.calls == 1:
            raise Died
        super().deliver(job)

    def delivered(self, job):
        return self.calls > 1


@pytest.mark.parametrize(("alone", "waits_for"), [(True, "grace"), (False, "share_patience")])
def test_a_delivery_that_died_before_its_call_is_made_as_soon_as_that_is_sure(alone, waits_for):
    sink = DeadlySink()
    core = build(sinks={SinkKind.POLL: sink})
    job = ask(core).job
    with pytest.raises(Died):
        draw(core, job)
    restarted = dataclasses.replace(core, process=Process(boot="another", alone=alone))
    core.clock.advance(getattr(core.times, waits_for) - 1)
    advance(restarted, job.id)
    assert sink.calls == 1, "what was sent may still be applied"

    core.clock.advance(2)
    advance(restarted, job.id)
    assert sink.calls == 2
    assert core.jobs.get(job.id).final_outcome is Outcome.OK


class SlowSink(PollSink):
    """The first call is lost; what the second one sent is `visible` some time later."""

    def __init__(self):
        self.calls = 0
        self.visible = False
        self.meanwhile = lambda: None

    def deliver(self, job):
        self.calls += 1
        if self.calls == 1:
            raise Ambiguous("timeout")
        super().deliver(job)

    def delivered(self, job):
        meanwhile, self.meanwhile = self.meanwhile, lambda: None
        seen = self.visible
        meanwhile()
        return seen


def test_a_look_that_another_worker_overtook_sends_nothing_once_more():
    sink = SlowSink()
    core = build(sinks={SinkKind.POLL: sink})
    job = draw(core, ask(core).job)
    other = dataclasses.replace(core, process=Process(boot="another", alone=False))
    core.clock.advance(core.times.share_patience + 1)

    sink.meanwhile = lambda: advance(other, job.id)
    advance(core, job.id)
    assert sink.calls == 2

    sink.visible = True
    core.clock.advance(core.times.lease)
    advance(core, job.id)
    assert sink.calls == 2
    assert core.jobs.get(job.id).final_outcome is Outcome.OK
