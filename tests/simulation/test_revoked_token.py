"""A token that the chat does not take: jobs wait for another one, undrawn, until their deadline."""

import dataclasses

from bot.domain.job import Job, Outcome
from tests.simulation.check import violations
from tests.simulation.faults import Plan
from tests.simulation.world import DRAW_TIME, TIMES, Behaviour, World

HOUR = 3600.0
FOR_EVER = 100 * HOUR
SHORT = dataclasses.replace(TIMES, deliver_patience=2 * HOUR)


def revoked(begins: float, ends: float) -> tuple[World, Job]:
    """A picture is asked for at the start; no token is taken from `begins` to `ends`."""
    world = World(Plan(), Behaviour(locked_out=(begins, ends)), times=SHORT)
    world.imagine("fox")
    world.run(until=6 * HOUR)
    (job,) = world.rows()
    return world, job


def test_a_job_without_a_card_waits_undrawn_and_goes_on_with_the_new_token():
    world, job = revoked(0.0, HOUR)

    assert violations(world) == []
    assert (job.final_outcome, world.gpu.ran[job.id]) == (Outcome.OK, 1)
    assert world.behaviour.locked_out[1] < job.admitted_at - world.began < HOUR + TIMES.back_off_most + 1


def test_a_drawn_picture_waits_for_the_new_token_and_is_delivered_then():
    world, job = revoked(DRAW_TIME / 2, HOUR)

    assert violations(world) == []
    assert (job.final_outcome, world.gpu.ran[job.id]) == (Outcome.OK, 1)
    assert HOUR < job.done_at - world.began < HOUR + 2 * TIMES.back_off_most


def test_it_asks_twelve_times_an_hour_at_most_and_tells_of_each():
    world, _ = revoked(0.0, HOUR)

    told = world.journal.named("token_refused")
    assert 12 <= world.chat.refusals == len(told) <= 12 + 8


def test_a_job_whose_patience_ends_is_shown_as_such_by_the_new_token():
    world, job = revoked(0.0, TIMES.queue_patience + HOUR)

    assert (job.final_outcome, world.gpu.ran) == (Outcome.WAITED_TOO_LONG, {})
    (card,) = world.chat.cards.values()
    assert card.shows[-1] is Outcome.WAITED_TOO_LONG


def test_without_any_new_token_a_job_ends_at_its_deadline_undrawn():
    world, job = revoked(0.0, FOR_EVER)

    assert (job.result.outcome, job.final_outcome) == (Outcome.WAITED_TOO_LONG, Outcome.CANNOT_POST)
    assert (world.gpu.ran, world.chat.cards, set(world.chat.whispers)) == ({}, {}, {job.id})
    assert (
        job.done_at - job.accepted_at
        < TIMES.queue_patience + SHORT.deliver_patience + 3 * TIMES.back_off_most
    )


def test_without_any_new_token_a_drawn_picture_is_given_up_at_its_deadline():
    world, job = revoked(DRAW_TIME / 2, FOR_EVER)

    assert (job.final_outcome, world.chat.deliveries) == (Outcome.CANNOT_DELIVER, [])
    assert len(world.journal.named("finish_unseen")) == 1
    assert job.done_at - job.accepted_at < SHORT.deliver_patience + 3 * TIMES.back_off_most
