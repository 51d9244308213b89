"""One role a function, with what that function does and nothing else."""

import json
import re

import pytest

from infra.template_gates.policies import listed

pytestmark = pytest.mark.slow

LONGEST_INLINE = 10_240
"""Characters of a role's inline policies (IAM and STS quotas)."""

MOST_RESOURCES = 500
"""Of a stack (CloudFormation quotas)."""

STEERING = {
    "application-autoscaling:DeleteScheduledAction",
    "application-autoscaling:DescribeScalableTargets",
    "application-autoscaling:DescribeScheduledActions",
    "application-autoscaling:PutScheduledAction",
    "application-autoscaling:RegisterScalableTarget",
    "sagemaker:UpdateEndpointWeightsAndCapacities",
}


def test_every_function_has_a_role_of_its_own_that_writes_its_own_log_alone(stack):
    roles = {name: function["Role"]["Fn::GetAtt"][0] for name, function in stack.functions.items()}

    assert len(set(roles.values())) == len(roles)
    assert stack.of_type("AWS::IAM::Role").keys() == set(roles.values())
    for name in stack.functions:
        logs = [s for s in stack.statements_of(name) if "logs:PutLogEvents" in listed(s["Action"])]
        assert [s["Resource"] for s in logs] == [{"Fn::GetAtt": [f"{name.title()}LogGroup", "Arn"]}]


def test_a_role_holds_its_own_statements_alone(stack):
    assert stack.of_type("AWS::IAM::ManagedPolicy") == {}
    for role in stack.of_type("AWS::IAM::Role").values():
        assert "ManagedPolicyArns" not in role


def test_roles_and_stack_are_within_the_limits_of_aws(stack):
    assert len(stack.resources) <= MOST_RESOURCES
    for role in stack.of_type("AWS::IAM::Role").values():
        written = json.dumps(role["Policies"], separators=(",", ":"))
        assert len(written) <= LONGEST_INLINE


def test_only_lambda_may_take_a_role_on(stack):
    for role in stack.of_type("AWS::IAM::Role").values():
        (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert statement["Principal"] == {"Service": "lambda.amazonaws.com"}


def test_path_and_boundary_of_roles_are_what_is_given(dev, prod):
    def made(stack):
        roles = stack.of_type("AWS::IAM::Role").values()
        return {(role["Path"], role.get("PermissionsBoundary")) for role in roles}

    assert made(dev) == {("/", None)}
    assert made(prod) == {("/acme/", "arn:aws:iam::123456789012:policy/limits")}


@pytest.mark.parametrize(
    ("name", "never"),
    [
        ("slack", {"s3:GetObject", "s3:PutObject", "sagemaker:InvokeEndpointAsync", "sqs:ReceiveMessage"}),
        ("api", {"sagemaker:InvokeEndpointAsync", "ssm:GetParameters", "lambda:InvokeFunction"}),
        ("worker", {"sagemaker:DescribeEndpoint", "cloudwatch:GetMetricData"}),
        ("result", {"sqs:ReceiveMessage", "sagemaker:DescribeEndpoint"}),
        ("sweep", {"sqs:ReceiveMessage"}),
        ("admin", {"s3:GetObject", "sagemaker:InvokeEndpointAsync", "ssm:GetParameters"}),
    ],
)
def test_a_function_may_not_do_the_work_of_another(stack, name, never):
    assert stack.actions_of(name) & (never | {"dynamodb:Scan", "dynamodb:DeleteItem"}) == set()


def test_a_function_asks_the_indexes_that_its_work_needs(stack):
    asked = {
        name: sorted(
            re.findall(r"/index/([a-z]+)", json.dumps(statement["Resource"]))
            for statement in stack.statements_of(name)
            if "dynamodb:Query" in listed(statement["Action"])
        )
        for name in stack.functions
    }
    taken_on = {name: [["waiting"]] for name in ("worker", "result", "failure")}
    assert {name: indexes for name, indexes in asked.items() if indexes} == {
        **taken_on,
        "slack": [["open", "person", "waiting"]],
        "api": [["person", "waiting"]],
        "sweep": [["due", "waiting"]],
        "admin": [["open", "waiting"]],
    }


def test_the_authorizer_reads_rows_and_no_more(prod):
    assert prod.actions_of("authorizer") == {
        "dynamodb:GetItem",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
    }


def test_the_admin_function_alone_may_change_capacity(stack):
    held = {
        name: {
            action
            for action in stack.actions_of(name)
            if action in STEERING or action.startswith(("application-autoscaling:", "sagemaker:Update"))
        }
        for name in stack.functions
    }
    assert held.pop("admin") == STEERING
    assert set().union(*held.values()) == set()


def test_its_rights_reach_one_endpoint_and_no_other_kind_of_target(dev):
    written = [
        statement
        for statement in dev.statements_of("admin")
        if {"application-autoscaling:RegisterScalableTarget", "sagemaker:UpdateEndpointWeightsAndCapacities"}
        & set(listed(statement["Action"]))
    ]
    targets, endpoint = sorted(written, key=lambda statement: json.dumps(statement["Resource"]))
    assert targets["Condition"]["StringEquals"] == {
        "application-autoscaling:service-namespace": "sagemaker",
        "application-autoscaling:scalable-dimension": "sagemaker:variant:DesiredInstanceCount",
    }
    assert endpoint["Resource"]["Fn::Sub"].endswith(":endpoint/imagine-dev")


def test_whoever_gives_orders_may_call_that_one_function_and_it_calls_nobody(stack):
    called = {
        name: [
            statement["Resource"]["Fn::Sub"].rsplit(":", 1)[-1]
            for statement in stack.statements_of(name)
            if "lambda:InvokeFunction" in listed(statement["Action"])
        ]
        for name in stack.functions
    }
    admin = stack.functions["admin"]["FunctionName"]
    assert {giver for giver, told in called.items() if told == [admin]} == {"slack", "worker", "sweep"}
    assert sum(map(len, called.values())) == 3
    assert stack.functions["slack"]["Environment"]["Variables"]["IMAGINE_ADMIN_FUNCTION"] == admin


def test_the_sweep_alone_reads_what_a_release_says_and_never_its_files(stack):
    reading = "sagemaker:DescribeModel"
    assert {name for name in stack.functions if reading in stack.actions_of(name)} == {"sweep"}
    bucket = {"imagine-dev-sweep": "imagine-dev-local", "imagine-prod-sweep": "acme-models"}
    resources = {
        resource
        for statement in stack.statements_of("sweep")
        if "s3:GetObject" in listed(statement["Action"])
        for resource in re.findall(r":::[^\"]*models/[^\"]*", json.dumps(statement["Resource"]))
    }
    models = bucket[stack.functions["sweep"]["FunctionName"]]
    assert resources == {
        f":::{models}/models/published.json",
        f":::{models}/models/releases/*/catalogue.json",
    }


@pytest.mark.parametrize("folder", ["out/*", "failed/*"])
def test_no_function_can_make_up_a_result(stack, folder):
    for name in stack.functions:
        puts = [s for s in stack.statements_of(name) if "s3:PutObject" in listed(s["Action"])]
        assert folder not in json.dumps([s["Resource"] for s in puts])
