"""Which object keys are allowed: those that mean the same in a folder and in S3."""

import re

from bot.domain.errors import Rejected

MOST_LISTED = 100
MOST_CHARACTERS = 512

_SEGMENT = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_KEY = re.compile(rf"{_SEGMENT}(/{_SEGMENT})*")
_PREFIX = re.compile(rf"({_SEGMENT}/)*({_SEGMENT})?")


def check_key(key: str) -> None:
    """Raises Rejected("bad_key") for anything that could leave the folder, hide in it or be spelt twice."""
    if len(key) > MOST_CHARACTERS or not _KEY.fullmatch(key):
        raise Rejected("bad_key")


def check_prefix(prefix: str) -> None:
    """Like `check_key`; a prefix may also be empty or end with a slash."""
    if len(prefix) > MOST_CHARACTERS or not _PREFIX.fullmatch(prefix):
        raise Rejected("bad_key")
