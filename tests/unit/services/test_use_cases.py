"""Use cases against the one-machine adapters in memory; the endpoint and the sink only remember."""

import dataclasses

import pytest

from bot.domain import messages
from bot.domain.errors import Ambiguous, Busy, Refused, Rejected, Unavailable
from bot.domain.job import Address, Outcome, SinkKind, State, state_of
from bot.domain.transitions import apply
from bot.http_api.poll_sink import PollSink
from bot.local.database import MEMORY, Database
from bot.local.journal import ListJournal
from bot.local.memory_objects import MemoryObjects
from bot.local.queue import InProcessQueue
from bot.local.sqlite_cells import SqliteCells
from bot.local.sqlite_jobs import SqliteJobs
from bot.local.system import ManualClock, SeededRandomness, SequentialIds
from bot.local.word_rules import WordRules
from bot.ports import EndpointState, Fate, Index, Verdict, Warmth
from bot.services import admin, control, gallery, intake
from bot.services.core import Caller, Core, Policy, Process
from bot.services.people import People
from bot.services.rows import IN_FLIGHT, month_key, tokened
from bot.services.settings import CATALOGUE, change
from bot.services.sweep import sweep
from bot.services.work import advance, take_failure, take_result
from tests.simulation.world import OUTPUT

ME = Caller(tenant="T1", user="U1")
OTHER = Caller(tenant="T1", user="U2")
STRANGER = Caller(tenant="T2", user="U1")
ADMIN = Caller(tenant="T1", user="U9", is_admin=True)
POLL = Address(kind=SinkKind.POLL)


class RememberingEndpoint:
    def __init__(self, window=1):
        self.window = window
        self.submitted = []
        self.cancelled = []

    def submit(self, submission):
        self.submitted.append(submission)

    def fate(self, inference_id):
        return Fate.UNKNOWN

    def cancel(self, inference_id):
        self.cancelled.append(inference_id)
        return True

    def state(self):
        return EndpointState(name="test", warmth=Warmth.AWAKE, window=self.window)


class HoldingModeration(WordRules):
    def check_picture(self, picture):
        return Verdict(allowed=False, held=True)


class BrokenModeration(WordRules):
    def check_prompt(self, text):
        raise Unavailable("down")


def build(**overrides) -> Core:
    database = Database(MEMORY)
    values = {
        "clock": ManualClock(),
        "ids": SequentialIds(),
        "randomness": SeededRandomness(),
        "jobs": SqliteJobs(database),
        "cells": SqliteCells(database),
        "objects": MemoryObjects(),
        "queue": InProcessQueue(),
        "endpoint": RememberingEndpoint(),
        "sinks": {SinkKind.POLL: PollSink()},
        "moderation": WordRules(["forbidden thing"]),
        "journal": ListJournal(),
        "policy": Policy(),
        "process": Process(boot="b"),
    }
    return Core(**(values | overrides))


@pytest.fixture
def core() -> Core:
    return build()


def ask(core, text="a red fox", *, key="k1", caller=ME):
    return intake.imagine(core, caller, text=text, source_key=key, sink=POLL)


def draw(core, job):
    """The job's picture arrives."""
    advance(core, job.id)
    core.objects.put(core.endpoint.submitted[-1].output_key, OUTPUT)
    take_result(core, job.id)
    return core.jobs.get(job.id)


def refusal_of(work) -> str:
    with pytest.raises(Refused) as refused:
        work()
    return refused.value.code


def test_an_accepted_line_is_a_row_with_a_fixed_seed(core):
    job = ask(core, "a red fox --n 2").job

    assert core.jobs.get(job.id).request.prompt == "a red fox"
    assert len(job.request.seeds) == 2
    assert core.queue.take(0.0) == job.id, "a worker was told"


def test_the_same_command_twice_is_one_job(core):
    first, second = ask(core), ask(core)

    assert (first.fresh, second.fresh) == (True, False)
    assert first.job.id == second.job.id
    assert core.jobs.person("T1", "U1").held == first.job.cost, "charged once"


def test_the_same_line_within_ten_seconds_is_one_job(core):
    first = ask(core, key="k1")

    assert ask(core, key="k2").job.id == first.job.id
    core.clock.advance(11)
    assert ask(core, key="k3").job.id != first.job.id


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


