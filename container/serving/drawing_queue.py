"""One engine, one drawing thread, first in, first out.

Requests become tickets. The drawing thread sets the engine up, proves it by a small picture, then serves the
tickets: the oldest first, together with others like it where the engine can. Everything the HTTP side needs
to know (progress, health) is a snapshot taken under one lock, so no question ever waits for the engine.

What goes wrong: a batch that does not fit into memory is drawn again in halves; of one that fails in another
way each member is drawn again by itself, so that one request's fault is not the others'. After a crash the
engine has to draw its proof again. Where it cannot, it is set up anew while the others wait.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from container.serving.drawing_task import DrawingTask, Drawn, draw, draw_together, scaled
from container.serving.engine import BatchingEngine, Catalogue, DrawRequest, Engine, EngineInfo, OnStep
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
from container.serving.tickets import Ticket, TicketState, gather, joinable

log = logging.getLogger("container.serving")

WARM_UP = DrawRequest(prompt="", width=64, height=64, steps=1, sampler_name="")


class State(StrEnum):
    """Where the engine stands. Only `READY` answers pings with 200."""

    STARTING = "starting"
    READY = "ready"
    SETUP_FAILED = "setup failed"
    FAILING = "failing"
    RESTARTING = "restarting"
    STUCK = "stuck"
    STOPPING = "stopping"


_SERVING = {State.READY, State.FAILING, State.RESTARTING}  # one that fails may still prove itself again


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """A snapshot for `/ping`. `reason` is empty when ready; `engine` None until a picture was generated."""

    state: State
    reason: str
    engine: EngineInfo | None
    waiting: int


class DrawingQueue:
    """Tickets in order before one engine. Every method but the drawing thread's own returns at once."""

    def __init__(
        self, engine: Engine, *, settings: Settings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._engine = engine
        self._batching = engine if isinstance(engine, BatchingEngine) else None
        self._settings = settings
        self._clock = clock
        self._changed = threading.Condition()
        self._waiting: deque[Ticket] = deque()
        self._current: list[Ticket] = []
        self._drawing = False
        self._last_step_at = clock()
        self._failures = 0
        self._proven: tuple[EngineInfo, Catalogue] | None = None
        self._setup_error = ""
        self._restarting = False
        self._stuck = False
        self._stopping = False
        # A daemon, because a thread stuck inside an engine must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="drawing", daemon=True)

    def start(self) -> None:
        """Begin: set the engine up and draw the warm-up picture, in the background."""
        self._thread.start()

    def submit(self, task: Task, *, inference_id: str | None) -> Ticket:
        """Queue the task of one invocation. Raises `NotReady` or `Busy`."""
        ticket = Ticket(inference_id=inference_id, task=task, key=self._key(task))
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

    def catalogue(self) -> Catalogue:
        """What the engine offered when it was last set up. Raises `NotReady` before that."""
        with self._changed:
            if self._proven is None:
                raise NotReady(self._standing()[1])
            return self._proven[1]

    def cancel(self, ticket: Ticket) -> None:
        """Drop a waiting ticket now; one being drawn ends with its next step. Harmless once it is done."""
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
        """The tickets being drawn, then the waiting ones in their order."""
        with self._changed:
            return [*_unfinished(self._current), *self._waiting]

    def health(self) -> Health:
        with self._changed:
            state, reason = self._standing()
            engine = self._proven[0] if self._proven else None
            return Health(state=state, reason=reason, engine=engine, waiting=len(self._waiting))

    def check_stall(self) -> None:
        """Give up on a drawing that has made no step for `stall_s`; called now and then from outside.

        The engine's thread cannot be stopped from here. Should it come back to life, drawing goes on with
        whatever is queued then.
        """
        with self._changed:
            silent_s = self._clock() - self._last_step_at
            if not self._drawing or self._stuck or silent_s <= self._settings.stall_s:
                return
            self._stuck = True
            log.error("engine stuck: no step for %.0f s", silent_s)
            for ticket in self._current:
                ticket.stop_asked = True
                ticket.finish(Stuck(f"the engine made no step for {self._settings.stall_s:.0f} seconds"))
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
            for ticket in self._current:
                ticket.stop_asked = True

    def abandon(self) -> None:
        """Answer for the current drawing without its picture: the engine has not come back in time."""
        with self._changed:
            for ticket in self._current:
                ticket.finish(NotReady("the server stopped before the picture was done"))

    def has_ended(self, *, within: float) -> bool:
        """Whether the drawing thread has come back, or does within so many seconds. Only after `drain`."""
        self._thread.join(within)
        return not self._thread.is_alive()

    def _key(self, task: Task) -> Hashable | None:
        request = joinable(task)
        return self._batching.joins(request) if self._batching and request else None

    def _standing(self) -> tuple[State, str]:
        if self._stopping:
            return State.STOPPING, "the server is stopping"
        if self._setup_error:
            return State.SETUP_FAILED, f"the engine could not be set up: {self._setup_error}"
        if self._proven is None:
            return State.STARTING, "no picture has been generated yet"
        if self._stuck:
            return State.STUCK, "the engine is stuck"
        if self._restarting:
            return State.RESTARTING, "the engine is being set up anew after a crash"
        if self._failures >= self._settings.failures_until_unhealthy:
            return State.FAILING, f"the engine failed {self._failures} times in a row"
        return State.READY, ""

    def _refuse_unless_serving(self) -> None:
        state, reason = self._standing()
        if state not in _SERVING:
            raise NotReady(reason)

    def _turn_away(self, reason: str) -> None:
        while self._waiting:
            self._waiting.popleft().finish(NotReady(reason))

    # From here on: the drawing thread.

    def _run(self) -> None:
        if not self._set_up():
            return
        log.info("ready: engine %s", self._engine.info().name)
        warm_ups = deque(self._larger_warm_ups())
        while not self._setup_error:
            if warm_ups and self._idle():
                self._warm_up(warm_ups.popleft())
            elif group := self._next_group():
                self._serve(group)
            else:
                return

    def _set_up(self) -> bool:
        """Set up and draw a first picture; until that is done the server is not healthy."""
        try:
            self._engine.setup()
            self._prove()
        except Exception as error:
            log.exception("engine set-up failed")  # it has drawn for nobody yet: nothing personal in it
            with self._changed:
                self._setup_error = type(error).__name__
                self._turn_away("the engine could not be set up")
            return False
        with self._changed:
            self._proven = self._engine.info(), self._engine.catalogue()
        return True

    def _prove(self) -> None:
        """Draw the smallest picture there is. Raises what the engine raises."""
        warm_up = replace(WARM_UP, sampler_name=self._engine.catalogue().samplers[0])
        draw(self._engine, warm_up, on_step=lambda _step, _steps: None)

    def _recover(self) -> None:
        """After a crash: see whether the engine still draws, and set it up anew where it does not."""
        self._touch()
        try:
            self._prove()
            return
        except Exception as error:  # noqa: BLE001 (whatever an engine raises, the server goes on)
            log_crash(error)
        finally:
            self._end()
        log.warning("the engine draws no more: setting it up anew")
        with self._changed:
            self._restarting = True
        self._set_up()
        with self._changed:
            self._restarting = False

    def _larger_warm_ups(self) -> list[DrawRequest]:
        """Pictures of the sizes people ask for: what they need of the engine is then there already."""
        catalogue = self._engine.catalogue()
        sides = catalogue.warm_up_sides if self._settings.warm_up else ()
        return [
            replace(WARM_UP, width=side, height=side, sampler_name=catalogue.samplers[0]) for side in sides
        ]

    def _idle(self) -> bool:
        with self._changed:
            return not self._waiting and not self._stopping

    def _warm_up(self, request: DrawRequest) -> None:
        """Draw one for practice; given up at the next step once somebody waits."""

        def on_step(_step: int, _steps: int) -> None:
            self._touch()
            if not self._idle():
                raise Cancelled("somebody waits")

        self._touch()
        try:
            draw(self._engine, request, on_step=on_step)
        except Cancelled:
            log.info("warm-up at %dx%d given up for a request", request.width, request.height)
        except Exception as error:  # noqa: BLE001 (as above)
            log_crash(error)
        self._end()

    def _next_group(self) -> list[Ticket]:
        """The oldest ticket and what joins it, waiting for one if need be; empty when stopping."""
        while oldest := self._oldest():
            most = self._largest_together(oldest)  # asks the engine, so not under the lock
            with self._changed:
                if oldest in self._waiting:
                    self._current = gather(list(self._waiting), most=most)
                    for ticket in self._current:
                        self._waiting.remove(ticket)
                        ticket.state = TicketState.DRAWING
                    return self._current
        return []

    def _oldest(self) -> Ticket | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._stopping)
            return None if self._stopping else self._waiting[0]

    def _largest_together(self, oldest: Ticket) -> int:
        request = joinable(oldest.task)
        if self._batching is None or request is None or oldest.key is None:
            return 1
        try:
            return self._batching.largest_together(request)
        except Exception as error:  # noqa: BLE001 (as above)
            log_crash(error)
            return 1

    def _serve(self, group: Sequence[Ticket]) -> None:
        """Draw tickets and settle them: together, or after a failure in smaller parts."""
        results = self._results(group)
        failure = results[0] if isinstance(results[0], ServingError) else None
        again = failure is not None and len(group) > 1 and not isinstance(failure, Cancelled)
        if not again:
            self._settle(group, results)
        if isinstance(failure, EngineCrash):
            self._recover()
        if failure is not None and again:
            self._serve_parts(group, failure)

    def _serve_parts(self, group: Sequence[Ticket], failure: ServingError) -> None:
        """A batch that failed: each half by itself where memory was short, else each ticket."""
        size = (len(group) + 1) // 2 if isinstance(failure, OutOfMemory) else 1
        for first in range(0, len(group), size):
            part = _unfinished(group[first : first + size])
            if not part:
                continue
            if self._setup_error:
                self._settle(part, [failure] * len(part))
            else:
                self._serve(part)

    def _touch(self) -> None:
        """The engine is at work and moves."""
        with self._changed:
            self._drawing = True
            self._last_step_at = self._clock()

    def _end(self) -> None:
        with self._changed:
            self._drawing = False
            self._stuck = False

    def _results(self, group: Sequence[Ticket]) -> list[Any]:
        """What each task answers, or the `ServingError` that all of them end in."""
        self._touch()
        try:
            if self._batching is None or len(group) == 1:
                return [group[0].task.run(self._engine, on_step=self._follow(group))]
            return self._together(self._batching, group)
        except ServingError as error:
            return [error] * len(group)
        except MemoryError:
            return [OutOfMemory("the picture does not fit into memory")] * len(group)
        except (Exception, SystemExit) as error:  # noqa: BLE001 (whatever an engine raises, the server goes on)
            log_crash(error)
            return [EngineCrash(f"the engine failed with {type(error).__name__}")] * len(group)
        finally:
            self._end()

    def _together(self, engine: BatchingEngine, group: Sequence[Ticket]) -> list[Any]:
        requests = [ticket.task.batches[0] for ticket in group if isinstance(ticket.task, DrawingTask)]
        drawings = draw_together(engine, requests, on_step=self._follow(group))
        info = engine.info()
        return [Drawn(drawings=(drawing,), engine=info) for drawing in drawings]

    def _follow(self, group: Sequence[Ticket]) -> OnStep:
        """Tell each ticket's steps; drop those cancelled, and stop once there is nobody left to draw for."""

        def on_step(step: int, steps: int) -> None:
            with self._changed:
                self._last_step_at = self._clock()
                for ticket in group:
                    ticket.step = scaled(step, steps, ticket.steps)
                    if ticket.stop_asked:
                        ticket.finish(Cancelled("stopped between steps"))
                if all(ticket.stop_asked for ticket in group):
                    raise Cancelled("stopped between steps")

        return on_step

    def _settle(self, group: Sequence[Ticket], results: Sequence[Any]) -> None:
        with self._changed:
            for ticket, result in zip(group, results, strict=True):
                if self._proven and isinstance(result, Drawn):
                    self._proven = result.engine, self._proven[1]
                if isinstance(result, EngineCrash | OutOfMemory | Stuck):
                    self._failures += 1
                elif ticket.task.proves_engine and not isinstance(result, ServingError):
                    self._failures = 0
                ticket.finish(result)
            self._current = _unfinished(self._current)


def _unfinished(tickets: Sequence[Ticket]) -> list[Ticket]:
    return [ticket for ticket in tickets if ticket.state is not TicketState.DONE]
