"""Bad days and bad input, from the event to the row: each ends in an outcome, a count or another try.

Beside it: what the readers refuse (test_events.py), what a single function does with it (test_functions.py).
"""

import json
from dataclasses import replace

import pytest

from bot.aws.journal import COUNTED
from bot.aws.sqs_queue import body_of
from bot.domain import messages
from bot.domain.errors import Ambiguous, Busy, JobMoved, Rejected, Unavailable
from bot.domain.job import Outcome, SinkKind, State, state_of
from bot.domain.transitions import is_open
from bot.functions.jobs import Failures, Results, Worker
from bot.functions.upkeep import Sweeper
from bot.http_api.poll_sink import PollSink
from bot.ports import CounterRaise, Index
from bot.services.rows import IN_FLIGHT
from bot.services.sweep import BATCH
from tests.aws.functions import (
    OURS,
    TENANT,
    Refusing,
    RememberingEndpoint,
    accepted,
    build,
    records,
    s3_record,
    schedule,
    sqs_record,
    with_time,
)
from tests.aws.test_front import command, event, front
from tests.simulation.world import OUTPUT


@pytest.fixture
def core():
    return build()


def submitted(core, text="a red fox", *, key="k1"):
    """A job that the endpoint has."""
    job = accepted(core, text, key=key)
    Worker(core, ours=OURS)(records(sqs_record(body_of(job.id))), with_time())
    assert state_of(core.jobs.get(job.id)) is State.SUBMITTED
    return core.jobs.get(job.id)


def beside(core, **unlucky):
    """Another function over the same rows, with bad luck."""
    return build(
        **{"jobs": core.jobs, "cells": core.cells, "objects": core.objects, "clock": core.clock, **unlucky}
    )


def arrived(key):
    return records(s3_record(key))


def sweep(core):
    return Sweeper(core, look=lambda: None, ours=OURS)(schedule(), with_time())


def outcome(core, job):
    result = core.jobs.get(job.id).result
    return None if result is None else result.outcome


class TestObjects:
    @pytest.mark.parametrize(
        ("call", "code"), [("get", "too_large"), ("put", "already_exists"), ("put", "AccessDenied")]
    )
    def test_a_lasting_no_on_the_way_to_the_picture_ends_the_job_with_a_reason(self, core, call, code):
        job = submitted(core)
        core.objects.put(f"out/{TENANT}/{job.id}.out", OUTPUT)
        unlucky = beside(core, objects=Refusing(core.objects, call, error=Rejected(code)))

        Results(unlucky, ours=OURS)(arrived(f"out/{TENANT}/{job.id}.out"), with_time())

        assert outcome(core, job) is Outcome.BAD_PICTURE
        assert core.jobs.counter(IN_FLIGHT) == 0
        assert unlucky.journal.named("output_unreadable") == [{"job": job.id, "code": code}]

    def test_a_failure_object_that_cannot_be_read_still_is_a_failure(self, core):
        job = submitted(core)
        key = f"failed/{TENANT}/{job.id}-error.out"
        core.objects.put(key, b"{}")
        unlucky = beside(core, objects=Refusing(core.objects, "get", error=Rejected("too_large"), keys={key}))

        Failures(unlucky, ours=OURS)(arrived(key), with_time())

        assert outcome(core, job) is Outcome.ENGINE_FAILED
        assert unlucky.journal.named("failure_unreadable")

    @pytest.mark.parametrize(
        "info", ['{"gpu_seconds": Infinity}', '{"gpu_seconds": NaN}', '{"all_seeds": [1e999]}']
    )
    def test_odd_numbers_of_the_engine_do_not_cost_the_picture(self, core, info):
        job = submitted(core)
        answer = {**json.loads(OUTPUT), "info": info}
        core.objects.put(f"out/{TENANT}/{job.id}.out", json.dumps(answer).encode())

        Results(core, ours=OURS)(arrived(f"out/{TENANT}/{job.id}.out"), with_time())

        assert outcome(core, job) is Outcome.OK


