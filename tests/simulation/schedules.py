"""Ways through the world: every single fault at every call, and random mixtures of all of them."""

import random
from collections.abc import Callable, Iterator

from bot.domain.job import SinkKind
from tests.simulation.check import violations
from tests.simulation.faults import Fault, Plan
from tests.simulation.world import Behaviour, World

Story = Callable[[World], None]


def one_picture(world: World) -> None:
    world.imagine("fox")


def cancelled_early(world: World) -> None:
    world.imagine("fox")
    world.cancel(at=5.0)


def cancelled_late(world: World) -> None:
    world.imagine("fox")
    world.cancel(at=21.15)


def asked_for_more(world: World) -> None:
    world.imagine("fox")
    world.want_original(at=40.0)
    world.want_original(at=700.0)


def deleted(world: World) -> None:
    world.imagine("fox")
    world.want_original(at=60.0)
    world.delete(at=61.0)


def two_people(world: World) -> None:
    for number in range(3):
        world.imagine(f"fox {number}")
    world.imagine("hen", user="U2", at=1.0)


def polled(world: World) -> None:
    world.imagine("fox", kind=SinkKind.POLL)


def called_back(world: World) -> None:
    world.imagine("fox", kind=SinkKind.CALLBACK)


def called_back_cancelled(world: World) -> None:
    world.imagine("fox", kind=SinkKind.CALLBACK)
    world.cancel(at=5.0)


STORIES: dict[str, tuple[Story, Behaviour]] = {
    "picture": (one_picture, Behaviour()),
    "picture shared late": (one_picture, Behaviour(share_delay=3.0)),
    "failure object": (one_picture, Behaviour(fail=frozenset({0}))),
    "no object at all": (one_picture, Behaviour(vanish=frozenset({0}))),
    "share lost": (one_picture, Behaviour(shares_lost=frozenset({0}))),
    "events repeated": (one_picture, Behaviour(repeat_events=3)),
    "only the sweep": (one_picture, Behaviour(lose_nudges=True, lose_events=True)),
    "cancelled early": (cancelled_early, Behaviour()),
    "cancelled late": (cancelled_late, Behaviour()),
    "token revoked before the card": (one_picture, Behaviour(locked_out=(0.0, 100.0))),
    "token revoked while it is drawn": (one_picture, Behaviour(locked_out=(10.0, 100.0))),
    "full size": (asked_for_more, Behaviour()),
    "deleted": (deleted, Behaviour()),
    "two people": (two_people, Behaviour()),
    "polled": (polled, Behaviour()),
    "called back": (called_back, Behaviour()),
    "called back of a failure": (called_back, Behaviour(fail=frozenset({0}))),
    "called back, only the sweep": (called_back, Behaviour(lose_nudges=True, lose_events=True)),
    "called back of a cancel": (called_back_cancelled, Behaviour()),
}


def play(story: str, plan: Plan, *, faults_end: float | None = None) -> World:
    """Run one story to its end."""
    tell, behaviour = STORIES[story]
    world = World(plan, behaviour)
    tell(world)
    world.run(faults_end=faults_end)
    return world


def single_faults(story: str) -> Iterator[tuple[str, Plan]]:
    """A plan for every fault kind at every call of the undisturbed story."""
    calm = play(story, Plan())
    for number, (site, kinds) in enumerate(calm.plan.sites):
        for kind in kinds:
            yield f"{story}: {kind} at call {number} ({site})", Plan(named={number: kind})


def random_world(seed: int) -> World:
    """A mixture drawn from the seed: story, fault kinds, rate; faults end after 40 minutes."""
    chance = random.Random(seed)
    story = chance.choice(list(STORIES))
    kinds: list[Fault] = chance.sample(list(Fault), k=chance.randint(1, len(Fault)))
    plan = Plan(rate=chance.choice([0.02, 0.08, 0.15]), seed=seed, enabled=tuple(kinds))
    return play(story, plan, faults_end=2400.0)


def broken(name: str, world: World) -> list[str]:
    """The violations of one finished world, each with the name that replays it."""
    return [f"{name}: {sentence}" for sentence in violations(world)]
