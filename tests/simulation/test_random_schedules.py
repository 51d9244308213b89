"""Mixtures of faults, each replayable from its seed."""

from collections import Counter

from tests.simulation.schedules import broken, random_world

SCHEDULES = 600


def test_random_faults_never_lose_or_double_an_outcome():
    found: list[str] = []
    fired: Counter[tuple[str, str]] = Counter()
    for seed in range(SCHEDULES):
        world = random_world(seed)
        found += broken(f"seed {seed}", world)
        fired.update(world.plan.fired)

    assert found == []
    assert sum(fired.values()) > SCHEDULES, "the faults really happened"
    assert {"chat.announce", "chat.deliver", "endpoint.submit", "jobs.transition"} <= {
        site for site, _ in fired
    }