class TestRows:
    def test_a_card_is_posted_once_though_the_counters_are_busy(self, core):
        """Many enter at once, and all of them write the counter of those in flight."""
        job = accepted(core)
        sink = PollSink()
        busy = beside(core, jobs=BusyCounters(core.jobs), sinks={SinkKind.POLL: sink})

        Worker(busy, ours=OURS)(records(sqs_record(body_of(job.id))), with_time())
        row = core.jobs.get(job.id)
        core.clock.advance(core.times.grace + core.times.lease)
        sweep(core)
        Worker(core, ours=OURS)(records(sqs_record(body_of(job.id))), with_time())

        assert row.announced_ref is not None
        assert (row.announcements, core.jobs.get(job.id).announcements) == (1, 1)
        assert [submission.job_id for submission in core.endpoint.submitted] == [job.id]

    def test_jobs_of_which_nothing_can_be_read_do_not_keep_others_from_the_sweep(self):
        """As many as one sweep takes; they come again with growing distance instead of first every time."""
        core = build(endpoint=Wide())
        stuck = [submitted(core, f"fox {number}", key=f"k{number}") for number in range(BATCH)]
        core.clock.advance(core.times.look_every + 1)
        fine = submitted(core, "a blue fox", key="fine")
        core.objects.put(f"out/{TENANT}/{fine.id}.out", OUTPUT)
        core.clock.advance(core.times.look_every + 1)
        keys = {f"out/{TENANT}/{job.id}.out" for job in stuck}
        unlucky = beside(core, objects=Refusing(core.objects, "get", error=Busy("SlowDown"), keys=keys))

        sweep(unlucky)
        sweep(unlucky)

        assert outcome(core, fine) is Outcome.OK
        assert len(unlucky.journal.named("advance_failed")) == BATCH

    def test_jobs_that_are_due_are_swept_though_nobody_can_be_admitted(self, core):
        job = submitted(core)
        core.objects.put(f"out/{TENANT}/{job.id}.out", OUTPUT)
        waiting = accepted(core, "a blue fox", key="k2")
        core.clock.advance(core.times.look_every + 1)
        busy = beside(core, jobs=BusyCounters(core.jobs, of=waiting.id))

        sweep(busy)
        sweep(busy)

        assert outcome(core, job) is Outcome.OK
        assert busy.journal.named("dispatch_failed")

    def test_a_job_whose_card_slack_never_takes_ends_all_the_same(self, core):
        job = accepted(core)
        closed = beside(
            core, sinks={SinkKind.POLL: Refusing(PollSink(), "announce", error=Busy("ratelimited"))}
        )

        for _ in range(40):
            core.clock.advance(3600)
            sweep(closed)

        assert outcome(core, job) is Outcome.WAITED_TOO_LONG
        assert not is_open(core.jobs.get(job.id))

    def test_a_job_whose_card_can_never_be_looked_for_ends_all_the_same(self, core):
        job = accepted(core)
        lost = Refusing(PollSink(), "announce", error=Ambiguous("reply_lost"))
        closed = beside(
            core, sinks={SinkKind.POLL: Refusing(lost, "find_announcement", error=Busy("ratelimited"))}
        )

        for _ in range(40):
            core.clock.advance(3600)
            sweep(closed)

        assert outcome(core, job) is Outcome.WAITED_TOO_LONG
        assert not is_open(core.jobs.get(job.id))

    def test_a_job_whose_share_can_never_be_looked_for_ends_all_the_same(self, core):
        job = submitted(core)
        core.objects.put(f"out/{TENANT}/{job.id}.out", OUTPUT)
        blind = Refusing(PollSink(), "delivered", error=Busy("ratelimited"))
        closed = beside(core, sinks={SinkKind.POLL: blind})

        for _ in range(40):
            core.clock.advance(3600)
            sweep(closed)

        assert core.jobs.get(job.id).final_outcome is Outcome.CANNOT_DELIVER
        assert not is_open(core.jobs.get(job.id))

    @pytest.mark.parametrize("error", [Busy("ThrottlingException"), Unavailable("ExpiredTokenException")])
    def test_a_job_that_cannot_be_submitted_again_ends_all_the_same(self, core, error):
        job = submitted(core)
        closed = beside(core, endpoint=Refusing(core.endpoint, "submit", error=error))

        for _ in range(60):
            core.clock.advance(300)
            sweep(closed)

        assert outcome(core, job) is Outcome.TIMED_OUT
        assert not is_open(core.jobs.get(job.id))

    @pytest.mark.parametrize("error", [Busy("ThrottlingException"), Unavailable("ExpiredTokenException")])
    def test_a_job_that_can_never_be_submitted_ends_all_the_same(self, core, error):
        job = accepted(core)
        closed = beside(core, endpoint=Refusing(core.endpoint, "submit", error=error))

        for _ in range(20):
            core.clock.advance(300)
            sweep(closed)

        assert outcome(core, job) is Outcome.ENDPOINT_DOWN
        assert core.jobs.counter(IN_FLIGHT) == 0

    def test_a_row_deleted_under_a_worker_has_no_effect_and_fails_nothing(self, core):
        job = accepted(core)
        vanishing = beside(core, jobs=Vanishing(core.jobs))

        answer = Worker(vanishing, ours=OURS)(records(sqs_record(body_of(job.id))), with_time())

        assert answer == {"batchItemFailures": []}
        assert vanishing.endpoint.submitted == []

    def test_a_row_deleted_under_its_result_is_counted_and_has_no_effect(self, core):
        job = submitted(core)
        core.objects.put(f"out/{TENANT}/{job.id}.out", OUTPUT)
        vanishing = beside(core, jobs=Vanishing(core.jobs))

        Results(vanishing, ours=OURS)(arrived(f"out/{TENANT}/{job.id}.out"), with_time())

        assert vanishing.journal.named("result_overtaken") == [{"job": job.id}]
        assert vanishing.journal.named("resolved") == []


