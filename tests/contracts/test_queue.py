"""What every implementation of the port Queue promises, seen from the worker that takes from it, and what
the queue inside one process promises beyond: order, no doubles, and an end.
"""

import threading
import time
from typing import Protocol

import pytest

from bot.aws.clients import Clients
from bot.aws.sqs_queue import SqsQueue, job_of
from bot.domain.errors import PeerError
from bot.local.queue import InProcessQueue
from bot.ports import Queue
from tests.aws.cloud import Cloud

FIRST, SECOND, THIRD = "a" * 26, "b" * 26, "c" * 26


class Taken(Queue, Protocol):
    """A queue with the side that workers take from."""

    def take(self, timeout: float) -> str | None: ...


class SqsTaken(SqsQueue):
    """Takes as Lambda's poller does: a message that was worked on is deleted."""

    def __init__(self, clients: Clients, *, url: str) -> None:
        super().__init__(clients, url=url)
        self._sqs, self._url = clients["sqs"], url

    def take(self, timeout: float) -> str | None:
        deadline = time.monotonic() + timeout
        while True:
            found = self._sqs.receive_message(QueueUrl=self._url, WaitTimeSeconds=0).get("Messages", [])
            for message in found:
                self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
                return job_of(message["Body"])
            if time.monotonic() >= deadline:
                return None
            time.sleep(0.02)


@pytest.fixture(scope="module")
def cloud() -> Cloud:
    return Cloud()


@pytest.fixture(params=["in_process", "sqs"])
def queue(request, cloud: Cloud) -> Taken:
    if request.param == "sqs":
        return SqsTaken(cloud.new_clients(), url=cloud.make_queue())
    return InProcessQueue()


@pytest.fixture
def in_process() -> InProcessQueue:
    return InProcessQueue()


def test_every_nudged_job_is_taken(queue: Taken):
    for job_id in (FIRST, SECOND, THIRD):
        queue.nudge(job_id)
    assert {queue.take(1.0) for _ in range(3)} == {FIRST, SECOND, THIRD}
    assert queue.take(0.0) is None


def test_nothing_to_take_is_none(queue: Taken):
    assert queue.take(0.0) is None


def test_a_job_nudged_while_it_is_worked_on_comes_again(queue: Taken):
    queue.nudge(FIRST)
    assert queue.take(1.0) == FIRST
    queue.nudge(FIRST)
    assert queue.take(1.0) == FIRST


def test_a_nudge_reaches_a_waiting_worker(queue: Taken):
    taken: list[str | None] = []
    worker = threading.Thread(target=lambda: taken.append(queue.take(30.0)))
    worker.start()
    queue.nudge(FIRST)
    worker.join()
    assert taken == [FIRST]


def test_a_delayed_nudge_comes_later_and_not_ahead_of_one_that_is_due(queue: Taken):
    queue.nudge(FIRST, delay=2.0)
    assert queue.take(0.0) is None
    queue.nudge(SECOND)
    assert [queue.take(60.0), queue.take(60.0)] == [SECOND, FIRST]


def test_the_longest_delay_is_taken(queue: Taken):
    queue.nudge(FIRST, delay=900.0)
    assert queue.take(0.0) is None


def test_nudges_are_taken_in_order(in_process: InProcessQueue):
    for job_id in ("a", "b", "c"):
        in_process.nudge(job_id)
    assert [in_process.take(1.0) for _ in range(3)] == ["a", "b", "c"]


def test_a_job_that_waits_already_is_not_queued_twice(in_process: InProcessQueue):
    for job_id in ("a", "b", "a"):
        in_process.nudge(job_id)
    assert [in_process.take(0.0) for _ in range(3)] == ["a", "b", None]


def test_of_two_nudges_for_one_job_the_earlier_counts(in_process: InProcessQueue):
    in_process.nudge("a", delay=600)
    in_process.nudge("a")
    in_process.nudge("a", delay=300)
    assert in_process.take(60.0) == "a"
    assert in_process.take(0.0) is None


def test_closing_ends_the_workers_and_refuses_more(in_process: InProcessQueue):
    taken: list[str | None] = []
    workers = [threading.Thread(target=lambda: taken.append(in_process.take(30.0))) for _ in range(3)]
    for worker in workers:
        worker.start()
    in_process.close()
    for worker in workers:
        worker.join()
    assert taken == [None, None, None]
    assert in_process.closed
    with pytest.raises(PeerError):
        in_process.nudge("a")