def test_a_write_with_an_unknown_fate_is_tried_again_with_the_same_token(core):
    class LosingReplies(SqliteJobs):
        lost = 0

        def create(self, jobs, **rest):
            super().create(jobs, **rest)
            if not self.lost:
                self.lost += 1
                raise Ambiguous("timeout")

    core = dataclasses.replace(core, jobs=LosingReplies(Database(MEMORY)))

    assert ask(core).fresh, "our own write is no duplicate"


def test_a_store_that_stays_silent_is_not_called_accepted(core):
    class Silent(SqliteJobs):
        def create(self, jobs, **rest):
            raise Ambiguous("timeout")

    core = dataclasses.replace(core, jobs=Silent(Database(MEMORY)))

    assert refusal_of(lambda: ask(core)) == "not_confirmed"


def test_a_slow_store_ends_in_a_refusal_within_two_seconds(core):
    class Slow(SqliteJobs):
        def create(self, jobs, **rest):
            core.clock.advance(2.1)
            raise Unavailable("throttled")

    slow = dataclasses.replace(core, jobs=Slow(Database(MEMORY)))

    assert refusal_of(lambda: ask(slow)) == "not_confirmed"


def test_around_midnight_a_slow_clock_does_not_give_back_the_new_day(core):
    midnight = (core.clock.now() // 86_400 + 1) * 86_400
    core.clock.advance(midnight - 1 - core.clock.now())
    ahead = dataclasses.replace(core, clock=ManualClock(midnight + 1))
    jobs = [
        ask(asked, f"fox {number}", key=f"k{number}").job for number, asked in enumerate((ahead, core, ahead))
    ]

    person = core.jobs.person("T1", "U1")

    assert person.held == sum(job.cost for job in jobs)
    assert {core.jobs.get(job.id).quota_day for job in jobs} == {person.day}


def test_a_process_that_was_frozen_does_not_accept_what_was_given_up(core):
    class Frozen(SqliteCells):
        def look(self, keys, **rest):
            core.clock.advance(600)
            return super().look(keys, **rest)

    database = Database(MEMORY)
    frozen = dataclasses.replace(core, jobs=SqliteJobs(database), cells=Frozen(database))

    assert refusal_of(lambda: ask(frozen)) == "not_confirmed"
    assert frozen.jobs.query(Index.OPEN, partition=ME.tenant, limit=1).jobs == ()


def test_a_click_whose_first_job_is_gone_is_not_called_accepted(core):
    class Forgotten(SqliteJobs):
        def get(self, job_id):
            return None

    core = dataclasses.replace(core, jobs=Forgotten(Database(MEMORY)))
    first = ask(core, key="k1").job

    assert refusal_of(lambda: ask(core, key="k2")) == "not_confirmed"
    assert core.jobs.person("T1", "U1").held == first.cost


def test_a_grammar_problem_is_refused_and_costs_nothing(core):
    with pytest.raises(intake.PromptRefused) as refused:
        ask(core, "a fox --banana 3")

    assert refused.value.refusal.problems
    assert core.jobs.person("T1", "U1").used == 0


def test_a_forbidden_phrase_is_refused_by_name(core):
    with pytest.raises(Refused) as refused:
        ask(core, "a Forbidden  Thing on a hill")

    assert (refused.value.code, refused.value.facts) == ("blocked_prompt", {"rule": "forbidden thing"})


def test_a_blocked_phrase_does_not_hide_behind_characters_of_no_width(core):
    assert refusal_of(lambda: ask(core, "a for\u200bbidden th\u2060ing")) == "blocked_prompt"


def test_without_moderation_nothing_is_accepted():
    assert refusal_of(lambda: ask(build(moderation=BrokenModeration([])))) == "not_moderated"


def test_a_day_has_a_limit():
    core = build(policy=Policy(daily_limit=1))

    assert refusal_of(lambda: ask(core)) == "quota_spent"


def test_a_pause_tells_its_reason_and_lets_the_queue_wait(core):
    waiting = ask(core).job
    admin.pause(core, ADMIN, reason="budget review")

    assert refusal_of(lambda: ask(core, "another fox", key="k2")) == "paused"
    advance(core, waiting.id)
    assert state_of(core.jobs.get(waiting.id)) is State.ANNOUNCED
    assert admin.resume(core, ADMIN) == 1
    assert state_of(core.jobs.get(waiting.id)) is State.ADMITTED


class SlowCells:
    """Cells whose first write takes so long that `meanwhile` happens before it."""

    def __init__(self, cells, *, meanwhile):
        self._cells = cells
        self._meanwhile = [meanwhile]

    def __getattr__(self, name):
        return getattr(self._cells, name)

    def write(self, key, value, *, expected):
        while self._meanwhile:
            self._meanwhile.pop()()
        return self._cells.write(key, value, expected=expected)


def test_a_pause_that_was_slow_does_not_undo_the_resume_that_followed_it(core):
    def go_on():
        core.clock.advance(5.0)
        admin.pause(core, ADMIN, reason="again")
        core.clock.advance(5.0)
        admin.resume(core, ADMIN)

    slow = dataclasses.replace(core, cells=SlowCells(core.cells, meanwhile=go_on))
    admin.pause(slow, ADMIN, reason="budget review")

    assert core.settings.paused is None
    ask(core)


def test_a_clock_that_was_put_back_locks_nobody_out(core):
    admin.pause(core, ADMIN, reason="budget review", at=core.clock.now() + 3600.0)

    admin.resume(core, ADMIN)
    assert core.settings.paused is None


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


def test_a_held_picture_waits_for_an_admin():
    core = build(moderation=HoldingModeration([]))
    job = draw(core, ask(core).job)
    assert state_of(job) is State.HELD

    assert (
        refusal_of(lambda: admin.review(core, ME, job_ref=job.id, verdict=admin.Review.RELEASE))
        == "not_admin"
    )
    admin.review(core, ADMIN, job_ref=job.id, verdict=admin.Review.RELEASE)
    advance(core, job.id)

    assert core.jobs.get(job.id).final_outcome is Outcome.OK
    assert (
        refusal_of(lambda: admin.review(core, ADMIN, job_ref=job.id, verdict=admin.Review.REFUSE))
        == "not_held"
    )


def test_a_refused_picture_is_never_shown():
    core = build(moderation=HoldingModeration([]))
    job = draw(core, ask(core).job)
    admin.review(core, ADMIN, job_ref=job.id, verdict=admin.Review.REFUSE)
    advance(core, job.id)

    job = core.jobs.get(job.id)
    assert (job.final_outcome, job.delivery_refs) == (Outcome.BLOCKED, ())


def test_a_review_that_never_comes_ends_by_itself():
    core = build(moderation=HoldingModeration([]))
    job = draw(core, ask(core).job)
    core.clock.advance(core.times.hold_for + 1)
    sweep(core)

    assert core.jobs.get(job.id).final_outcome is Outcome.NOT_REVIEWED


def test_a_waiting_job_can_be_cancelled_by_its_owner_and_by_admins(core):
    job = ask(core).job

    assert refusal_of(lambda: control.cancel(core, OTHER, job_ref=job.id)) == "not_yours"
    assert refusal_of(lambda: control.cancel(core, STRANGER, job_ref=job.id)) == "no_such_job"
    control.cancel(core, ADMIN, job_ref=job.id)
    advance(core, job.id)

    assert core.jobs.get(job.id).final_outcome is Outcome.CANCELLED
    assert core.jobs.person("T1", "U1").held == 0, "given back"
    assert refusal_of(lambda: control.cancel(core, ME, job_ref=job.id)) == "too_late_to_cancel"


def test_cancelling_a_drawing_stops_it(core):
    job = ask(core).job
    advance(core, job.id)

    control.cancel(core, ME, job_ref=None)

    assert core.endpoint.cancelled == [core.endpoint.submitted[0].inference_id]
    assert refusal_of(lambda: control.cancel(core, ME, job_ref="all")) == "nothing_to_cancel"


def test_cancel_takes_the_latest_job_and_all_takes_every_one(core):
    jobs = []
    for number in range(3):
        core.clock.advance(1)
        jobs.append(ask(core, f"fox {number}", key=f"k{number}").job)

    (latest,) = control.cancel(core, ME, job_ref=None)
    rest = control.cancel(core, ME, job_ref="all")

    assert latest.id == jobs[2].id
    assert {job.id for job in rest} == {jobs[0].id, jobs[1].id}


def test_a_deleted_job_is_not_drawn_again(core):
    job = draw(core, ask(core).job)
    control.delete(core, ME, job_ref=job.id)

    assert (
        refusal_of(lambda: intake.reroll(core, ME, job_ref=job.id, source_key="k2", sink=POLL)) == "deleted"
    )
    assert (
        refusal_of(lambda: intake.vary(core, ME, job_ref=job.id, index=0, source_key="k3", sink=POLL))
        == "deleted"
    )


def test_a_result_after_the_cancel_changes_nothing(core):
    job = ask(core).job
    advance(core, job.id)
    control.cancel(core, ME, job_ref=job.id)
    core.objects.put(core.endpoint.submitted[0].output_key, OUTPUT)

    take_result(core, job.id)

    assert core.jobs.get(job.id).final_outcome is Outcome.CANCELLED


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


def test_a_quota_that_was_settled_elsewhere_is_not_held_against_anybody():
    room_for_one = ask(build()).job.cost
    core = build(policy=Policy(daily_limit=room_for_one))
    job = ask(core, key="1").job
    elsewhere = dataclasses.replace(core, people=People())
    control.cancel(elsewhere, ME, job_ref=job.id)
    advance(elsewhere, job.id)

    assert ask(core, "another", key="2").fresh
    assert refusal_of(lambda: ask(core, "a third", key="3")) == "quota_spent"


def test_somebody_accepted_from_before_is_not_read_again(core):
    ask(core, "a fox", key="1")
    asked = []
    core = dataclasses.replace(core, jobs=WatchedJobs(core.jobs, asked))

    ask(core, "a hare", key="2")

    assert "person" not in asked


class WatchedJobs:
    def __init__(self, jobs, asked):
        self._jobs = jobs
        self._asked = asked

    def __getattr__(self, name):
        self._asked.append(name)
        return getattr(self._jobs, name)


def test_a_reroll_has_other_seeds_and_remembers_its_parent(core):
    job = draw(core, ask(core, "a fox --seed 7").job)

    again = intake.reroll(core, OTHER, job_ref=job.id, source_key="k2", sink=POLL).job

    assert again.request.prompt == job.request.prompt
    assert again.request.seed != 7
    assert (again.parent, again.person) == (job.id, "U2"), "on the clicker's own quota"


def test_a_variation_stays_near_the_picture(core):
    job = draw(core, ask(core, "a fox --seed 7").job)

    near = intake.vary(core, ME, job_ref=job.id, index=0, source_key="k2", sink=POLL).job

    assert near.request.seed == 7
    assert near.request.subseed is not None
    assert 0 < near.request.subseed_strength < 1


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"Lora/ink.safetensors": {"disabled": True}}, "it is switched off"),
        ({"Lora/inks.safetensors": {}}, "it is not offered any more. There are: inks"),
    ],
)
def test_what_was_switched_off_or_removed_since_is_not_drawn_with_again(core, files, why):
    job = draw(core, ask(core, "a fox --lora ink").job)
    change(core.cells, CATALOGUE, lambda _: {"files": files})
    core.bulletin.forget()

    for again in (
        lambda: intake.reroll(core, ME, job_ref=job.id, source_key="k2", sink=POLL),
        lambda: intake.vary(core, ME, job_ref=job.id, index=0, source_key="k3", sink=POLL),
    ):
        with pytest.raises(Refused) as refused:
            again()
        assert why in messages.refusal(refused.value.code, refused.value.facts)


