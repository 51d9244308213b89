"""The gates say what is wrong, and let nothing be that nobody looked at."""

import pytest

from infra.template_gates import actions
from infra.template_gates.findings import Finding, Waiver, complaints
from infra.template_gates.waivers import CFN_LINT, CHECKOV

pytestmark = pytest.mark.slow

OPEN = Finding(rule="CKV_1", where="AWS::S3::Bucket.Pictures", says="it is open")


def waiver(rule="CKV_1", where="AWS::S3::Bucket.*"):
    return Waiver(rule=rule, where=where, reason="it is meant to be")


def test_what_is_found_is_said_once():
    assert list(complaints([OPEN, OPEN], [])) == ["CKV_1 AWS::S3::Bucket.Pictures: it is open"]


def test_what_was_looked_at_is_let_be():
    assert list(complaints([OPEN], [waiver()])) == []


def test_a_waiver_for_another_thing_lets_nothing_be():
    (said, unused) = complaints([OPEN], [waiver(where="AWS::S3::Bucket.Models")])

    assert said.endswith("it is open")
    assert unused.endswith("take the waiver out")


def test_a_waiver_that_nothing_needs_is_to_go():
    (said,) = complaints([OPEN], [waiver(), waiver(rule="CKV_2")])

    assert said.startswith("CKV_2 ")


def test_every_waiver_gives_a_reason():
    assert all(len(waived.reason) > 20 for waived in (*CFN_LINT, *CHECKOV, *actions.WAIVERS))


class Reference:
    """Two actions, of which one cannot be allowed on less than everything."""

    def knows(self, action):
        return action in {"s3:GetObject", "logs:ListLogDeliveries"}

    def names_resources(self, action):
        return action == "s3:GetObject"


@pytest.mark.parametrize(
    ("action", "resource", "rule"),
    [
        ("s3:GetObjekt", "arn:aws:s3:::b/k", actions.UNKNOWN),
        ("s3:*", "arn:aws:s3:::b/k", actions.STARRED),
        ("s3:GetObject", "*", actions.EVERYWHERE),
        ("s3:GetObject", {"Fn::Sub": "arn:${AWS::Partition}:s3:::b/*"}, actions.WIDE),
        ("s3:GetObject", {"Fn::GetAtt": ["Bucket", "Arn"]}, None),
        ("logs:ListLogDeliveries", "*", None),
    ],
)
@pytest.mark.parametrize("holder", ["role", "managed policy"])
def test_a_right_that_is_wider_than_it_must_be_is_found(action, resource, rule, holder):
    document = {"Statement": [{"Effect": "Allow", "Action": action, "Resource": resource}]}
    held = {
        "role": {"Type": "AWS::IAM::Role", "Properties": {"Policies": [{"PolicyDocument": document}]}},
        "managed policy": {"Type": "AWS::IAM::ManagedPolicy", "Properties": {"PolicyDocument": document}},
    }[holder]

    found = actions.findings(Reference(), [{"Resources": {"Worker": held}}])

    assert [finding.rule for finding in found] == ([rule] if rule else [])
