"""Waking the endpoint for work, and handing it back: asked of the admin function, once a sleep.

A shared row says that the minimum is raised. It is written before anybody is asked and emptied by the admin
function alone, after the handing back: so ten jobs at once ask once, and a lost message is asked again.
"""

from collections.abc import Mapping
from typing import Any

from bot.domain.errors import CellMoved, PeerError
from bot.domain.steering import OURSELVES, Asked, Command, Seen, Waking, next_command
from bot.ports import Cell, Look, Steering, Warmth
from bot.services.core import Core
from bot.services.rows import IN_FLIGHT, month_key
from bot.services.settings import ENDPOINT, SETTINGS

WAKING = "waking"
_ASLEEP = (Warmth.ASLEEP, Warmth.WAKING)


def wake_for_work(core: Core) -> None:
    """A job was handed to the endpoint. Costs nothing while it is awake; a failure is left to the sweep."""
    if core.steering is None or core.endpoint.state().warmth not in _ASLEEP:
        return
    try:
        tend(core)
    except PeerError as error:
        core.journal.event("waking_failed", code=error.code)


def tend(core: Core) -> Command | None:
    """Ask for what the endpoint's capacity needs now, and return it. Raises PeerError.

    An order that is lost is asked again later: the row says when.
    """
    if core.steering is None:
        return None
    now, look = core.clock.now(), look_at(core)
    cell, waking = look.cells.get(WAKING), waking_of(look)
    command = next_command(waking, seen_of(core, look), now=now)
    if command is None:
        return None
    fresh = Waking(id=core.ids.token(), by=OURSELVES, since=now)
    after = (waking or fresh).asked(command, now=now)
    if not _note(core, cell, after.record):
        return None
    _ask(core, core.steering, Asked(command=command, tenant="", by=OURSELVES, id=after.id, at=now))
    return command


def look_at(core: Core) -> Look:
    """Everything that decides about waking, in one read. Raises PeerError."""
    month = month_key(core.clock.now())
    return core.cells.look((WAKING, ENDPOINT, SETTINGS), counters=(IN_FLIGHT, month))


def waking_of(look: Look) -> Waking | None:
    """The raised minimum, if there is one."""
    return Waking.of(_value(look, WAKING))


def seen_of(core: Core, look: Look) -> Seen:
    """The endpoint as the sweep saw it last, and whether there is work and money."""
    told, ceiling = _value(look, ENDPOINT), core.policy.month_ceiling
    burned = look.counters.get(month_key(core.clock.now()), 0)
    return Seen(
        instances=int(told.get("instances") or 0),
        desired=int(told.get("desired") or 0),
        is_serving=told.get("warmth") in set(Warmth) - {Warmth.DOWN},
        in_flight=look.counters.get(IN_FLIGHT, 0),
        may_spend=_value(look, SETTINGS).get("paused") is None and (ceiling is None or burned <= ceiling),
    )


def note_waking(core: Core, *, by: str, name: str) -> None:
    """An admin raises the minimum: from now on the sweep hands it back. One that is raised stays as it is."""
    look, now = look_at(core), core.clock.now()
    if waking_of(look) is None:
        waking = Waking(id=name, by=by, since=now).asked(Command.WAKE, now=now)
        _note(core, look.cells.get(WAKING), waking.record)


def forget_waking(core: Core) -> None:
    """The minimum is handed back. Where somebody wrote meanwhile, the sweep comes again."""
    _note(core, core.cells.read(WAKING), {})


def _note(core: Core, cell: Cell | None, record: Mapping[str, Any]) -> bool:
    """False where another was faster, who then asks as well."""
    try:
        core.cells.write(WAKING, record, expected=cell.version if cell else 0)
    except CellMoved:
        return False
    return True


def _ask(core: Core, steering: Steering, asked: Asked) -> None:
    try:
        steering.ask(asked)
    except PeerError as lost:
        core.journal.event("order_lost", command=asked.command, code=lost.code)
    else:
        core.journal.event("asked_for", command=asked.command, waking=asked.id)


def _value(look: Look, key: str) -> Mapping[str, Any]:
    cell = look.cells.get(key)
    return cell.value if cell else {}