def test_a_control_pressed_twice_makes_one_job(core):
    job = draw(core, ask(core).job)
    first = intake.reroll(core, ME, job_ref=job.id, source_key="press 1", sink=POLL)
    second = intake.reroll(core, ME, job_ref=job.id, source_key="press 2", sink=POLL)

    assert (first.job.id, second.fresh) == (second.job.id, False)


def test_pictures_can_be_looked_at_by_everybody_of_the_workspace(core):
    job = draw(core, ask(core).job)

    assert gallery.picture(core, OTHER, job_ref=job.id, index=0).startswith(b"\x89PNG")
    assert refusal_of(lambda: gallery.picture(core, OTHER, job_ref=job.id, index=5)) == "no_such_picture"
    assert refusal_of(lambda: gallery.show(core, STRANGER, job_ref=job.id)) == "no_such_job"


def test_a_short_id_finds_only_the_callers_own_jobs(core):
    job = ask(core).job

    assert gallery.show(core, ME, job_ref=job.id[:6]).id == job.id
    assert refusal_of(lambda: gallery.show(core, OTHER, job_ref=job.id[:6])) == "no_such_job"
    assert refusal_of(lambda: gallery.show(core, ME, job_ref=job.id[:3])) == "no_such_job"


def test_deleting_takes_the_pictures_out_of_the_store_and_keeps_the_row(core):
    job = draw(core, ask(core).job)

    assert refusal_of(lambda: control.delete(core, OTHER, job_ref=job.id)) == "not_yours"
    control.delete(core, ME, job_ref=job.id)
    control.delete(core, ME, job_ref=job.id)
    advance(core, job.id)

    assert core.objects.list("") == (), "the engine's own answer goes too"
    assert core.jobs.get(job.id).deleted_at is not None
    assert refusal_of(lambda: gallery.picture(core, ME, job_ref=job.id, index=0)) == "deleted"


