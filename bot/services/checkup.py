"""What the bot can see of its own health, a line each; a bad one ends with the command that helps."""

from collections.abc import Mapping

from bot.domain import messages
from bot.domain.errors import Refused
from bot.domain.steering import Waking
from bot.domain.times import MINUTE
from bot.ports import Cell, Index, Warmth
from bot.services.core import Caller, Core
from bot.services.rows import IN_FLIGHT, month_key
from bot.services.settings import ENDPOINT
from bot.services.waking import look_at, waking_of

LONGEST_SILENCE = 10 * MINUTE
"""The sweep writes what it saw every five minutes, also when nothing changed."""

MANY_TRIES = 3


def seen_here(core: Core, caller: Caller) -> list[str]:
    """What needs no rights over the endpoint. Raises Refused("not_admin"), PeerError."""
    if not caller.is_admin:
        raise Refused("not_admin")
    look = look_at(core)
    waking = waking_of(look)
    return [
        *_endpoint(core, look.cells),
        _backlog(core),
        _pause(core),
        *_ceiling(core),
        *([_waking(core, waking)] if waking else []),
    ]


def _endpoint(core: Core, cells: Mapping[str, Cell]) -> list[str]:
    state = core.endpoint.state()
    line = messages.endpoint_line(
        name=state.name, warmth=state.warmth, instances=state.instances, model=state.model
    )
    told = cells[ENDPOINT].value if ENDPOINT in cells else None
    if told is None and core.steering is not None:
        return [messages.doctor("endpoint_unseen")]
    if state.warmth is Warmth.DOWN:
        reason = (told or {}).get("reason") or "it does not answer"
        return [messages.doctor("endpoint_down", line=line, reason=reason)]
    found = [messages.doctor("endpoint", line=line)]
    return found if told is None else [*found, _sweep(core, float(told["at"]))]


def _sweep(core: Core, at: float) -> str:
    silent = core.clock.now() - at > LONGEST_SILENCE
    return messages.doctor("sweep_old" if silent else "sweep", age=_age(core, at))


def _backlog(core: Core) -> str:
    state = core.endpoint.state()
    return messages.doctor(
        "backlog",
        waiting=len(core.jobs.query(Index.WAITING, limit=100).jobs),
        in_flight=core.jobs.counter(IN_FLIGHT),
        window=state.window,
        backlog=state.backlog,
    )


def _pause(core: Core) -> str:
    paused = core.settings.paused
    return messages.doctor("paused", reason=paused) if paused else messages.doctor("not_paused")


def _ceiling(core: Core) -> list[str]:
    ceiling = core.policy.month_ceiling
    if ceiling is None or core.jobs.counter(month_key(core.clock.now())) < ceiling:
        return []
    return [messages.doctor("ceiling")]


def _waking(core: Core, waking: Waking) -> str:
    key = "woken_long" if waking.tries > MANY_TRIES else "woken"
    return messages.doctor(key, tries=waking.tries, age=_age(core, waking.since))


def _age(core: Core, at: float) -> str:
    minutes = max(core.clock.now() - at, 0.0) / MINUTE
    return f"{minutes:.0f} min ago"
