"""Bad days and bad input, from the event to the row: each ends in an outcome, a count or another try.

Beside it: what the readers refuse (test_events.py), what a single function does with it (test_functions.py).
"""

import json

import pytest

from bot.aws.journal import COUNTED
from bot.aws.sqs_queue import body_of
from bot.domain.errors import Rejected
from bot.domain.job import Outcome, State, state_of
from bot.functions.jobs import Failures, Results, Worker
from bot.functions.upkeep import Sweeper
from bot.services.rows import IN_FLIGHT
from tests.aws.functions import (
    OURS,
    TENANT,
    Refusing,
    accepted,
    build,
    records,
    s3_record,
    schedule,
    sqs_record,
    with_time,
)
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


def test_every_count_of_bad_input_is_one_that_an_alarm_can_watch():
    assert {
        "failure_unreadable",
        "output_unreadable",
    } <= COUNTED.keys()
