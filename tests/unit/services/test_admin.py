"""What admins do: pause, review, look; and what nobody sees."""

import dataclasses

import pytest

from bot.domain.job import Outcome, State, state_of
from bot.local.word_rules import WordRules
from bot.ports import Verdict
from bot.services import admin, control, gallery
from bot.services.sweep import sweep
from bot.services.work import advance
from tests.unit.services.cores import (
    ADMIN,
    ME,
    ask,
    build,
    draw,
    refusal_of,
)


class HoldingModeration(WordRules):
    def check_picture(self, picture):
        return Verdict(allowed=False, held=True)


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
