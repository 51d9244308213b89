"""What `verify` tells: one finding per problem, with the fix spelled out."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """`ERROR`: it will not work, or must not be used. `WARNING`: it may not do what was meant.

    `NOTE`: good to know.
    """

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`path` is relative to the root, "" for the whole. `code` is for programs. `fix`: what to do, or ""."""

    severity: Severity
    path: str
    code: str
    what: str
    fix: str = ""


def error(path: str, code: str, what: str, fix: str = "") -> Finding:
    return Finding(severity=Severity.ERROR, path=path, code=code, what=what, fix=fix)


def warning(path: str, code: str, what: str, fix: str = "") -> Finding:
    return Finding(severity=Severity.WARNING, path=path, code=code, what=what, fix=fix)


def note(path: str, code: str, what: str, fix: str = "") -> Finding:
    return Finding(severity=Severity.NOTE, path=path, code=code, what=what, fix=fix)
