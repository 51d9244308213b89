"""The function that Slack talks to. It answers in time whatever happens behind it."""

import json
import threading
from collections.abc import Callable, Mapping
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from bot.domain import messages
from bot.ports import Clock, Journal
from bot.slack.lambda_http import Request, answer_of, request_of
from bot.slack.receiver import PLAIN, Response

HARD_STOP = 2.5
"""Seconds from the gateway on after which Slack is answered. Slack hangs up after three (docs: "Acknowledging
requests"), which it counts from its own side of the network."""

LEAST = 0.5
"""Seconds a request gets however long its process took to start."""


class Handle(Protocol):
    """`bot.slack.receiver.Receiver.handle`."""

    def __call__(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Response: ...


class Front:
    """HTTP API requests in, Slack's answers out. Never raises.

    Work that is late goes on in its thread. What it may still do is to accept the job it was asked for, and
    that is what the late answer says.
    """

    def __init__(
        self, handle: Handle, *, clock: Clock, journal: Journal, hard_stop: float = HARD_STOP
    ) -> None:
        self._handle = handle
        self._clock = clock
        self._journal = journal
        self._hard_stop = hard_stop

    def __call__(self, event: object, context: object) -> dict[str, Any]:
        del context
        request = request_of(event)
        if isinstance(request, Response):
            return answer_of(request)
        answer = _within(self._patience(request), lambda: self._answer(request))
        if answer is None:
            self._journal.event("hard_stop")
            answer = _late(request)
        return answer_of(answer)

    def _patience(self, request: Request) -> float:
        """A cold start has used up some of the time, which the gateway's stamp tells."""
        now = self._clock.now()
        waited = now - min(now, request.received_at if request.received_at is not None else now)
        return max(LEAST, self._hard_stop - waited)

    def _answer(self, request: Request) -> Response:
        try:
            return self._handle(request.method, request.path, request.headers, request.body)
        except Exception as error:  # noqa: BLE001  the last line of defence: Slack waits for an answer
            self._journal.event("handler_failed", handler="slack", kind=type(error).__name__)
            return Response(status=500, headers=PLAIN, body=messages.UNEXPECTED.encode())


def _within(seconds: float, work: Callable[[], Response]) -> Response | None:
    """The answer, None when there is none after `seconds`."""
    answers: SimpleQueue[Response] = SimpleQueue()
    threading.Thread(target=lambda: answers.put(work()), daemon=True).start()
    try:
        return answers.get(timeout=seconds)
    except Empty:
        return None


def _late(request: Request) -> Response:
    """Who typed a command is told. An event (JSON) is refused, so that Slack sends it again; so is the use of
    a control, for whose answer Slack shows nothing but whether it was one.
    """
    if request.body.startswith((b"{", b"payload=")):
        return Response(status=503, headers=PLAIN, body=b"late")
    told = {"response_type": "ephemeral", "text": messages.refusal("not_confirmed", {})}
    return Response(status=200, headers={"content-type": "application/json"}, body=json.dumps(told).encode())
