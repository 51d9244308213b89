"""The admin function: carries out what admins ask for in Slack, and what the jobs need of the endpoint.

It alone holds rights over the endpoint's capacity, so it checks everything again: who asked, how long ago,
and, where nobody did, whether there is work and money.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from bot.aws.deadline import LambdaContext
from bot.aws.endpoint_control import EndNotKept, EndpointControl, NotScalable
from bot.domain import messages
from bot.domain.errors import BotError, PeerError, Refused, Rejected
from bot.domain.steering import LONGEST_AGE, OURSELVES, UNASKED, Asked, Command, is_wanted
from bot.domain.warm_times import read_duration, read_office_hours
from bot.functions.attempts import HandlerFailed, attempt
from bot.services import admin
from bot.services.checkup import seen_here
from bot.services.core import Caller, Core
from bot.services.settings import change
from bot.services.steering import OFF
from bot.services.waking import forget_waking, look_at, note_waking, seen_of, waking_of

ORDERS, REMEMBERED = "orders", 50
"""The shared row with the ids of the orders carried out last, and how many it holds. `untold` in it are the
answers to some of them, by id, which Slack did not take.
"""

DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})

Found = TypeVar("Found")
Tell = Callable[[str, Sequence[str]], None]
"""Says lines to whoever owns a `response_url`. Raises PeerError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """What the desk works with: `look` writes the shared snapshot, `dead` tells of dead-letter queues."""

    control: EndpointControl
    look: Callable[[], object]
    dead: Callable[[], Iterable[str]]