def test_an_open_job_cannot_be_deleted(core):
    job = ask(core).job

    assert refusal_of(lambda: control.delete(core, ME, job_ref=job.id)) == "still_drawing"


def test_a_delete_goes_on_until_everything_is_gone(core):
    class Stubborn(PollSink):
        calls = 0

        def remove(self, job):
            self.calls += 1
            if self.calls == 1:
                raise Unavailable("down")

    core = dataclasses.replace(core, sinks={SinkKind.POLL: Stubborn()})
    job = draw(core, ask(core).job)
    control.delete(core, ME, job_ref=job.id)
    advance(core, job.id)
    assert core.objects.list("") != ()

    core.clock.advance(60)
    sweep(core)

    assert core.objects.list("") == ()
    assert core.jobs.get(job.id).removed_at is not None


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


class ShowingSink(PollSink):
    def __init__(self, *failures):
        self.failures = list(failures)
        self.shown = []

    def show_original(self, job, index, picture):
        if self.failures:
            raise self.failures.pop(0)
        self.shown.append((index, picture[:4]))


def test_an_original_is_shown_once_whoever_asks():
    sink = ShowingSink()
    core = build(sinks={SinkKind.POLL: sink})
    job = draw(core, ask(core).job)

    control.want_original(core, OTHER, job_ref=job.id, index=0)
    again = refusal_of(lambda: control.want_original(core, ME, job_ref=job.id, index=0))
    advance(core, job.id)

    assert again == "full_size_underway"
    assert sink.shown == [(0, b"\x89PNG")]
    assert refusal_of(lambda: control.want_original(core, ME, job_ref=job.id, index=0)) == "full_size_there"


