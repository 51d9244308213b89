"""What wakes a function moves the job it is about, and whatever else arrives is counted and has no effect."""

import json

import pytest

from bot.aws.sqs_queue import body_of
from bot.domain.errors import Ambiguous, Busy, Unavailable
from bot.domain.job import Outcome, State, state_of
from bot.functions.attempts import HandlerFailed
from bot.functions.jobs import MARGIN, Failures, Results, Worker
from bot.functions.upkeep import Sweeper
from bot.services.rows import IN_FLIGHT
from tests.aws.functions import (
    NOBODYS,
    OURS,
    QUEUE_ARN,
    TENANT,
    TOPIC,
    Refusing,
    accepted,
    build,
    records,
    s3_record,
    schedule,
    sns_record,
    sqs_record,
    with_time,
)
from tests.simulation.world import OUTPUT

FOR_EVER = [Busy("ThrottlingException"), Unavailable("ExpiredTokenException"), Ambiguous("ReadTimeoutError")]
A_FAILURE = json.dumps({"error": {"code": "out_of_memory"}}).encode()


@pytest.fixture
def core():
    return build()


def submitted(core, text="a red fox", *, key="k1"):
    """A job that the endpoint has."""
    job = accepted(core, text, key=key)
    Worker(core, ours=OURS)(records(sqs_record(body_of(job.id))), with_time())
    assert state_of(core.jobs.get(job.id)) is State.SUBMITTED
    return core.jobs.get(job.id)


def nudges(*job_ids):
    return records(*(sqs_record(body_of(job_id), message_id=job_id) for job_id in job_ids))


def work(core, event, *, seconds=60.0):
    """The ids of the messages that come again."""
    answer = Worker(core, ours=OURS)(event, with_time(seconds))
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def outcome(core, job):
    result = core.jobs.get(job.id).result
    return None if result is None else result.outcome


def news_of(job, kind="out"):
    name = {"out": f"out/{job.tenant}/{job.id}.out", "failed": f"failed/x-{job.tenant}.{job.id}.1-error.out"}
    return records(s3_record(name[kind]))


def notice(job, *, submission=1, topic=TOPIC, status="Failed"):
    told = {
        "invocationStatus": status,
        "inferenceId": f"{job.tenant}.{job.id}.{submission}",
        "failureReason": "Model invocation timed out",
    }
    return records(sns_record(json.dumps(told), topic=topic))


# the worker


def test_a_nudge_takes_its_job_to_the_endpoint(core):
    job = accepted(core)

    assert work(core, nudges(job.id)) == []
    assert [submission.job_id for submission in core.endpoint.submitted] == [job.id]


def test_a_nudge_that_comes_twice_submits_once(core):
    job = accepted(core)

    assert work(core, nudges(job.id, job.id)) == work(core, nudges(job.id)) == []
    assert len(core.endpoint.submitted) == 1


def test_a_poison_message_comes_again_until_it_is_a_dead_letter_and_the_others_are_done(core):
    job = accepted(core)
    poison = sqs_record("DROP TABLE", message_id="poison")

    assert work(core, records(poison, *nudges(job.id)["Records"])) == ["poison"]
    assert len(core.endpoint.submitted) == 1
    assert core.journal.named("poison_message") == [{}]


def test_a_nudge_for_a_job_that_nobody_knows_is_counted_and_dropped(core):
    assert work(core, nudges(NOBODYS)) == []
    assert core.journal.named("unknown_job") == [{"job": NOBODYS}]


@pytest.mark.parametrize("error", FOR_EVER, ids=lambda error: error.code)
def test_a_row_that_cannot_be_read_fails_its_own_message_alone(core, error):
    broken, fine = accepted(core), accepted(core, "a blue fox", key="k2")
    unlucky = build(
        jobs=Refusing(core.jobs, "get", error=error, keys={broken.id}), cells=core.cells, clock=core.clock
    )

    assert work(unlucky, nudges(broken.id, fine.id)) == [broken.id]
    assert [submission.job_id for submission in unlucky.endpoint.submitted] == [fine.id]
    assert [failed["code"] for failed in unlucky.journal.named("handler_failed")] == [error.code]


def test_near_its_deadline_the_worker_leaves_the_rest_untouched(core):
    first, second = accepted(core), accepted(core, "a blue fox", key="k2")

    assert work(core, nudges(first.id, second.id), seconds=MARGIN) == [first.id, second.id]
    assert core.endpoint.submitted == []
    assert len(core.journal.named("left_for_later")) == 2


@pytest.mark.parametrize("event", [None, {}, records({}), records(sqs_record("x", arn=f"{QUEUE_ARN}-other"))])
def test_a_batch_that_is_not_ours_is_counted_and_dropped(core, event):
    assert work(core, event) == []
    assert len(core.journal.named("foreign_event")) == 1


def test_a_defect_fails_the_message_and_says_no_more_than_its_kind(core):
    job = accepted(core)
    defect = build(jobs=Refusing(core.jobs, "get", error=KeyError("a red fox")))

    assert work(defect, nudges(job.id)) == [job.id]
    assert "red fox" not in repr(defect.journal.events)