class TestAccepting:
    """Nobody is told that a job runs which does not, and nobody is left without an answer."""

    @pytest.mark.parametrize(
        ("error", "told"),
        [
            (Busy("ThrottlingException"), "busy"),
            (Unavailable("ExpiredTokenException"), "not_confirmed"),
            (Ambiguous("ReadTimeoutError"), "not_confirmed"),
            (Rejected("AccessDeniedException"), "peer_down"),
        ],
        ids=lambda value: getattr(value, "code", value),
    )
    def test_a_table_that_refuses_for_ever_is_told_to_the_person(self, core, error, told):
        unlucky = beside(core, jobs=Refusing(core.jobs, "create", error=error))
        facts = {"wait": 1} if told == "busy" else {}

        assert said(unlucky) == messages.refusal(told, facts)
        assert core.jobs.query(Index.OPEN, partition=TENANT, limit=1).jobs == ()
        assert unlucky.queue.take(0) is None
        assert unlucky.journal.named("slack_door_error") or unlucky.journal.named("create_retried")

    @pytest.mark.parametrize("error", [Busy("ThrottlingException"), Unavailable("ExpiredTokenException")])
    def test_settings_that_cannot_be_read_accept_nothing(self, core, error):
        unlucky = beside(core, cells=Refusing(core.cells, "look", error=error))

        assert said(unlucky)
        assert core.jobs.query(Index.OPEN, partition=TENANT, limit=1).jobs == ()
        assert unlucky.journal.named("slack_door_error")


def said(core):
    """What Slack shows who typed a line."""
    answer = front(core)(event(command()), None)
    assert answer["statusCode"] == 200
    return json.loads(answer["body"])["text"]


class Vanishing:
    """Rows of which each is read once and then gone."""

    def __init__(self, jobs):
        self._jobs, self._seen = jobs, set()

    def __getattr__(self, name):
        return getattr(self._jobs, name)

    def get(self, job_id):
        if job_id in self._seen:
            return None
        self._seen.add(job_id)
        return self._jobs.get(job_id)

    def transition(self, after, **_):
        raise JobMoved(after.id)


class Wide(RememberingEndpoint):
    """Takes as much as one sweep does, and one more."""

    def state(self):
        return replace(super().state(), window=BATCH + 1)


class BusyCounters:
    """Rows of which no write with counters gets through (`of`: of one job), others do."""

    def __init__(self, jobs, *, of=None):
        self._jobs, self._of = jobs, of

    def __getattr__(self, name):
        return getattr(self._jobs, name)

    def transition(self, after, *, counters=(), **more):
        if any(isinstance(change, CounterRaise) for change in counters) and self._of in (None, after.id):
            raise Busy("TransactionConflict")
        self._jobs.transition(after, counters=counters, **more)


def test_every_count_of_bad_input_is_one_that_an_alarm_can_watch():
    assert {
        "advance_failed",
        "advance_rejected",
        "dispatch_failed",
        "enter_failed",
        "failure_unreadable",
        "output_unreadable",
    } <= COUNTED.keys()
