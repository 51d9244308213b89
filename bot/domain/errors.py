"""Every error the bot raises on purpose.

BotError
├── Refused              a person asked for what we will not do; its code finds its sentence
├── Conflict             a conditional write did not land, because somebody else's did
│   ├── AlreadyExists    the job id is taken by another write
│   ├── JobMoved         the job row changed since it was read
│   ├── PersonMoved      the person's row changed since it was read
│   ├── GuardClosed      the same click or line was accepted a moment ago
│   ├── CeilingReached   a counter would pass its ceiling
│   └── CellMoved        a shared cell changed since it was read
├── PeerError            another service did not do what was asked
│   ├── Busy             it asked us to come back later (throttled)
│   ├── Unavailable      the call provably had no effect
│   │   └── Unauthorized it does not take our credential, which an operator has to renew
│   ├── Ambiguous        the call may or may not have had its effect
│   └── Rejected         it answered a lasting no
├── BadPicture           bytes that are no picture we accept
├── BadOutput            an inference response that holds no usable result
├── IllegalTransition    the transition table forbids the step
└── ConfigError          a setting is missing or wrong; names the setting and the fix
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bot.domain.person import Person


class BotError(Exception):
    """Base of the tree."""


class Refused(BotError):
    """A refusal for a person. `code` names its sentence in `messages.py`; `facts` fill it in."""

    def __init__(self, code: str, **facts: object) -> None:
        super().__init__(code)
        self.code = code
        self.facts = facts


class Conflict(BotError):
    """A conditional write lost against another one."""


class AlreadyExists(Conflict):
    def __init__(self, job_id: str) -> None:
        super().__init__(job_id)
        self.job_id = job_id


class JobMoved(Conflict):
    """Read the row again and decide anew."""


class PersonMoved(Conflict):
    """`current` is the person's row as it is, where the store told it: decide anew from it."""

    def __init__(self, user: str, *, current: "Person | None" = None) -> None:
        super().__init__(user)
        self.current = current


class GuardClosed(Conflict):
    """`job_id` is the job that the first click or line made."""

    def __init__(self, job_id: str) -> None:
        super().__init__(job_id)
        self.job_id = job_id


class CeilingReached(Conflict):
    """`key` names the counter that would pass its ceiling."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


class CellMoved(Conflict):
    """`current` is the `ports.Cell` as it is, None when it is absent or the store did not tell."""

    def __init__(self, key: str, *, current: Any = None) -> None:
        super().__init__(key)
        self.current = current


class PeerError(BotError):
    """`code` is the peer's own error string or status, safe to log and never shown to people."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Busy(PeerError):
    """`retry_after` seconds is the peer's own wish, None when it named none."""

    def __init__(self, code: str, *, retry_after: float | None = None) -> None:
        super().__init__(code)
        self.retry_after = retry_after


class Unavailable(PeerError):
    """Nothing reached the peer, so the call may be repeated without harm."""


class Unauthorized(Unavailable):
    """Our credential is not taken: nothing was done, and an operator has to give us another one."""


class Ambiguous(PeerError):
    """The reply was lost: look before repeating the call."""


class Rejected(PeerError):
    """Repeating the same call gives the same answer."""


class BadPicture(BotError):
    """The bytes are no PNG, JPEG or WebP picture within the limits."""


class BadOutput(BotError):
    """An inference response that no known container generation would write."""


class IllegalTransition(BotError):
    """A programming error: the step is not in the transition table."""


class ConfigError(BotError):
    """A setting is missing or wrong."""
