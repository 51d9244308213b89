"""Time, names and chance."""

import re
import threading

from bot.domain.request import SEED_SPACE
from bot.local.system import (
    ManualClock,
    SecretIds,
    SeededRandomness,
    SequentialIds,
    SystemClock,
    SystemRandomness,
)


def test_the_system_clock_never_runs_far_behind_itself():
    clock = SystemClock()
    first, second = clock.now(), clock.now()
    assert 1_700_000_000 < first <= second + 1


def test_secret_tokens_are_long_plain_and_never_the_same():
    tokens = {SecretIds().token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(re.fullmatch(r"[a-z0-9]{20,}", token) for token in tokens)


def test_system_seeds_are_in_range_and_differ():
    seeds = [SystemRandomness().seed() for _ in range(50)]
    assert all(0 <= seed < SEED_SPACE for seed in seeds)
    assert len(set(seeds)) > 45


def test_a_manual_clock_moves_only_when_told_and_never_back():
    clock = ManualClock(100.0)
    assert clock.now() == clock.now() == 100.0
    assert clock.advance(2.5) == clock.now() == 102.5
    clock.move_to(50.0)
    assert clock.now() == 102.5
    clock.move_to(200.0)
    assert clock.now() == 200.0


def test_sequential_ids_repeat_in_every_run_and_never_within_one():
    first, second = SequentialIds(), SequentialIds()
    run = [first.token() for _ in range(3)]
    assert run == [second.token() for _ in range(3)]
    collected: list[str] = []
    threads = [
        threading.Thread(target=lambda: collected.extend(first.token() for _ in range(200))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(collected)) == 800
    assert all(re.fullmatch(r"[a-z0-9]{20,}", token) for token in collected)


def test_seeded_randomness_repeats_in_every_run():
    run = [SeededRandomness(3).seed(), SeededRandomness(3).seed(), SeededRandomness(4).seed()]
    assert run[0] == run[1] != run[2]
    assert all(0 <= seed < SEED_SPACE for seed in run)
