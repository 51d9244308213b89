"""What each function did in the rehearsal beside what its own role allows: no more and no less.

`make rehearse` plays the story first, which writes down every call of AWS (build/rehearsal/calls.json).
"""

from pathlib import Path

import pytest

from infra.rehearsal.judgement import TAKERS, Unreached, recorded, spare_rights

REPORT = Path(__file__).resolve().parents[2] / "build" / "rehearsal" / "calls.json"
EVERYBODY = frozenset({"slack", "api", "admin"}) | TAKERS


def unreached(functions, action, resource, why, *, by_chance=False):
    named = frozenset(functions.split()) if isinstance(functions, str) else functions
    return Unreached(functions=named, action=action, resource=resource, why=why, by_chance=by_chance)


UNREACHED = (
    unreached(EVERYBODY, "logs:*", "*", "Lambda writes the log, with the function's role"),
    unreached("worker", "sqs:DeleteMessage", "*-nudges", "Lambda polls, with the worker's role"),
    unreached("worker", "sqs:ReceiveMessage", "*-nudges", "Lambda polls, with the worker's role"),
    unreached("worker", "sqs:GetQueueAttributes", "*-nudges", "Lambda polls, with the worker's role"),
    unreached(
        "result failure sweep admin",
        "sqs:SendMessage",
        "*-dead-events",
        "Lambda keeps what failed, with the function's role",
    ),
    unreached(TAKERS, "s3:*Object", "*/in/*", "only a body too large for the request lies there"),
    unreached(TAKERS, "s3:DeleteObject", "*/failed/*", "nobody deletes a job that failed"),
    unreached(
        TAKERS,
        "sqs:SendMessage",
        "*-nudges",
        "only for a job that waited for another's end, or a picture that Slack takes long to show",
        by_chance=True,
    ),
    unreached("slack", "dynamodb:Query", "*/index/open", "admin queue: nobody asks for it"),
    unreached("slack", "dynamodb:Query", "*/index/person", "info and cancel by words: buttons are pressed"),
    unreached("api", "s3:PutObject", "*/images/*", "nobody sends a picture to start from"),
    unreached("api", "s3:DeleteObject", "*/images/*", "nobody's picture to start from is refused"),
    unreached("api", "s3:GetObject", "*/images/*", "whoever opens a link, which the record does not see"),
    unreached("sweep", "s3:GetObject", "*/models/*", "the demo model comes in no release"),
    unreached("admin", "dynamodb:Query", "*/index/open", "admin purge: nobody gives the order"),
    unreached("admin", "dynamodb:UpdateItem", "*", "admin purge: nobody gives the order"),
    unreached("admin", "sqs:SendMessage", "*-nudges", "admin purge: nobody gives the order"),
    unreached(
        "admin",
        "sagemaker:DescribeEndpointConfig",
        "*",
        "Application Auto Scaling looks with its caller's rights, and the stand-in has none",
    ),
)


@pytest.fixture(scope="module")
def entries():
    """Fails, with what helps, where nothing was played."""
    assert REPORT.exists(), "nothing was recorded; say make rehearse, which plays the story first"
    return recorded(REPORT)


def test_no_function_did_what_its_role_does_not_allow(entries):
    refused = {entry.function: entry.role.refused(entry.calls) for entry in entries}

    assert {name: calls for name, calls in refused.items() if calls} == {}


def test_every_function_used_its_rights_or_it_is_said_why_not(entries):
    unexplained = [
        spare for spare in spare_rights(entries) if not any(reason.covers(spare) for reason in UNREACHED)
    ]

    assert [f"{spare.function}: {spare.action} on {spare.resource}" for spare in unexplained] == []


@pytest.mark.parametrize(
    "reason",
    [reason for reason in UNREACHED if not reason.by_chance],
    ids=lambda reason: f"{reason.action} on {reason.resource}",
)
def test_an_explanation_is_needed_by_each_function_it_names(entries, reason):
    spare = [each for each in spare_rights(entries) if reason.covers(each)]

    assert {each.function for each in spare} == reason.functions, "take away whom the story makes use it"


def test_every_function_was_driven(entries):
    assert [entry.function for entry in entries if not entry.calls] == []
