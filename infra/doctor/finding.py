"""What a check found."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from botocore.exceptions import BotoCoreError, ClientError

from bot.domain.errors import BotError
from infra.doctor.sight import Sight
from model_packaging.errors import PackagingError


class State(StrEnum):
    """`BLOCKED`: no picture until it is mended. `SKIPPED`: another check has to be right first."""

    OK = "ok"
    NOTE = "note"
    BLOCKED = "blocked"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`fix` is a command, "" where nothing is to be done."""

    state: State
    what: str
    fix: str = ""


Look: TypeAlias = Callable[[Sight], Finding]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One row of the table. `after`: checks that must have gone well. `fix`: for an error nobody foresaw."""

    name: str
    look: Look
    after: tuple[str, ...] = ()
    fix: str = ""


def ok(what: str) -> Finding:
    return Finding(state=State.OK, what=what)


def note(what: str, fix: str = "") -> Finding:
    return Finding(state=State.NOTE, what=what, fix=fix)


def blocked(what: str, fix: str) -> Finding:
    return Finding(state=State.BLOCKED, what=what, fix=fix)


def examine(checks: Iterable[Check], sight: Sight) -> dict[str, Finding]:
    """Every check's finding by its name, in the table's order. Nothing is raised for what is out of order."""
    found: dict[str, Finding] = {}
    for check in checks:
        waits = [name for name in check.after if found[name].state in {State.BLOCKED, State.SKIPPED}]
        if waits:
            found[check.name] = Finding(state=State.SKIPPED, what=f"looked at once {waits[0]} is right")
        else:
            found[check.name] = _looked(check, sight)
    return found


def _looked(check: Check, sight: Sight) -> Finding:
    try:
        return check.look(sight)
    except ClientError as error:
        if error.response["Error"]["Code"] in {"AccessDenied", "AccessDeniedException"}:
            return note(
                f"could not be looked at: {error.operation_name} is not allowed",
                f"imagine iam deployer-policy --stage {sight.stage}",
            )
        return blocked(f"{error.operation_name}: {error.response['Error']['Message']}", check.fix)
    except (BotError, PackagingError, BotoCoreError) as error:
        return blocked(str(error), check.fix)
