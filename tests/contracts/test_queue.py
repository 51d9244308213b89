"""What every implementation of the port Queue promises, seen from the worker that takes from it."""

import threading

import pytest

from bot.domain.errors import PeerError
from bot.local.queue import InProcessQueue


@pytest.fixture(params=["in_process"])
def queue(request) -> InProcessQueue:
    return InProcessQueue()


def test_nudges_are_taken_in_order(queue: InProcessQueue):
    for job_id in ("a", "b", "c"):
        queue.nudge(job_id)
    assert [queue.take(1.0) for _ in range(3)] == ["a", "b", "c"]


def test_nothing_to_take_is_none(queue: InProcessQueue):
    assert queue.take(0.0) is None


def test_a_job_that_waits_already_is_not_queued_twice(queue: InProcessQueue):
    for job_id in ("a", "b", "a"):
        queue.nudge(job_id)
    assert [queue.take(0.0) for _ in range(3)] == ["a", "b", None]


def test_a_job_nudged_while_it_is_worked_on_comes_again(queue: InProcessQueue):
    queue.nudge("a")
    assert queue.take(0.0) == "a"
    queue.nudge("a")
    assert queue.take(0.0) == "a"


def test_a_nudge_wakes_a_waiting_worker(queue: InProcessQueue):
    taken: list[str | None] = []
    worker = threading.Thread(target=lambda: taken.append(queue.take(30.0)))
    worker.start()
    queue.nudge("a")
    worker.join()
    assert taken == ["a"]


def test_closing_ends_the_workers_and_refuses_more(queue: InProcessQueue):
    taken: list[str | None] = []
    workers = [threading.Thread(target=lambda: taken.append(queue.take(30.0))) for _ in range(3)]
    for worker in workers:
        worker.start()
    queue.close()
    for worker in workers:
        worker.join()
    assert taken == [None, None, None]
    assert queue.closed
    with pytest.raises(PeerError):
        queue.nudge("a")


def test_a_delayed_nudge_comes_later_and_not_ahead_of_one_that_is_due(queue: InProcessQueue):
    queue.nudge("later", delay=0.2)
    assert queue.take(0.0) is None
    queue.nudge("now")
    assert [queue.take(5.0), queue.take(5.0)] == ["now", "later"]


def test_of_two_nudges_for_one_job_the_earlier_counts(queue: InProcessQueue):
    queue.nudge("a", delay=600)
    queue.nudge("a")
    queue.nudge("a", delay=300)
    assert queue.take(5.0) == "a"
    assert queue.take(0.0) is None