# results


def test_an_object_that_arrives_decides_its_job(core):
    job = submitted(core)
    core.objects.put(f"out/{TENANT}/{job.id}.out", OUTPUT)

    Results(core, ours=OURS)(news_of(job), with_time())

    assert outcome(core, job) is Outcome.OK
    assert state_of(core.jobs.get(job.id)) is State.DONE


def test_news_of_an_object_that_come_twice_change_nothing_more(core):
    job = submitted(core)
    core.objects.put(f"out/{TENANT}/{job.id}.out", OUTPUT)
    Results(core, ours=OURS)(news_of(job), with_time())
    before = core.jobs.get(job.id)

    Results(core, ours=OURS)(news_of(job), with_time())

    assert core.jobs.get(job.id) == before
    assert core.jobs.counter(IN_FLIGHT) == 0


@pytest.mark.parametrize(
    "event", [None, {"Records": [None]}, records(s3_record(f"out/{TENANT}/{NOBODYS}.out", bucket="others"))]
)
def test_a_foreign_object_is_counted_and_dropped(core, event):
    Results(core, ours=OURS)(event, with_time())

    assert len(core.journal.named("foreign_event")) == 1


def test_an_object_of_a_job_that_nobody_knows_is_counted_and_dropped(core):
    Results(core, ours=OURS)(records(s3_record(f"out/{TENANT}/{NOBODYS}.out")), with_time())

    assert core.journal.named("unknown_job") == [{"job": NOBODYS}]


def test_news_of_an_object_that_is_not_there_leave_the_job_waiting(core):
    job = submitted(core)

    Results(core, ours=OURS)(news_of(job), with_time())

    assert state_of(core.jobs.get(job.id)) is State.SUBMITTED
    assert core.journal.named("result_without_object") == [{"job": job.id}]


@pytest.mark.parametrize("body", [b"", OUTPUT[:100], b"\x00" * 100, b'{"images": ["bm8gcGljdHVyZQ=="]}'])
def test_a_truncated_or_corrupt_object_ends_the_job_with_a_reason(core, body):
    job = submitted(core)
    core.objects.put(f"out/{TENANT}/{job.id}.out", body)

    Results(core, ours=OURS)(news_of(job), with_time())

    assert outcome(core, job) is Outcome.BAD_PICTURE
    assert len(core.journal.named("bad_output")) == 1


@pytest.mark.parametrize("error", FOR_EVER, ids=lambda error: error.code)
def test_a_store_that_refuses_for_ever_makes_lambda_come_again(core, error):
    job = submitted(core)
    unlucky = build(jobs=core.jobs, objects=Refusing(core.objects, "get", error=error), clock=core.clock)

    with pytest.raises(HandlerFailed, match=type(error).__name__):
        Results(unlucky, ours=OURS)(news_of(job), with_time())

    assert [failed["code"] for failed in unlucky.journal.named("handler_failed")] == [error.code]
    assert outcome(core, job) is None


def test_an_object_behind_one_that_failed_is_taken_all_the_same(core):
    broken, fine = submitted(core), submitted(core, "a blue fox", key="k2")
    core.objects.put(f"out/{TENANT}/{fine.id}.out", OUTPUT)
    down = Refusing(core.jobs, "get", error=Unavailable("down"), keys={broken.id})
    unlucky = build(jobs=down, objects=core.objects, clock=core.clock)

    with pytest.raises(HandlerFailed):
        Results(unlucky, ours=OURS)(
            records(*news_of(broken)["Records"], *news_of(fine)["Records"]), with_time()
        )

    assert outcome(core, fine) is Outcome.OK


def test_without_time_an_object_is_left_to_lambda_to_tell_again(core):
    job = submitted(core)

    with pytest.raises(HandlerFailed, match="left_for_later"):
        Results(core, ours=OURS)(news_of(job), with_time(MARGIN))

    assert core.journal.named("left_for_later") == [{"handler": "result", "job": job.id}]


# failures


def test_a_failure_object_ends_its_job_with_what_it_says(core):
    job = submitted(core)
    core.objects.put(f"failed/x-{TENANT}.{job.id}.1-error.out", A_FAILURE)

    Failures(core, ours=OURS)(news_of(job, "failed"), with_time())

    assert outcome(core, job) is Outcome.OUT_OF_MEMORY


def test_a_failure_object_that_is_gone_by_now_still_is_a_failure(core):
    job = submitted(core)

    Failures(core, ours=OURS)(news_of(job, "failed"), with_time())

    assert outcome(core, job) is Outcome.ENGINE_FAILED
    assert core.journal.named("failure_without_object") == [{"job": job.id}]


def test_an_error_notice_ends_its_job(core):
    job = submitted(core)

    Failures(core, ours=OURS)(notice(job), with_time())

    assert outcome(core, job) is Outcome.TIMED_OUT