class AdminDesk:
    """Carries out one order. `tenant` is the workspace served.

    Answers {"done": command}, or {"refused": code} for what it will not do. Raises HandlerFailed when it may
    work the next time; then Lambda comes again.
    """

    def __init__(
        self, core: Core, *, tenant: str, admins: frozenset[str], endpoint: Endpoint, tell: Tell
    ) -> None:
        self._core = core
        self._tenant = tenant
        self._admins = admins
        self._endpoint = endpoint
        self._control = endpoint.control
        self._tell = tell

    def __call__(self, event: object, context: LambdaContext) -> dict[str, Any]:
        del context
        try:
            asked = self._checked(Asked.of(event))
        except Refused as refused:
            self._core.journal.event("admin_refused", code=refused.code)
            return {"refused": refused.code}
        failed = attempt(self._core, "admin", lambda: self._serve(asked))
        if failed is not None:
            raise HandlerFailed(failed)
        return {"done": asked.command}

    def _checked(self, asked: Asked) -> Asked:
        if asked.at and self._core.clock.now() - asked.at > LONGEST_AGE:
            raise Refused("too_old")
        if asked.by == OURSELVES and asked.command in UNASKED:
            return asked
        if asked.tenant != self._tenant:
            raise Refused("other_workspace")
        if asked.by not in self._admins:
            raise Refused("not_admin")
        return asked

    def _serve(self, asked: Asked) -> None:
        """Once, however often Lambda brings the order; what failed in passing is not done yet, and whoever
        Slack did not tell is told when it comes again.
        """
        orders = self._orders()
        if asked.id and asked.by != OURSELVES and asked.id in orders.get("done", ()):
            self._core.journal.event("order_repeated", command=asked.command)
            self._answer_late(asked, orders.get("untold", {}).get(asked.id, ()))
            return
        try:
            lines = self._carried_out(asked)
        except PeerError as error:
            self._whisper(asked, [messages.STEERING["failed"]["later"].format(code=error.code)])
            raise
        if asked.by != OURSELVES:
            self._remember(asked)
        self._answer(asked, lines)

    def _carried_out(self, asked: Asked) -> Sequence[str]:
        """What its giver is told. Raises PeerError where it may work the next time."""
        try:
            lines = self._work[asked.command](asked)
        except BotError as error:
            key, code = _failure(error)
            self._core.journal.event(
                "admin_failed", command=asked.command, tenant=asked.tenant, by=asked.by, code=code
            )
            if key == "later":
                raise
            return [_words(error, key, code)]
        self._core.journal.event("admin_did", command=asked.command, tenant=asked.tenant, by=asked.by)
        return lines

    @property
    def _work(self) -> Mapping[Command, Callable[[Asked], Sequence[str]]]:
        return {
            Command.DOCTOR: self._doctor,
            Command.HAND_BACK: self._hand_back,
            Command.PAUSE: self._pause,
            Command.PURGE: self._purge,
            Command.REFRESH: self._refresh,
            Command.RESUME: self._resume,
            Command.SCHEDULE: self._schedule,
            Command.SLEEP: self._sleep,
            Command.WAKE: self._wake,
            Command.WARM: self._warm,
        }

    # What admins ask for

    def _pause(self, asked: Asked) -> Sequence[str]:
        admin.pause(self._core, _caller(asked), reason=asked.words, at=asked.at or None)
        return _done("pause")

    def _resume(self, asked: Asked) -> Sequence[str]:
        admin.resume(self._core, _caller(asked), at=asked.at or None)
        return _done("resume")

    def _refresh(self, _asked: Asked) -> Sequence[str]:
        self._endpoint.look()
        return _done("refresh")

    def _purge(self, asked: Asked) -> Sequence[str]:
        return [messages.PURGED.format(count=admin.purge(self._core, _caller(asked)))]

    def _warm(self, asked: Asked) -> Sequence[str]:
        """Counted from the asking, so that a repeated order moves no end."""
        now = self._core.clock.now()
        ending = self._control.warm((asked.at or now) + _read(read_duration, asked.words), now=now)
        return _done("warm", until=f"{datetime.fromtimestamp(ending, tz=UTC):%H:%M}")

    def _schedule(self, asked: Asked) -> Sequence[str]:
        if asked.words == OFF:
            return _done("schedule_off" if self._control.end_office_hours() else "schedule_none")
        hours = _read(read_office_hours, asked.words)
        self._control.keep_office_hours(hours)
        return _done("schedule", words=hours)

    def _sleep(self, _asked: Asked) -> Sequence[str]:
        self._control.sleep()
        forget_waking(self._core)
        return _done("sleep")

    def _doctor(self, asked: Asked) -> Sequence[str]:
        self._endpoint.look()
        return [*seen_here(self._core, _caller(asked)), *self._scaling(), *self._endpoint.dead()]

    def _scaling(self) -> list[str]:
        try:
            bounds, actions = self._control.bounds(), self._control.scheduled()
        except NotScalable:
            return [messages.doctor("no_scaling")]
        except Rejected as no:
            return [messages.doctor("unread", what="scaling", code=no.code)]
        held = [
            messages.doctor(
                "kept",
                minimum=action.minimum,
                name=action.name,
                schedule=action.schedule,
                zone=action.zone,
            )
            for action in actions
        ]
        bounded = messages.doctor("scaling", low=bounds.low, high=bounds.high)
        return [bounded, *(held or [messages.doctor("not_kept")])]

    # What the jobs need

    def _wake(self, asked: Asked) -> Sequence[str]:
        if asked.by == OURSELVES:
            self._wake_for_work(asked)
            return ()
        note_waking(self._core, by=asked.by, name=asked.id)
        return _done("wake" if self._control.wake() else "wake_already")

    def _wake_for_work(self, asked: Asked) -> None:
        """An order that was overtaken by the handing back must not leave the minimum raised."""
        if not self._needs_waking(asked):
            self._core.journal.event("order_outdated", command=asked.command)
            return
        self._control.wake()
        if not self._needs_waking(asked):
            self._control.hand_back(now=self._core.clock.now())

    def _needs_waking(self, asked: Asked) -> bool:
        look = look_at(self._core)
        waking = waking_of(look)
        if waking is None or waking.id != asked.id:
            return False
        return is_wanted(waking, seen_of(self._core, look), now=self._core.clock.now())

    def _hand_back(self, asked: Asked) -> Sequence[str]:
        waking = waking_of(look_at(self._core))
        if waking is None or waking.id != asked.id:
            self._core.journal.event("order_outdated", command=asked.command)
            return ()
        try:
            self._control.hand_back(now=self._core.clock.now())
        except NotScalable:
            self._core.journal.event("nothing_to_hand_back")
        forget_waking(self._core)
        return ()

    # Once, and told

    def _orders(self) -> Mapping[str, Any]:
        cell = self._core.cells.read(ORDERS)
        return cell.value if cell else {}

    def _remember(self, asked: Asked) -> None:
        change(
            self._core.cells,
            ORDERS,
            lambda value: {**value, "done": [*value.get("done", ()), asked.id][-REMEMBERED:]},
        )

    def _answer(self, asked: Asked, lines: Sequence[str]) -> None:
        """Raises PeerError where Slack may not have told it; then the answer is kept until the order is
        brought again. Told twice does less harm than never.
        """
        try:
            self._say(asked, lines)
        except Rejected as no:
            self._core.journal.event("whisper_lost", code=no.code)
        except PeerError:
            self._keep(asked, lines)
            raise

    def _answer_late(self, asked: Asked, lines: Sequence[str]) -> None:
        if lines:
            self._answer(asked, lines)
            self._keep(asked, ())

    def _keep(self, asked: Asked, lines: Sequence[str]) -> None:
        """What is to be told when the order is brought again; no lines where that is done."""

        def kept(value: Mapping[str, Any]) -> Mapping[str, Any]:
            others = {name: told for name, told in value.get("untold", {}).items() if name in value["done"]}
            others.pop(asked.id, None)
            return {**value, "untold": {**others, asked.id: list(lines)} if lines else others}

        change(self._core.cells, ORDERS, kept)

    def _whisper(self, asked: Asked, lines: Sequence[str]) -> None:
        """One that is lost is only counted."""
        try:
            self._say(asked, lines)
        except PeerError as lost:
            self._core.journal.event("whisper_lost", code=lost.code)

    def _say(self, asked: Asked, lines: Sequence[str]) -> None:
        if asked.response_url and lines:
            self._tell(asked.response_url, lines)


def _caller(asked: Asked) -> Caller:
    return Caller(tenant=asked.tenant, user=asked.by, is_admin=True)


def _done(key: str, **facts: object) -> Sequence[str]:
    return [messages.STEERING["done"][key].format_map(facts)]


def _read(read: Callable[[str], Found], words: str) -> Found:
    """Raises Refused with what is wrong and a line that works."""
    try:
        return read(words)
    except ValueError as error:
        raise Refused("bad_words", why=error) from error


def _failure(error: BotError) -> tuple[str, str]:
    """Which sentence fits, and the code for the journal."""
    if isinstance(error, NotScalable):
        return "no_scaling", "no_scaling"
    if isinstance(error, EndNotKept):
        return "end_not_kept", "end_not_kept"
    if isinstance(error, Refused):
        return "words", error.code
    if isinstance(error, Rejected):
        return ("denied" if error.code in DENIED else "refused"), error.code
    return "later", getattr(error, "code", type(error).__name__)


def _words(error: BotError, key: str, code: str) -> str:
    if isinstance(error, Refused):
        return messages.refusal(error.code, error.facts)
    return messages.STEERING["failed"][key].format(code=code)
