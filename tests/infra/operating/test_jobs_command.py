"""`imagine jobs`: facts and timers without the prompt, and two ways on that leave one visible outcome."""

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot import bootstrap
from bot.aws.sqs_queue import body_of
from bot.config import load
from bot.domain.errors import BotError
from bot.domain.job import Address, Job, Outcome, SinkKind, State, state_of
from bot.domain.transitions import apply
from bot.functions.jobs import Worker
from bot.services import intake
from bot.services.core import Core
from bot.services.rows import fail, tokened
from infra import cli
from infra.operating import job_rows
from infra.operating.errors import WrongMoment
from tests.aws.functions import OURS, build, records, sqs_record, with_time
from tests.infra.operating.places import ME, PROMPT, Place
from tests.infra.plain_account import PlainAccount

NOBODYS = "z" * 26


@pytest.fixture
def machine(tmp_path: Path) -> Any:
    home = tmp_path / "home"
    built = bootstrap.build_machine(load({"IMAGINE_HOME": str(home)}), log=io.StringIO())
    yield Place(core=built.core, words=("--home", str(home)))
    built.close()


@pytest.fixture(params=["machine", "stage_with_jobs"])
def place(request: pytest.FixtureRequest) -> Place:
    found: Place = request.getfixturevalue(request.param)
    return found


def move(place: Place, job: Job, name: str, **facts: object) -> Job:
    after = tokened(place.core, apply(job, name, **facts))
    place.core.jobs.transition(after)
    return after


def test_the_list_has_what_is_under_way_and_marks_what_is_late(
    place: Place, capsys: pytest.CaptureFixture[str]
):
    now = place.core.clock.now()
    late = move(place, place.accept("k1"), "wait", next_check_at=now - 600, attempts=3)
    fresh = place.accept("k2")

    assert place.imagine("list") == 0
    first, second, total = capsys.readouterr().out.splitlines()
    assert first.startswith(late.id)
    assert first.endswith("due 10 min ago  3 failed tries  LATE")
    assert second.startswith(fresh.id)
    assert total == "2 jobs, 1 of them late"

    place.imagine("list", "--late", "--json")
    assert [row["id"] for row in json.loads(capsys.readouterr().out)] == [late.id]
    place.imagine("list", "--state", "held")
    assert capsys.readouterr().out == "no jobs\n"


def test_a_person_s_jobs_are_listed_also_when_they_are_over(place: Place, capsys: pytest.CaptureFixture[str]):
    job = fail(place.core, place.accept(), Outcome.CANCELLED)

    assert place.imagine("list", "--person", "T1/U1", "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["id"], row["outcome"]) == (job.id, "cancelled")


def test_a_job_is_shown_without_its_prompt(place: Place, capsys: pytest.CaptureFixture[str]):
    job = place.accept()
    place.core.objects.put(f"images/T1/{job.id}/1.png", b"x")

    assert place.imagine("show", job.id) == 0
    for_people = capsys.readouterr().out
    assert place.imagine("show", job.id, "--json") == 0
    told = json.loads(capsys.readouterr().out)

    assert "canary" not in for_people + json.dumps(told)
    assert told["state"] == "accepted"
    assert told["next_step"] == "announce"
    assert told["output_key"] == f"out/T1/{job.id}.out"
    assert "accepted_at         20" in for_people, "times are dates for people"


def test_every_fact_of_a_row_is_shown_or_named_as_left_out():
    """A new field of the row is either told or one of those that nobody here should see."""
    job = build_job()
    shown = set(job_rows.facts_of(job, now=0.0, times=build().times)) | set(job_rows.TIMES)
    elsewhere = {
        "request": "the prompt; its sizes are shown",
        "sink": "its kind is shown; an address may answer by itself",
        "notes": "what the person was told",
        "announced_ref": "shown as announced",
        "result": "its outcome is shown",
        "held": "the state says it",
        "delivery_refs": "ids of files",
        "undelivered": "it is the outcome then",
        "cost": "shown as cost_gpu_ms",
        "tag": "its place in the queue",
        "quota_day": "of accepted_at",
        "told": "what the card says",
        "originals_wanted": "numbers of pictures",
        "originals_shown": "numbers of pictures",
        "write_token": "names a write",
    }
    fields = set(Job.__dataclass_fields__)

    assert fields - shown - set(elsewhere) == set()


def build_job() -> Job:
    core = build()
    return intake.imagine(core, ME, text=PROMPT, source_key="k", sink=Address(kind=SinkKind.POLL)).job


def test_retry_has_the_row_looked_at_now(place: Place, capsys: pytest.CaptureFixture[str]):
    now = place.core.clock.now()
    job = move(place, place.accept(), "wait", next_check_at=now + 300, attempts=8)

    assert place.imagine("retry", job.id, "--yes") == 0

    after = place.row(job)
    assert (after.attempts, state_of(after)) == (0, State.ACCEPTED)
    assert after.next_check_at is not None
    assert after.next_check_at < now + 60
    assert "looks at it now" in capsys.readouterr().out


def test_retry_nudges_the_worker_of_the_stage(stage_with_jobs: Place, account: PlainAccount):
    job = stage_with_jobs.accept()
    url = environment_of(account)["IMAGINE_QUEUE_URL"]
    account["sqs"].purge_queue(QueueUrl=url)

    assert stage_with_jobs.imagine("retry", job.id, "--yes") == 0

    (message,) = account["sqs"].receive_message(QueueUrl=url)["Messages"]
    assert message["Body"] == body_of(job.id)


def environment_of(account: PlainAccount) -> dict[str, str]:
    told = account["lambda"].get_function_configuration(FunctionName="imagine-dev-worker")
    variables: dict[str, str] = told["Environment"]["Variables"]
    return variables


def test_fail_ends_an_undecided_job_once(place: Place, capsys: pytest.CaptureFixture[str]):
    job = place.accept()

    assert place.imagine("fail", job.id, "--outcome", "timed_out", "--yes", "--json") == 0
    assert json.loads(capsys.readouterr().out)["state"] == "resolved"
    assert place.row(job).final_outcome is Outcome.TIMED_OUT

    assert place.imagine("fail", job.id, "--yes") == 1
    assert "decided already (timed_out)" in capsys.readouterr().err
    assert place.row(job).final_outcome is Outcome.TIMED_OUT


@pytest.mark.parametrize("verb", ["retry", "fail"])
def test_nobody_is_asked_nothing_is_done(place: Place, verb: str, capsys: pytest.CaptureFixture[str]):
    job = place.row(place.accept())

    assert place.imagine(verb, job.id) == 1
    assert "say --yes" in capsys.readouterr().err
    assert place.row(job) == job


@pytest.mark.parametrize("words", [("show",), ("retry", "--yes"), ("fail", "--yes")])
def test_a_job_that_is_not_there(place: Place, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]):
    assert place.imagine(words[0], NOBODYS, *words[1:]) == 1
    assert "imagine jobs list" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["", "../jobs", "x" * 3000])