def test_a_forged_notice_is_counted_and_has_no_effect(core):
    job = submitted(core)

    Failures(core, ours=OURS)(notice(job, topic=f"{TOPIC}-forged"), with_time())

    assert outcome(core, job) is None
    assert core.journal.named("foreign_event") == [{"reason": "topic"}]


def test_a_notice_of_success_has_no_effect(core):
    job = submitted(core)

    Failures(core, ours=OURS)(notice(job, status="Completed"), with_time())

    assert outcome(core, job) is None


def test_a_picture_that_is_there_wins_over_the_notice(core):
    job = submitted(core)
    core.objects.put(f"out/{TENANT}/{job.id}.out", OUTPUT)

    Failures(core, ours=OURS)(notice(job), with_time())

    assert outcome(core, job) is Outcome.OK


def test_late_news_of_a_row_that_expired_are_counted_and_have_no_effect(core):
    job = submitted(core)
    forgotten = build(clock=core.clock)

    Failures(forgotten, ours=OURS)(notice(job), with_time())
    Failures(forgotten, ours=OURS)(news_of(job, "failed"), with_time())

    assert [event["job"] for event in forgotten.journal.named("unknown_job")] == [job.id, job.id]
    assert forgotten.endpoint.submitted == []


@pytest.mark.parametrize("error", FOR_EVER, ids=lambda error: error.code)
def test_a_failure_that_cannot_be_taken_makes_lambda_come_again(core, error):
    job = submitted(core)
    unlucky = build(jobs=Refusing(core.jobs, "get", error=error), clock=core.clock)

    with pytest.raises(HandlerFailed, match=type(error).__name__):
        Failures(unlucky, ours=OURS)(notice(job), with_time())

    assert len(unlucky.journal.named("handler_failed")) == 1


@pytest.mark.parametrize(("function", "folder"), [(Results, "out"), (Failures, "failed")])
def test_the_answer_to_the_sweeps_own_question_is_no_unknown_job(core, function, folder):
    function(core, ours=OURS)(records(s3_record(f"{folder}/catalogue/{NOBODYS}.out")), with_time())

    assert core.journal.named("unknown_job") == []


# the sweep


def sweep(core, event=None, *, look=lambda: None, seconds=60.0):
    return Sweeper(core, look=look, ours=OURS)(event or schedule(), with_time(seconds))


def down(*_):
    raise Unavailable("down")


def test_the_sweep_takes_up_what_every_message_missed(core):
    job = accepted(core)
    core.clock.advance(core.times.nudge_after)

    sweep(core)

    assert [submission.job_id for submission in core.endpoint.submitted] == [job.id]
    assert core.journal.named("swept") == [{"taken": 1}]


def test_a_job_that_stays_open_for_too_long_is_told_of(core):
    job = accepted(core)
    core.clock.advance(core.times.overdue_after)
    sweep(core)
    assert core.journal.named("overdue") == []

    core.clock.advance(core.times.look_every)
    sweep(core)
    assert [told["job"] for told in core.journal.named("overdue")] == [job.id]


def test_a_job_that_ended_is_never_overdue_however_long_it_took(core):
    job = accepted(core)
    core.clock.advance(core.times.overdue_after)
    sweep(core)
    core.objects.put(f"out/{TENANT}/{job.id}.out", OUTPUT)
    Results(core, ours=OURS)(news_of(job), with_time())
    core.clock.advance(core.times.audit_after)
    sweep(core)

    assert state_of(core.jobs.get(job.id)) in {State.DONE, State.AUDITED}
    assert core.journal.named("overdue") == []


def test_an_endpoint_that_cannot_be_looked_at_does_not_stop_the_sweep(core):
    accepted(core)
    core.clock.advance(core.times.nudge_after)

    sweep(core, look=down)

    assert len(core.endpoint.submitted) == 1
    assert core.journal.named("snapshot_failed") == [{}]


def test_the_endpoint_is_looked_at_before_jobs_are_taken_on(core):
    seen = []
    accepted(core)
    core.clock.advance(core.times.nudge_after)

    sweep(core, look=lambda: seen.append(len(core.endpoint.submitted)))

    assert seen == [0]


def test_a_sweep_without_time_takes_nothing(core):
    accepted(core)
    core.clock.advance(core.times.nudge_after)

    sweep(core, seconds=MARGIN)

    assert core.endpoint.submitted == []
    assert core.journal.named("sweep_cut_short") == [{"taken": 0}]


@pytest.mark.parametrize("error", FOR_EVER, ids=lambda error: error.code)
def test_a_sweep_that_cannot_look_for_jobs_fails_aloud(core, error):
    with pytest.raises(HandlerFailed, match=type(error).__name__):
        sweep(build(jobs=Refusing(core.jobs, "query", error=error)))


@pytest.mark.parametrize("event", [{"detail-type": "x"}, schedule(account="999999999999")])
def test_nobody_elses_schedule_sweeps(core, event):
    looked = []

    assert "refused" in sweep(core, event, look=lambda: looked.append(1))
    assert looked == []
    assert len(core.journal.named("foreign_event")) == 1
