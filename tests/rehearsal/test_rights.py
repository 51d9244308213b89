"""Whether a role allows a call, and which of its rights nothing used."""

import json

from infra.rehearsal.calls import Call
from infra.rehearsal.rights import Right, Role, unseen

PICTURES = "arn:aws:s3:::imagine-local/images/*"


def role(*rights):
    return Role(
        function="result",
        name="result",
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
