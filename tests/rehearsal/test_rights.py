"""Whether a role allows a call, and which of its rights its own function did not use."""

import json

from infra.rehearsal.calls import Call
from infra.rehearsal.judgement import Entry, Spare, Unreached, recorded, spare_rights
from infra.rehearsal.rights import Right, Role, unseen

PICTURES = "arn:aws:s3:::imagine-local/images/*"
PICTURE = Call(action="s3:GetObject", resource="arn:aws:s3:::imagine-local/images/a")
READING = ("s3:GetObject", PICTURES)


def role(*rights, function="result"):
    return Role(
        function=function,
        name=function,
        key="ASIA0",
        rights=frozenset(Right(action=action, resource=resource) for action, resource in rights),
    )


def test_a_call_outside_every_right_is_refused():
    held = role(("s3:GetObject", PICTURES))
    outside = Call(action="s3:GetObject", resource="arn:aws:s3:::imagine-local/out/a")

    assert held.refused(
        [outside, Call(action="s3:GetObject", resource="arn:aws:s3:::imagine-local/images/a")]
    ) == [outside]


def test_another_action_on_the_same_thing_is_refused():
    put = Call(action="s3:PutObject", resource="arn:aws:s3:::imagine-local/images/a")

    assert role(("s3:GetObject", PICTURES)).refused([put]) == [put]


def test_a_right_that_no_call_needed_is_told():
    held = role(("s3:GetObject", PICTURES), ("cloudwatch:GetMetricData", "*"))

    unused = held.unused([Call(action="cloudwatch:GetMetricData", resource="*")])
    assert [right.action for right in unused] == ["s3:GetObject"]


def test_only_what_a_role_holds_is_loosened():
    assert unseen(["s3:GetObject"]) == ""
    (statement,) = json.loads(unseen(["ssm:GetParameters", "s3:GetObject"]))["Statement"]
    assert statement["Action"] == ["ssm:GetParameters"]


def entry(function, *rights, calls=()):
    return Entry(role=role(*rights, function=function), calls=calls)


def spare(function, *right):
    return Spare(function=function, action=right[0], resource=right[1])


def test_what_another_function_did_excuses_nobody():
    entries = [entry("api", READING), entry("result", READING, calls=[PICTURE])]

    assert spare_rights(entries) == [spare("api", *READING)]


def test_a_step_of_a_job_is_whose_turn_it_was():
    entries = [entry("worker", READING, calls=[PICTURE]), entry("sweep", READING), entry("failure", READING)]

    assert spare_rights(entries) == []


def test_a_step_that_nobody_took_is_spare_for_every_one():
    assert spare_rights([entry("worker", READING), entry("sweep", READING)]) == [
        spare("sweep", *READING),
        spare("worker", *READING),
    ]


def test_what_is_no_step_of_a_job_must_be_used_by_its_holder():
    due = ("dynamodb:Query", "arn:aws:dynamodb:us-east-1:123456789012:table/imagine-local/index/due")
    swept = Call(action=due[0], resource=due[1])

    assert spare_rights([entry("sweep", due, calls=[swept]), entry("worker", due)]) == [spare("worker", *due)]


def test_an_explanation_holds_for_the_functions_it_names():
    reason = Unreached(functions=frozenset({"api"}), action="s3:*", resource="*/images/*", why="nobody asks")

    assert reason.covers(spare("api", *READING))
    assert not reason.covers(spare("admin", *READING))
    assert not reason.covers(spare("api", "s3:GetObject", "arn:aws:s3:::imagine-local/out/*"))


def test_a_report_is_read_as_it_was_written(tmp_path):
    told = {"result": {"calls": [[PICTURE.action, PICTURE.resource]], "rights": [list(READING)]}}
    (tmp_path / "calls.json").write_text(json.dumps(told))
    (read,) = recorded(tmp_path / "calls.json")

    assert (read.function, read.calls, read.role.rights) == ("result", [PICTURE], role(READING).rights)
