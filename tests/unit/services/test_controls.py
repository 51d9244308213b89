"""What people do with a job: cancel, delete, draw again, look at its pictures."""

import dataclasses

import pytest

from bot.domain import messages
from bot.domain.errors import Ambiguous, Refused, Rejected, Unavailable
from bot.domain.job import Outcome, SinkKind, State, state_of
from bot.http_api.poll_sink import PollSink
from bot.services import control, gallery, intake
from bot.services.settings import CATALOGUE, change
from bot.services.sweep import sweep
from bot.services.work import advance, take_result
from tests.simulation.world import OUTPUT
from tests.unit.services.cores import (
    ADMIN,
    ME,
    OTHER,
    POLL,
    STRANGER,
    ask,
    build,
    draw,
    refusal_of,
)


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
