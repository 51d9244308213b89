"""What the functions did in the rehearsal beside what their roles allow: no more and no less.

`make rehearse` plays the story first, which writes down every call of AWS (build/rehearsal/calls.json).
"""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra.rehearsal.calls import Call
from infra.rehearsal.rights import Right, Role

REPORT = Path(__file__).resolve().parents[2] / "build" / "rehearsal" / "calls.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreached:
    """Rights that the story does not use, and why they are there. Both words are beginnings."""

    action: str
    resource: str
    why: str
    functions: frozenset[str] = frozenset()
    """Empty for all of them."""

    def covers(self, function: str, right: Right) -> bool:
        return (
            (not self.functions or function in self.functions)
            and right.action.startswith(self.action)
            and right.resource.startswith(self.resource)
        )


UNREACHED: tuple[Unreached, ...] = ()


def recorded():
    """Function to its role and its calls. Fails, with what helps, where nothing was played."""
    assert REPORT.exists(), "nothing was recorded; say make rehearse, which plays the story first"
    told = json.loads(REPORT.read_text())
    return {
        name: (
            Role(
                function=name,
                name=name,
                key="",
                rights=frozenset(Right(action=a, resource=r) for a, r in entry["rights"]),
            ),
            [Call(action=a, resource=r) for a, r in entry["calls"]],
        )
        for name, entry in told.items()
    }


def test_no_function_did_what_its_role_does_not_allow():
    refused = {name: role.refused(calls) for name, (role, calls) in recorded().items()}

    assert {name: calls for name, calls in refused.items() if calls} == {}


def test_every_right_was_used_or_its_absence_is_explained():
    unused = {
        name: [
            f"{right.action} on {right.resource}"
            for right in role.unused(calls)
            if not any(reason.covers(name, right) for reason in UNREACHED)
        ]
        for name, (role, calls) in recorded().items()
    }

    assert {name: rights for name, rights in unused.items() if rights} == {}


@pytest.mark.parametrize("reason", UNREACHED, ids=lambda reason: f"{reason.action} {reason.resource}")
def test_an_explanation_is_needed(reason):
    covered = [
        right
        for name, (role, calls) in recorded().items()
        for right in role.unused(calls)
        if reason.covers(name, right)
    ]

    assert covered, "the story reaches it now: take the explanation away"
