"""One engine, one drawing thread, first in, first out.

Requests become tickets. The drawing thread sets the engine up, proves it by a warm-up picture, then serves
tickets in order. Everything the HTTP side needs to know (progress, health) is a snapshot taken under one
lock, so no question ever waits for the engine.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from container.serving.drawing_task import draw
from container.serving.engine import DrawRequest, Engine
from container.serving.errors import (
    Busy,
    Cancelled,
    EngineCrash,
    NotReady,
    OutOfMemory,
    ServingError,
    Stuck,
)
from container.serving.invocation import Task
from container.serving.output import log_crash
from container.serving.settings import Settings

log = logging.getLogger("container.serving")

WARM_UP = DrawRequest(prompt="", width=64, height=64, steps=1, sampler_name="")


class State(StrEnum):
    """Where the engine stands. Only `READY` answers pings with 200."""

    STARTING = "starting"
    READY = "ready"
    SETUP_FAILED = "setup failed"
    FAILING = "failing"
    STUCK = "stuck"
    STOPPING = "stopping"


class TicketState(StrEnum):
    WAITING = "waiting"
    DRAWING = "drawing"
    DONE = "done"


@dataclass(slots=True, kw_only=True, eq=False)
class Ticket:
    """One invocation in the queue: its task, how far it is, and the result to come.

    `inference_id` is the caller's name for it, if it gave one. `outcome` ends in what the task's `run`
    answers or in a `ServingError`.
    """

    inference_id: str | None
    task: Task
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """A snapshot for `/ping`. `reason` is empty when ready; `proven` once a picture has been generated."""

    state: State
    reason: str
    proven: bool
    waiting: int


class DrawingQueue:
    """Tickets in order before one engine. Every method but the drawing thread's own returns at once."""

    def __init__(
        self, engine: Engine, *, settings: Settings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._clock = clock
        self._changed = threading.Condition()
        self._waiting: deque[Ticket] = deque()
        self._current: Ticket | None = None
        self._last_step_at = clock()
        self._failures = 0
        self._proven = False
        self._setup_error = ""
        self._stuck = False
        self._stopping = False

    def start(self) -> None:
        """Begin: set the engine up and draw the warm-up picture, in the background."""
        # A daemon, because a thread stuck inside an engine must not keep the process from ending.
        threading.Thread(target=self._run, name="drawing", daemon=True).start()

    def submit(self, task: Task, *, inference_id: str | None) -> Ticket:
        """Queue the task of one invocation. Raises `NotReady` or `Busy`."""
        ticket = Ticket(inference_id=inference_id, task=task)
        with self._changed:
            self._refuse_unless_serving()
            if len(self._waiting) >= self._settings.limits.waiting:
                raise Busy(f"{len(self._waiting)} requests are waiting already")
            self._waiting.append(ticket)
            self._changed.notify_all()
        return ticket

    def refuse_unless_serving(self) -> None:
        """Raises `NotReady` where a ticket would have no chance."""
        with self._changed:
            self._refuse_unless_serving()

    def cancel(self, ticket: Ticket) -> None:
        """Drop a waiting ticket now; ask a drawing one to stop at its next step. Harmless once it is done."""
        with self._changed:
            ticket.stop_asked = True
            if ticket in self._waiting:
                self._waiting.remove(ticket)
                ticket.finish(Cancelled("cancelled before drawing began"))

    def cancel_inference(self, inference_id: str) -> int:
        """Cancel every ticket of that id; how many there were."""
        found = [ticket for ticket in self.open_tickets() if ticket.inference_id == inference_id]
        for ticket in found:
            self.cancel(ticket)
        return len(found)

    def open_tickets(self) -> list[Ticket]:
        """The drawing ticket, if any, then the waiting ones in their order."""
        with self._changed:
            return [*([self._current] if self._current else []), *self._waiting]

    def health(self) -> Health:
        with self._changed:
            state, reason = self._standing()
            return Health(state=state, reason=reason, proven=self._proven, waiting=len(self._waiting))

    def check_stall(self) -> None:
        """Give up on a drawing that has made no step for `stall_s`; called now and then from outside.

        The engine's thread cannot be stopped from here. Should it come back to life, drawing goes on with
        whatever is queued then.
        """
        with self._changed:
            silent_s = self._clock() - self._last_step_at
            if self._current is None or self._stuck or silent_s <= self._settings.stall_s:
                return
            self._stuck = True
            log.error("engine stuck: no step for %.0f s", silent_s)
            self._current.stop_asked = True
            self._current.finish(Stuck(f"the engine made no step for {self._settings.stall_s:.0f} seconds"))
            self._turn_away("the engine is stuck")

    def drain(self) -> None:
        """Begin to stop: turn away whatever waits or comes, let the current drawing finish."""
        with self._changed:
            self._stopping = True
            self._turn_away("the server is stopping")
            self._changed.notify_all()

    def abort(self) -> None:
        """Ask the current drawing to stop at its next step."""
        with self._changed:
            if self._current is not None:
                self._current.stop_asked = True

    def abandon(self) -> None:
        """Answer for the current drawing without its picture: the engine has not come back in time."""
        with self._changed:
            if self._current is not None:
                self._current.finish(NotReady("the server stopped before the picture was done"))

    def _standing(self) -> tuple[State, str]:
        if self._stopping:
            return State.STOPPING, "the server is stopping"
        if self._setup_error:
            return State.SETUP_FAILED, f"the engine could not be set up: {self._setup_error}"
        if not self._proven:
            return State.STARTING, "no picture has been generated yet"
        if self._stuck:
            return State.STUCK, "the engine is stuck"
        if self._failures >= self._settings.failures_until_unhealthy:
            return State.FAILING, f"the engine failed {self._failures} times in a row"
        return State.READY, ""

    def _refuse_unless_serving(self) -> None:
        state, reason = self._standing()
        if state not in {State.READY, State.FAILING}:  # a failing engine may still prove itself again
            raise NotReady(reason)

    def _turn_away(self, reason: str) -> None:
        while self._waiting:
            self._waiting.popleft().finish(NotReady(reason))

    def _run(self) -> None:
        if not self._prove():
            return
        while ticket := self._next_ticket():
            self._settle(ticket, self._done(ticket))

    def _prove(self) -> bool:
        """Set up and draw the warm-up picture; until that is done the server is not healthy."""
        try:
            self._engine.setup()
            warm_up = replace(WARM_UP, sampler_name=self._engine.catalogue().samplers[0])
            draw(self._engine, warm_up, on_step=lambda _step, _steps: None)
        except Exception as error:
            log.exception("engine set-up failed")  # nobody has asked for anything yet: nothing personal in it
            with self._changed:
                self._setup_error = type(error).__name__
            return False
        with self._changed:
            self._proven = True
        log.info("ready: engine %s", self._engine.info().name)
        return True

    def _next_ticket(self) -> Ticket | None:
        """The oldest ticket, waiting for one if need be; None when stopping."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._stopping)
            if self._stopping:
                return None
            ticket = self._waiting.popleft()
            ticket.state = TicketState.DRAWING
            self._current = ticket
            self._last_step_at = self._clock()
            return ticket

    def _done(self, ticket: Ticket) -> Any:
        """What the task answers, or the `ServingError` it ends in."""

        def on_step(step: int, _steps: int) -> None:
            with self._changed:
                self._last_step_at = self._clock()
                ticket.step = step
                if ticket.stop_asked:
                    raise Cancelled("stopped between steps")

        try:
            return ticket.task.run(self._engine, on_step=on_step)
        except ServingError as error:
            return error
        except MemoryError:
            return OutOfMemory("the picture does not fit into memory")
        except (Exception, SystemExit) as error:  # noqa: BLE001 (whatever an engine raises, the server goes on)
            log_crash(error)
            return EngineCrash(f"the engine failed with {type(error).__name__}")

    def _settle(self, ticket: Ticket, result: Any) -> None:
        with self._changed:
            self._current = None
            self._stuck = False
            if isinstance(result, EngineCrash | OutOfMemory):
                self._failures += 1
            elif ticket.task.proves_engine and not isinstance(result, ServingError):
                self._failures = 0
            ticket.finish(result)
