"""What the functions did in the rehearsal beside what their roles allow: no more and no less.

Two policies are shared by the functions that take jobs on (infra/serverless/roles.yml), so a right counts as
used when one of its holders has used it.

`make rehearse` plays the story first, which writes down every call of AWS (build/rehearsal/calls.json).
"""

import fnmatch
import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra.rehearsal.calls import Call
from infra.rehearsal.rights import Right, Role

REPORT = Path(__file__).resolve().parents[2] / "build" / "rehearsal" / "calls.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreached:
    """Rights that the story does not use, and why they are there. Both are patterns."""

    action: str
    resource: str
    why: str

    def covers(self, right: Right) -> bool:
        return fnmatch.fnmatchcase(right.action, self.action) and fnmatch.fnmatchcase(
            right.resource, self.resource
        )


UNREACHED = (
    Unreached(action="logs:*", resource="*", why="Lambda writes the log, with the function's role"),
    Unreached(action="sqs:DeleteMessage", resource="*-nudges", why="Lambda polls, with the worker's role"),
    Unreached(action="sqs:ReceiveMessage", resource="*-nudges", why="Lambda polls, with the worker's role"),
    Unreached(
        action="sqs:GetQueueAttributes", resource="*-nudges", why="Lambda polls, with the worker's role"
    ),
    Unreached(
        action="sqs:SendMessage",
        resource="*-dead-events",
        why="Lambda keeps what failed, with the function's role",
    ),
    Unreached(
        action="dynamodb:Query", resource="*/index/open", why="lists of open jobs: nobody asks for one"
    ),
    Unreached(action="s3:*Object", resource="*/in/*", why="only a body too large for the request lies there"),
    Unreached(action="s3:DeleteObject", resource="*/failed/*", why="nobody deletes a job that failed"),
    Unreached(action="s3:GetObject", resource="*/models/*", why="the demo model comes in no release"),
)


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


def unused():
    """Rights that none of the functions that hold them has used."""
    entries = recorded().values()
    held = set().union(*(role.rights for role, _ in entries))
    used = {right for role, calls in entries for right in role.rights if any(map(right.allows, calls))}
    return held - used


def test_every_right_was_used_or_its_absence_is_explained():
    unexplained = [right for right in unused() if not any(reason.covers(right) for reason in UNREACHED)]

    assert sorted(f"{right.action} on {right.resource}" for right in unexplained) == []


@pytest.mark.parametrize("reason", UNREACHED, ids=lambda reason: f"{reason.action} on {reason.resource}")
def test_an_explanation_is_needed(reason):
    assert any(reason.covers(right) for right in unused()), "the story reaches it: take the explanation away"


def test_every_function_was_driven():
    silent = [name for name, (_, calls) in recorded().items() if not calls]

    assert silent == []
