"""An inference server behind a queue, behaving like a SageMaker asynchronous endpoint."""

import json
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from bot.domain.errors import Busy, PeerError, Rejected, Unavailable
from bot.local.inference_server import Answer, InferenceServer, json_object
from bot.ports import Clock, EndpointState, Fate, Journal, Objects, Submission, Warmth

FAILING = "failing"
"""A server that failed several times says so with 503, and still takes the next drawing to prove itself."""

REMEMBERED = 1000
LOOK_AGAIN = 0.25


@dataclass(slots=True, kw_only=True, eq=False)
class _Held:
    """A submission from `submit` until its object is written. `sent` once the server has seen it."""

    submission: Submission
    expires_at: float
    sent: bool = False
    cancelled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """What a ping told, and when (monotonic seconds)."""

    at: float
    warmth: Warmth
    model: str | None = None


class _Dropped(Exception):
    """The submission was cancelled, or the endpoint closed, before the server saw it."""


class HttpEndpoint:
    """The port Endpoint over one inference server that draws one submission at a time.

    A submission waits at most its `ttl`, also for a server that is still loading, and `down_patience` seconds
    for one that does not answer at all. When its success or failure object is written, `on_settled(job_id)`
    is called from the endpoint's thread. What is held dies with the process; `fate` then says LOST.
    """

    def __init__(
        self,
        server: InferenceServer,
        *,
        objects: Objects,
        on_settled: Callable[[str], None],
        clock: Clock,
        journal: Journal,
        name: str = "local",
        window: int = 3,
        most_held: int = 100,
        down_patience: float = 3.0,
        ping_every: float = 1.0,
    ) -> None:
        self._server = server
        self._objects = objects
        self._on_settled = on_settled
        self._clock = clock
        self._journal = journal
        self._name = name
        self._window = window
        self._most_held = most_held
        self._down_patience = down_patience
        self._ping_every = ping_every
        self._changed = threading.Condition()
        self._held: dict[str, _Held] = {}
        self._waiting: deque[_Held] = deque()
        self._settled: deque[str] = deque(maxlen=REMEMBERED)
        self._called_off: deque[str] = deque(maxlen=REMEMBERED)
        self._closed = False
        self._looking = threading.Lock()
        self._look: _Look | None = None
        self._worker = threading.Thread(target=self._work, name="endpoint", daemon=True)
        self._worker.start()

    def submit(self, submission: Submission) -> None:
        """See Endpoint.submit. Raises Busy and Unavailable; one that is held already is not queued twice."""
        held = _Held(submission=submission, expires_at=self._clock.now() + submission.ttl)
        with self._changed:
            if self._closed:
                raise Unavailable("closed")
            if submission.inference_id in self._held or submission.inference_id in self._called_off:
                return
            if len(self._held) >= self._most_held:
                raise Busy("queue_full")
            self._held[submission.inference_id] = held
            self._waiting.append(held)
            self._changed.notify_all()

    def fate(self, inference_id: str) -> Fate:
        """See Endpoint.fate. PENDING also just after the end: whoever saw no object yet looks again."""
        with self._changed:
            known = inference_id in self._held or inference_id in self._settled
        return Fate.PENDING if known else Fate.LOST

    def cancel(self, inference_id: str) -> bool:
        """See Endpoint.cancel. A submission that waits is forgotten and leaves no object.

        One that is not here yet is remembered: a cancel may overtake the submission it is meant for.
        """
        with self._changed:
            held = self._held.get(inference_id)
            if held is None:
                self._called_off.append(inference_id)
                return False
            held.cancelled = True
            self._changed.notify_all()
            if held in self._waiting:
                self._waiting.remove(held)
                del self._held[inference_id]
            if not held.sent:
                return True
        try:
            return self._server.cancel(inference_id)
        except PeerError:
            return False

    def state(self) -> EndpointState:
        """See Endpoint.state; looks at most every `ping_every` seconds, and for at most one."""
        look = self._recent_look()
        with self._changed:
            backlog = len(self._held)
        return EndpointState(
            name=self._name,
            warmth=look.warmth,
            window=self._window,
            model=look.model,
            instances=1 if look.warmth is Warmth.AWAKE else 0,
            backlog=backlog,
        )

    def progress(self) -> dict[str, tuple[int, int]]:
        """Step and number of steps of what is being drawn, by inference id; empty when that is unknown."""
        with self._changed:
            if not any(held.sent for held in self._held.values()):
                return {}
        try:
            told = self._server.progress()
        except PeerError:
            return {}
        with self._changed:
            return {inference_id: told[inference_id] for inference_id in self._held if inference_id in told}

    def close(self) -> None:
        """Stop at once, writing nothing about what is held; returns when the endpoint's thread has ended."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._server.stop()
        self._worker.join()

    def _work(self) -> None:
        while (held := self._next()) is not None:
            try:
                self._serve(held)
            except Exception as error:  # noqa: BLE001 (one submission must not end the thread that serves all)
                self._journal.event("endpoint_crashed", job=held.submission.job_id, kind=type(error).__name__)
            finally:
                with self._changed:
                    del self._held[held.submission.inference_id]

    def _next(self) -> _Held | None:
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            return None if self._closed else self._waiting.popleft()

    def _serve(self, held: _Held) -> None:
        try:
            self._wait_for_server(held)
            answer = self._server.invoke(
                held.submission.inference_id, held.submission.body, timeout=held.submission.timeout
            )
        except _Dropped:
            return
        except PeerError as error:
            if not self._closed:
                self._settle(held, _failure_key(held), _failure(error.code))
            return
        if answer.status == 200:
            self._settle(held, held.submission.output_key, answer.body)
        else:
            self._settle(held, _failure_key(held), _told_failure(answer))

    def _wait_for_server(self, held: _Held) -> None:
        """Return when the server can draw. Raises _Dropped, Rejected("expired"), Unavailable."""
        give_up_at = self._clock.now() + self._down_patience
        while True:
            warmth = self._fresh_look().warmth
            with self._changed:
                if self._closed or held.cancelled:
                    raise _Dropped
                if self._clock.now() >= held.expires_at:
                    raise Rejected("expired")
                if warmth is Warmth.AWAKE:
                    held.sent = True
                    return
                if warmth is Warmth.DOWN and self._clock.now() >= give_up_at:
                    raise Unavailable("unavailable")
                self._changed.wait(LOOK_AGAIN)

    def _settle(self, held: _Held, key: str, body: bytes) -> None:
        """Write the object, remember, tell. Of two objects for one key the first stands."""
        try:
            self._objects.put(key, body)
        except Rejected as error:
            self._journal.event("object_refused", job=held.submission.job_id, code=error.code)
        with self._changed:
            self._settled.append(held.submission.inference_id)
        self._on_settled(held.submission.job_id)

    def _recent_look(self) -> _Look:
        """The last look while it is young or somebody else is looking, else a new one."""
        look = self._look
        if look is not None and time.monotonic() - look.at < self._ping_every:
            return look
        if not self._looking.acquire(blocking=look is None):
            assert look is not None
            return look
        try:
            return self._fresh_look()
        finally:
            self._looking.release()

    def _fresh_look(self) -> _Look:
        self._look = look = self._ask()
        return look

    def _ask(self) -> _Look:
        try:
            answer = self._server.ping()
        except Unavailable:
            return _Look(at=time.monotonic(), warmth=Warmth.DOWN)
        except PeerError:  # it is there, but too busy to answer in time
            before = self._look
            return before or _Look(at=time.monotonic(), warmth=Warmth.WAKING)
        told = json_object(answer.body)
        if answer.status != 200 and told.get("state") != FAILING:
            return _Look(at=time.monotonic(), warmth=Warmth.WAKING)
        model = told.get("model")
        return _Look(
            at=time.monotonic(), warmth=Warmth.AWAKE, model=model if isinstance(model, str) else None
        )


def _failure_key(held: _Held) -> str:
    """Each submission has its own, as a second one may fail in another way."""
    return f"{held.submission.failure_prefix}-{held.submission.ordinal}-error.out"


def _failure(code: str) -> bytes:
    return json.dumps({"error": {"code": code}}).encode()


def _told_failure(answer: Answer) -> bytes:
    """What the server said about its failure, with the status it said it by."""
    told = json_object(answer.body).get("error")
    error = (
        told
        if isinstance(told, dict)
        else {"code": "unavailable" if answer.status == 503 else "engine_error"}
    )
    return json.dumps({"error": {**error, "status": answer.status}}).encode()
