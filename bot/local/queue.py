"""Nudges between the threads of one process."""

import heapq
import itertools
import threading
import time

from bot.domain.errors import Unavailable


class InProcessQueue:
    """The port Queue, and the side that workers take from. A job already waiting is not queued twice."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._due: list[tuple[float, int, str]] = []
        self._waiting: dict[str, float] = {}
        self._arrivals = itertools.count()
        self._closed = False

    def nudge(self, job_id: str, *, delay: float = 0.0) -> None:
        """See Queue.nudge; of two nudges for one job the earlier counts. Raises Unavailable after `close`."""
        due = time.monotonic() + delay
        with self._changed:
            if self._closed:
                raise Unavailable("closed")
            if due < self._waiting.get(job_id, float("inf")):
                self._waiting[job_id] = due
                heapq.heappush(self._due, (due, next(self._arrivals), job_id))
                self._changed.notify()

    def take(self, timeout: float) -> str | None:
        """The job that is due longest; None when none was within `timeout` seconds or the queue closed."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while not self._closed:
                job_id, due = self._first()
                now = time.monotonic()
                if job_id is not None and due <= now:
                    return self._pop()
                if now >= deadline:
                    return None
                self._changed.wait(min(due, deadline) - now)
            return None

    @property
    def closed(self) -> bool:
        """True once `close` was called: a worker that took None stops."""
        with self._changed:
            return self._closed

    def close(self) -> None:
        """Wake everybody who takes; what still waits is forgotten, the sweep finds it."""
        with self._changed:
            self._closed = True
            self._due.clear()
            self._waiting.clear()
            self._changed.notify_all()

    def _first(self) -> tuple[str | None, float]:
        """The next job and when; entries that an earlier nudge replaced are dropped."""
        while self._due and self._waiting.get(self._due[0][2]) != self._due[0][0]:
            heapq.heappop(self._due)
        return (self._due[0][2], self._due[0][0]) if self._due else (None, float("inf"))

    def _pop(self) -> str:
        job_id = heapq.heappop(self._due)[2]
        del self._waiting[job_id]
        return job_id
