"""Asking once more, at once, when a call was lost on the way: for calls whose repetition changes nothing."""

from collections.abc import Callable
from typing import TypeVar

from bot.aws.peer_errors import BAD_CREDENTIALS
from bot.domain.errors import Ambiguous, Unavailable

Answer = TypeVar("Answer")

LASTING = BAD_CREDENTIALS | {"NoCredentialsError", "PartialCredentialsError", "ReadTimeoutError"}
"""Credentials do not renew within a call, and who was silent for the whole timeout had its time."""


def with_second_try(call: Callable[[], Answer]) -> Answer:
    """Call, and once more if that got lost.

    Raises Ambiguous when one of the two may have had its effect, else what the second raised.
    """
    try:
        return call()
    except (Ambiguous, Unavailable) as lost:
        if lost.code in LASTING:
            raise
        first = lost
    try:
        return call()
    except Unavailable as second:
        raise first from second


def read(call: Callable[[], Answer]) -> Answer:
    """Call something without effect, twice at most. A lost reply then is as good as no call: Unavailable."""
    try:
        return with_second_try(call)
    except Ambiguous as lost:
        raise Unavailable(lost.code) from lost
