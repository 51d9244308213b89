"""The function that looks after the service every minute."""

from collections.abc import Callable
from typing import Any

from bot.aws.deadline import Deadline, LambdaContext
from bot.aws.events import Ours, tick
from bot.functions.attempts import HandlerFailed, attempt
from bot.functions.jobs import MARGIN
from bot.services.core import Core
from bot.services.sweep import sweep
from bot.services.waking import tend


class Sweeper:
    """Looks at the endpoint, takes every job on that is due, and has the endpoint woken or handed back.

    `look` writes what everybody else reads.

    Raises HandlerFailed when it could not sweep. An endpoint that cannot be looked at only makes what
    people are told about it older.
    """

    def __init__(self, core: Core, *, look: Callable[[], object], ours: Ours) -> None:
        self._core = core
        self._look = look
        self._ours = ours

    def __call__(self, event: object, context: LambdaContext) -> dict[str, Any]:
        refused = tick(event, self._ours)
        if refused is not None:
            self._core.journal.event("foreign_event", reason=refused.reason)
            return {"refused": refused.reason}
        deadline = Deadline.of(context, clock=self._core.clock, margin=MARGIN)
        if attempt(self._core, "snapshot", self._look) is not None:
            self._core.journal.event("snapshot_failed")
        failed = attempt(self._core, "sweep", lambda: self._sweep(deadline))
        attempt(self._core, "tend", lambda: tend(self._core))
        if failed is not None:
            raise HandlerFailed(failed)
        return {}

    def _sweep(self, deadline: Deadline) -> None:
        self._core.journal.event("swept", taken=sweep(self._core, deadline=deadline.at))
