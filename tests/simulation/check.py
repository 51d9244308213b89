"""The invariants: what must hold when everything has settled, whatever went wrong on the way."""

from collections import Counter

from bot.domain.job import Job, Outcome, SinkKind, State, state_of
from bot.domain.steps import MAX_SUBMISSIONS
from bot.services.rows import month_key
from tests.simulation.world import TENANT, World, in_flight

MOST_EFFECTS_A_JOB = 60


def violations(world: World) -> list[str]:
    """Sentences about what is wrong; empty when every promise was kept."""
    rows = {job.id: job for job in world.rows()}
    found = [f"{job_id}: acked without a row" for job_id in world.accepted if job_id not in rows]
    for job in rows.values():
        found += _of_job(world, job)
    for user in ("U1", "U2"):
        person = world.store.person(TENANT, user)
        spent = sum(
            job.cost for job in rows.values() if job.person == user and job.final_outcome is Outcome.OK
        )
        if person.held != 0 or person.spent != spent:
            found.append(f"{user}: quota held {person.held}, spent {person.spent}, should be 0 and {spent}")
    if in_flight(world) != 0:
        found.append(f"window not freed: {in_flight(world)}")
    found += _of_ledger(world, list(rows.values()))
    effects = sum(1 for site, _ in world.plan.sites if site.startswith(("chat", "endpoint", "hook")))
    if effects > MOST_EFFECTS_A_JOB * len(rows):
        found.append(f"{effects} outside calls for {len(rows)} jobs")
    return found + world.changed


def _of_ledger(world: World, jobs: list[Job]) -> list[str]:
    """Every month's counter is what the jobs admitted in it burned; nothing stays booked beside."""
    burned: Counter[str] = Counter()
    for job in jobs:
        if job.admitted_at is not None:
            burned[month_key(job.admitted_at)] += job.cost * job.submissions
    booked = {month: world.store.counter(month) for month in burned}
    return [] if booked == burned else [f"booked {booked}, burned {dict(burned)}"]


def _of_job(world: World, job) -> list[str]:
    if state_of(job) is not State.AUDITED:
        return [f"{job.id}: stuck in {state_of(job)}"]
    return _of_card(world, job) if job.sink.kind is SinkKind.SLACK_THREAD else _of_api(world, job)


def _of_card(world: World, job) -> list[str]:
    found = []
    cards = [card for card in world.chat.cards.values() if card.job == job.id]
    shown = {ref for job_id, ref, _ in world.chat.deliveries if job_id == job.id}
    deliveries = [ref for job_id, ref, _ in world.chat.deliveries if job_id == job.id]
    if len(deliveries) != len(shown) or len(shown) > 1:
        found.append(f"{job.id}: {len(deliveries)} deliveries")
    if len(cards) != 1:
        found.append(f"{job.id}: {len(cards)} cards")
    if job.deleted_at is not None:
        return found + _of_deleted(world, job, deliveries)
    if job.originals_wanted or set(job.originals_shown) != {index for _, index in world.chat.originals}:
        found.append(f"{job.id}: originals {job.originals_wanted} wanted, {job.originals_shown} shown")
    if job.final_outcome is Outcome.OK and not deliveries:
        found.append(f"{job.id}: ok without a picture")
    if job.final_outcome is not Outcome.OK and deliveries:
        found.append(f"{job.id}: {job.final_outcome} and a picture")
    if cards and cards[0].shows[-1] is not job.final_outcome:
        found.append(f"{job.id}: the card shows {cards[0].shows[-1]}, the row {job.final_outcome}")
    if world.gpu.ran.get(job.id, 0) > MAX_SUBMISSIONS:
        found.append(f"{job.id}: {world.gpu.ran[job.id]} inferences")
    return found


def _of_api(world: World, job) -> list[str]:
    """Who polls reads the one outcome in the row; a callback tells the same one, once or more."""
    told = [outcome for job_id, outcome in world.hooks if job_id == job.id]
    found = []
    if job.final_outcome is Outcome.OK and (job.delivered_at is None or not job.delivery_refs):
        found.append(f"{job.id}: ok without a picture to read")
    if job.final_outcome is None:
        found.append(f"{job.id}: ended without an outcome")
    if job.sink.kind is SinkKind.CALLBACK and set(told) != {job.final_outcome}:
        found.append(f"{job.id}: told {told}, the row says {job.final_outcome}")
    if job.sink.kind is SinkKind.POLL and told:
        found.append(f"{job.id}: called back without being asked to")
    return found


def _of_deleted(world: World, job, deliveries: list[str]) -> list[str]:
    """What was deleted is gone from the chat and from the store."""
    left = [key for key in world.object_store.list("") if job.id in key]
    seen = [*deliveries, *(index for job_id, index in world.chat.originals if job_id == job.id), *left]
    return [f"{job.id}: deleted, but {seen} is left"] if seen or job.removed_at is None else []
