"""How a function tries a piece of work: a failure is counted, and whoever called comes again."""

from collections.abc import Callable

from bot.domain.errors import PeerError
from bot.services.core import Core


class HandlerFailed(Exception):
    """Lambda repeats the event and keeps what fails for ever in the dead-letter queue.

    Says which kinds of error there were and nothing else: what an error holds may be personal.
    """


def attempt(core: Core, handler: str, work: Callable[[], object], *, job: str | None = None) -> str | None:
    """None when the work was done, else the kind of error that stopped it, which the journal then has."""
    try:
        work()
    except PeerError as error:
        kind, code = type(error).__name__, error.code
    except Exception as error:  # noqa: BLE001  a defect in one record must not cost the others
        kind, code = type(error).__name__, None
    else:
        return None
    core.journal.event("handler_failed", handler=handler, job=job, kind=kind, code=code)
    return kind