def test_what_is_no_job_s_id_is_not_looked_up(place: Place, name: str, capsys: pytest.CaptureFixture[str]):
    assert place.imagine("show", name) == 1
    assert len(capsys.readouterr().err) < 150


@pytest.mark.parametrize("person", ["you", "/you", "T1/"])
def test_half_a_person_is_told_how_one_is_written(
    place: Place, person: str, capsys: pytest.CaptureFixture[str]
):
    assert place.imagine("list", "--person", person) == 1
    assert "write TENANT/USER" in capsys.readouterr().err


@pytest.mark.parametrize("limit", ["0", "-1", "many"])
def test_a_limit_is_a_number_from_one_on(limit: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        cli.main(["jobs", "list", f"--limit={limit}"])
    assert "is no number from 1 on" in capsys.readouterr().err


def test_a_job_in_a_worker_s_hand_is_left_alone(place: Place, capsys: pytest.CaptureFixture[str]):
    until = place.core.clock.now() + 90
    job = move(place, place.accept(), "wait", lease_owner="b:1", lease_until=until)

    assert place.imagine("retry", job.id, "--yes") == 1
    assert "a worker holds" in capsys.readouterr().err


def test_a_stage_that_is_not_deployed(account: PlainAccount, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["jobs", "list", "--stage", "prod"]) == 1
    assert "run imagine deploy --stage prod first" in capsys.readouterr().err


def test_a_folder_without_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["jobs", "list", "--home", str(tmp_path)]) == 1
    assert "no bot has worked" in capsys.readouterr().err


class TestOneOutcome:
    """Whatever an operator does at whatever moment, a person sees one outcome."""

    def worked(self, core: Core, job: Job) -> None:
        Worker(core, ours=OURS)(records(sqs_record(body_of(job.id))), with_time())

    def accepted(self) -> tuple[Core, Job]:
        core = build()
        job = intake.imagine(core, ME, text=PROMPT, source_key="k", sink=Address(kind=SinkKind.POLL)).job
        return core, job

    @pytest.mark.parametrize("outcome", job_rows.ENDINGS)
    def test_a_failed_job_is_shown_as_that_and_only_as_that(self, outcome: Outcome):
        core, job = self.accepted()
        self.worked(core, job)
        job_rows.fail(core, job.id, outcome)
        self.worked(core, job)
        core.objects.put(f"out/T1/{job.id}.out", b"{}")
        self.worked(core, job)

        ended = core.jobs.get(job.id)
        assert ended is not None
        assert (state_of(ended), ended.final_outcome) == (State.DONE, outcome)
        with pytest.raises(WrongMoment, match="is over"):
            job_rows.retry(core, job.id)
        with pytest.raises(WrongMoment, match="decided already"):
            job_rows.fail(core, job.id, Outcome.CANCELLED)

    def test_retries_at_every_step_submit_no_second_drawing(self):
        core, job = self.accepted()
        for _ in range(6):
            try:
                job_rows.retry(core, job.id)
            except BotError:
                break
            self.worked(core, job)

        assert len(core.endpoint.submitted) == 1

    def test_a_decision_that_came_first_stands(self):
        core, job = self.accepted()
        other = replace(core, jobs=Overtaking(core, job))

        with pytest.raises(WrongMoment, match="decided already"):
            job_rows.fail(other, job.id, Outcome.TIMED_OUT)
        ended = core.jobs.get(job.id)
        assert ended is not None
        assert ended.final_outcome is Outcome.CANCELLED


class Overtaking:
    """Jobs of which somebody else decides one just before the first write."""

    def __init__(self, core: Core, job: Job) -> None:
        self._core, self._job, self._is_done = core, job, False

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name == "transition" and not self._is_done:
            self._is_done = True
            fail(self._core, self._job, Outcome.CANCELLED)
        call: Callable[..., Any] = getattr(self._core.jobs, name)
        return call
