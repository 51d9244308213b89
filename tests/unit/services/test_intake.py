"""What becomes a job: lines accepted once, refused with a reason, and paid from a budget."""

import dataclasses

import pytest

from bot.domain.errors import Ambiguous, Refused, Unavailable
from bot.local.database import MEMORY, Database
from bot.local.sqlite_cells import SqliteCells
from bot.local.sqlite_jobs import SqliteJobs
from bot.local.system import ManualClock
from bot.local.word_rules import WordRules
from bot.ports import Index
from bot.services import admin, control, intake
from bot.services.core import Policy
from bot.services.people import People
from bot.services.work import advance
from tests.unit.services.cores import (
    ADMIN,
    ME,
    ask,
    build,
    refusal_of,
)


class BrokenModeration(WordRules):
    def check_prompt(self, text):
        raise Unavailable("down")


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


def test_a_clock_that_was_put_back_locks_nobody_out(core):
    admin.pause(core, ADMIN, reason="budget review", at=core.clock.now() + 3600.0)

    admin.resume(core, ADMIN)
    assert core.settings.paused is None


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
