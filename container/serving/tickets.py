"""Invocations on their way: tickets, and which of those that wait are drawn in one go."""

from collections.abc import Hashable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from container.serving.drawing_task import DrawingTask
from container.serving.engine import DrawRequest
from container.serving.errors import ServingError
from container.serving.invocation import Task


class TicketState(StrEnum):
    WAITING = "waiting"
    DRAWING = "drawing"
    DONE = "done"


@dataclass(slots=True, kw_only=True, eq=False)
class Ticket:
    """One invocation in the queue: its task, how far it is, and the result to come.

    `inference_id` is the caller's name for it, if it gave one. `key`: what it must share with others to be
    drawn together with them, None where it is drawn alone. `outcome` ends in what the task's `run` answers or
    in a `ServingError`.
    """

    inference_id: str | None
    task: Task
    key: Hashable | None = None
    state: TicketState = TicketState.WAITING
    step: int = 0
    stop_asked: bool = False
    outcome: Future[Any] = field(default_factory=Future)

    @property
    def steps(self) -> int:
        return self.task.steps

    def finish(self, result: Any) -> None:
        """Settle the outcome; whoever comes second changes nothing."""
        self.state = TicketState.DONE
        with suppress(InvalidStateError):
            if isinstance(result, ServingError):
                self.outcome.set_exception(result)
            else:
                self.outcome.set_result(result)


def joinable(task: Task) -> DrawRequest | None:
    """The one batch of a task that others may join: several iterations, extras and exact ones stay alone."""
    if not isinstance(task, DrawingTask) or len(task.batches) > 1 or task.batches[0].exact:
        return None
    return task.batches[0]


def gather(waiting: Sequence[Ticket], *, most: int) -> list[Ticket]:
    """The oldest ticket and, in their order, those that fit into one batch of `most` pictures with it.

    Only what shares the oldest's key joins it, so the batch is one that was to be drawn next anyway: nobody
    waits for more batches than those before him need by themselves.
    """
    oldest = waiting[0]
    group, room = [oldest], most - pictures_in(oldest)
    for ticket in waiting[1:]:
        if oldest.key is not None and ticket.key == oldest.key and pictures_in(ticket) <= room:
            group.append(ticket)
            room -= pictures_in(ticket)
    return group


def pictures_in(ticket: Ticket) -> int:
    """How many pictures a ticket adds to a batch; only asked of those that may join one."""
    request = joinable(ticket.task)
    return request.batch_size if request else 1
