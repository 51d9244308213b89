"""What people do besides asking for a picture, while something goes wrong: orders of an admin, and what is
done to a picture that is there.
"""

from dataclasses import dataclass

from bot.domain import messages
from bot.domain.job import Job, output_key
from infra.local.slack.testing import Shown
from tests.lambda_package.faults.fault import Fault
from tests.lambda_package.faults.on_loopback import bot_of
from tests.lambda_package.faults.seeing import PATIENCE, going_wrong
from tests.scenarios.stack import Stack

ADMIN = "robin"
DONE = messages.STEERING["done"]
HANDED_OVER = (messages.HANDED_OVER, messages.doctor("follows"))
"""One of the two is the Slack function's own answer to an order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What an admin types, and the answers of which one must come. `after` is what it needs."""

    line: str
    answers: tuple[str, ...]
    after: "Order | None" = None

    def __str__(self) -> str:
        return self.line.split()[0]


WAKE = Order(line="wake --yes", answers=(DONE["wake"], DONE["wake_already"]))
WARM = Order(line="warm 30m --yes", answers=(DONE["warm"].partition("{")[0],))
SLEEP = Order(line="sleep --yes", answers=(DONE["sleep"],), after=WARM)
DOCTOR = Order(line="doctor", answers=("scaling moves between",))


def order_during(world: Stack, fault: Fault, order: Order) -> None:
    """Give the order until it is handed over. Raises AssertionError where an order that was has no answer of
    the admin function or a second one; one that may not have been, may have one.
    """
    if order.after is not None:
        _give(world, order.after)
    try:
        with going_wrong(world, fault, jobs=list):
            _give(world, order, spare=fault.spare)
    finally:
        bot_of(world).run_instance()


def _give(world: Stack, order: Order, *, spare: int = 0) -> None:
    bot, before, typed = bot_of(world), len(world.told(ADMIN)), []

    def count(words: tuple[str, ...]) -> int:
        return sum(any(each in told for each in words) for told in world.told(ADMIN)[before:])

    def is_handed_over() -> bool:
        typed.append(world.slack.command(f"/imagine admin {order.line}", user=ADMIN))
        return count(HANDED_OVER) > 0

    world.until(is_handed_over, PATIENCE)
    world.until(lambda: count(order.answers) >= count(HANDED_OVER) and not bot.orders, PATIENCE)
    handed, answered = count(HANDED_OVER), count(order.answers)
    assert handed <= answered <= len(typed) + spare, world.told(ADMIN)[before:]


def show_during(world: Stack, fault: Fault) -> None:
    """Press "Full size" until it is taken. Raises AssertionError where there is not one picture of it."""
    card, job = _drawn(world)

    def is_taken() -> bool:
        world.slack.click(card, "full_size")
        row = _row(world, job)
        return bool(row.originals_wanted or row.originals_shown)

    with going_wrong(world, fault, jobs=lambda: [_row(world, job)]):
        world.until(is_taken, PATIENCE)
        world.until(lambda: _row(world, job).originals_shown, PATIENCE)
        assert len(world.files(card)) == 2


def remove_during(world: Stack, fault: Fault) -> None:
    """Delete the picture. Raises AssertionError where something of it can still be seen, or lies in S3."""
    bot, (card, job) = bot_of(world), _drawn(world)
    assert job.result is not None
    keys = [*(picture.key for picture in job.result.pictures), output_key(job)]
    assert all(bot.object_bytes(key) for key in keys)

    def is_taken() -> bool:
        world.choose(card, "more", "Delete")
        world.press(world.slack.ephemerals("you")[-1], "delete")
        return _row(world, job).deleted_at is not None

    with going_wrong(world, fault, jobs=lambda: [_row(world, job)]):
        world.until(is_taken, PATIENCE)
        world.until(lambda: _row(world, job).removed_at, PATIENCE)
        (gone,) = [shown for shown in world.cards() if shown.ts == card.ts]
        assert gone.words == "This picture was deleted."
        assert world.files(card) == []
        assert not any(bot.object_bytes(key) for key in keys)


def _drawn(world: Stack) -> tuple[Shown, Job]:
    """A card with two pictures, before anything goes wrong."""
    bot = bot_of(world)
    seed = bot.fresh_seed()
    world.imagine(f"a red fox --n 2 --seed {seed}")

    def ended() -> Job | None:
        return next((job for job in bot.jobs() if job.request.seeds[0] == seed and job.done_at), None)

    job = world.until(ended, PATIENCE)
    (card,) = [shown for shown in world.cards() if shown.ts == job.announced_ref]
    return card, job


def _row(world: Stack, job: Job) -> Job:
    (row,) = [row for row in bot_of(world).jobs() if row.id == job.id]
    return row
