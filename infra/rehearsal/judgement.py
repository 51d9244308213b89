"""Each function's rights beside what that very function did, and why it may hold what it did not use."""

import fnmatch
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.rehearsal.calls import Call
from infra.rehearsal.rights import Right, Role

TAKERS = frozenset({"worker", "result", "failure", "sweep"})
"""The functions that take jobs on. They make the same pass over a job (bot/services/work.py), each as far as
it goes, and which of them is there first for a step is chance.
"""

STEPS = (
    "dynamodb:BatchGetItem *",
    "dynamodb:GetItem *",
    "dynamodb:PutItem *",
    "dynamodb:Query */index/waiting",
    "dynamodb:UpdateItem *",
    "lambda:InvokeFunction *-admin",
    "s3:DeleteObject */images/*",
    "s3:DeleteObject */out/*",
    "s3:GetObject */failed/*",
    "s3:GetObject */images/*",
    "s3:GetObject */out/*",
    "s3:ListBucket *",
    "s3:PutObject */images/*",
    "sagemaker:InvokeEndpointAsync *",
    "sqs:SendMessage *-nudges",
    "ssm:GetParameters */slack-bot-token",
)
"""What the steps of a pass need: patterns of an action and a resource. A taker may hold it when another taker
has used it; every other right must have been used by the function that holds it.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One function, named without its stage."""

    role: Role
    calls: Sequence[Call]

    @property
    def function(self) -> str:
        return self.role.function


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Spare:
    """A right that its function did not use."""

    function: str
    action: str
    resource: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreached:
    """Why `functions` hold what the rehearsal does not make them use. Where that depends on who comes first,
    it is `by_chance`, and may be used all the same. `action` and `resource` are patterns.
    """

    functions: frozenset[str]
    action: str
    resource: str
    why: str
    by_chance: bool = False

    def covers(self, spare: Spare) -> bool:
        return (
            spare.function in self.functions
            and fnmatch.fnmatchcase(spare.action, self.action)
            and fnmatch.fnmatchcase(spare.resource, self.resource)
        )


def recorded(report: Path) -> list[Entry]:
    """What a rehearsal wrote down (`story/ending.py`)."""
    return [_entry(name, told) for name, told in json.loads(report.read_text()).items()]


def spare_rights(entries: Sequence[Entry]) -> list[Spare]:
    """Rights that their function did not use, but for steps of jobs that another taker took."""
    taken = [call for entry in entries if entry.function in TAKERS for call in entry.calls]
    return sorted(spare for entry in entries for spare in _spare(entry, taken))


def _spare(entry: Entry, taken: Iterable[Call]) -> Iterator[Spare]:
    shared = set(taken) if entry.function in TAKERS else set()
    for right in entry.role.unused(entry.calls):
        if not (_is_step(right) and any(right.allows(call) for call in shared)):
            yield Spare(function=entry.function, action=right.action, resource=right.resource)


def _is_step(right: Right) -> bool:
    return any(fnmatch.fnmatchcase(f"{right.action} {right.resource}", step) for step in STEPS)


def _entry(name: str, told: Mapping[str, Sequence[Sequence[str]]]) -> Entry:
    rights = frozenset(Right(action=action, resource=resource) for action, resource in told["rights"])
    role = Role(function=name, name=name, key="", rights=rights)
    return Entry(
        role=role, calls=[Call(action=action, resource=resource) for action, resource in told["calls"]]
    )