def test_an_original_is_shown_late_rather_than_never():
    sink = ShowingSink(Unavailable("down"), Ambiguous("timeout"))
    core = build(sinks={SinkKind.POLL: sink})
    job = draw(core, ask(core).job)
    core.clock.advance(400)
    sweep(core)
    assert state_of(core.jobs.get(job.id)) is State.AUDITED

    control.want_original(core, ME, job_ref=job.id, index=0)
    for _ in range(4):
        sweep(core)
        core.clock.advance(60)

    assert sink.shown == [(0, b"\x89PNG")]
    assert core.jobs.get(job.id).next_check_at is None, "no timer is left behind"


def test_an_original_that_is_refused_can_be_asked_for_again():
    sink = ShowingSink(Rejected("is_archived"))
    core = build(sinks={SinkKind.POLL: sink})
    job = draw(core, ask(core).job)
    control.want_original(core, ME, job_ref=job.id, index=0)
    advance(core, job.id)

    control.want_original(core, ME, job_ref=job.id, index=0)
    advance(core, job.id)

    assert len(sink.shown) == 1


def test_the_overview_counts_today_only(core):
    job = draw(core, ask(core).job)
    open_job = ask(core, "another", key="k2").job
    seen = gallery.overview(core, ME)
    assert (seen.used, [held.id for held in seen.open_jobs]) == (job.cost + open_job.cost, [open_job.id])

    core.clock.advance(24 * 3600)
    assert gallery.overview(core, ME).used == 0


@pytest.mark.parametrize(
    "command",
    [admin.status, admin.queue, admin.resume, lambda core, caller: admin.pause(core, caller, reason="x")],
)
def test_admin_commands_are_for_admins(core, command):
    assert refusal_of(lambda: command(core, ME)) == "not_admin"


def test_no_event_tells_a_prompt():
    core = build(moderation=HoldingModeration([]))
    job = draw(core, ask(core, "a very private zeppelin").job)
    control.cancel(core, ME, job_ref=job.id)

    assert "zeppelin" not in repr(core.journal.events)
