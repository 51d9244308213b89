"""The functions that look after the service: the sweep every minute, and what admins ask for."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bot.aws.deadline import Deadline, LambdaContext
from bot.aws.events import Ours, tick
from bot.domain.errors import Refused
from bot.functions.attempts import HandlerFailed, attempt
from bot.functions.jobs import MARGIN
from bot.services import admin
from bot.services.core import Caller, Core
from bot.services.sweep import sweep

LONGEST_REASON = 500


class Sweeper:
    """Looks at the endpoint, then takes every job on that is due. `look` writes what everybody else reads.

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
        if failed is not None:
            raise HandlerFailed(failed)
        return {}

    def _sweep(self, deadline: Deadline) -> None:
        self._core.journal.event("swept", taken=sweep(self._core, deadline=deadline.at))


class Command(StrEnum):
    """What may be asked of the admin function."""

    PAUSE = "pause"
    REFRESH = "refresh"
    RESUME = "resume"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A command with who gave it; the Slack function has checked both, and this one checks again."""

    command: Command
    tenant: str
    by: str
    reason: str = ""


class AdminDesk:
    """Carries out what an admin asked for in Slack. `tenant` is the workspace served, `look` as for Sweeper.

    Answers {"done": command}, or {"refused": code} for what it will not do. Raises HandlerFailed.
    """

    def __init__(
        self, core: Core, *, tenant: str, admins: frozenset[str], look: Callable[[], object]
    ) -> None:
        self._core = core
        self._tenant = tenant
        self._admins = admins
        self._look = look

    def __call__(self, event: object, context: LambdaContext) -> dict[str, Any]:
        del context
        try:
            asked = self._checked(asked_of(event))
        except Refused as refused:
            self._core.journal.event("admin_refused", code=refused.code)
            return {"refused": refused.code}
        failed = attempt(self._core, "admin", lambda: self._carry_out(asked))
        if failed is not None:
            raise HandlerFailed(failed)
        return {"done": asked.command}

    def _checked(self, asked: Asked) -> Asked:
        if asked.tenant != self._tenant:
            raise Refused("other_workspace")
        if asked.by not in self._admins:
            raise Refused("not_admin")
        return asked

    def _carry_out(self, asked: Asked) -> None:
        caller = Caller(tenant=asked.tenant, user=asked.by, is_admin=True)
        work: Mapping[Command, Callable[[], object]] = {
            Command.PAUSE: functools.partial(admin.pause, self._core, caller, reason=asked.reason),
            Command.RESUME: functools.partial(admin.resume, self._core, caller),
            Command.REFRESH: self._look,
        }
        work[asked.command]()
        self._core.journal.event("admin_did", command=asked.command, tenant=asked.tenant, by=asked.by)


def asked_of(event: object) -> Asked:
    """The command in a payload. Raises Refused: bad_payload, unknown_command."""
    if not isinstance(event, Mapping) or not event.keys() <= {"command", "tenant", "by", "reason"}:
        raise Refused("bad_payload")
    words = [event.get(name, "") for name in ("command", "tenant", "by", "reason")]
    if not all(isinstance(word, str) and len(word) <= LONGEST_REASON for word in words):
        raise Refused("bad_payload")
    command, tenant, by, reason = words
    if command not in set(Command):
        raise Refused("unknown_command")
    return Asked(command=Command(command), tenant=tenant, by=by, reason=reason)
