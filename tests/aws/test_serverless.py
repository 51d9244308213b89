"""`serverless.yml` packages without network, and its stack is what the functions expect."""

import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bot.aws.table import TIME_TO_LIVE, table_properties
from bot.bootstrap_aws import NEEDED
from bot.config import load_deployed
from bot.domain.errors import ConfigError
from bot.domain.steering import LONGEST_AGE
from bot.domain.times import Times
from bot.functions.front import HARD_STOP
from bot.functions.jobs import MARGIN
from bot.handlers import BUILDERS
from infra import function_zip

ROOT = Path(__file__).resolve().parents[2]
UNREACHABLE = "http://127.0.0.1:9"
WITHOUT_RESOURCE = {
    "application-autoscaling:DescribeScalableTargets",
    "application-autoscaling:DescribeScheduledActions",
    "cloudwatch:GetMetricData",
}
"""Actions that AWS allows on everything or not at all (service authorization reference)."""

ACCOUNT = "123456789012"


@pytest.fixture(scope="session")
def osls():
    """The packaging tool as package-lock.json pins it, installed once for every lock file."""
    if shutil.which("npm") is None:
        pytest.skip("Node.js with npm is not here: serverless.yml was not packaged")
    lock = ROOT / "package-lock.json"
    home = ROOT / "build" / f"osls-{hashlib.sha256(lock.read_bytes()).hexdigest()[:16]}"
    tool = home / "node_modules" / ".bin" / "osls"
    if not (home / "complete").exists():
        home.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(ROOT / name, home / name)
        install = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        subprocess.run(install, cwd=home, check=True, capture_output=True, timeout=500)
        (home / "complete").touch()
    return tool


@pytest.fixture(scope="session")
def template(osls, tmp_path_factory):
    """The CloudFormation template that would be deployed."""
    folder = tmp_path_factory.mktemp("service")
    shutil.copy(ROOT / "serverless.yml", folder)
    shutil.copytree(ROOT / "infra" / "serverless", folder / "infra" / "serverless")
    function_zip.main(["--bot-only", "--out", str(folder / "build" / "function.zip")])
    (folder / "node_modules").symlink_to(osls.parents[1])
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "SLACK_TEAM_ID": "T1",
        "HTTPS_PROXY": UNREACHABLE,
        "HTTP_PROXY": UNREACHABLE,
        "SLS_TELEMETRY_DISABLED": "1",
    }
    package = [str(osls), "package"]
    packaged = subprocess.run(
        package, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert packaged.returncode == 0, packaged.stdout + packaged.stderr
    return json.loads((folder / ".serverless" / "cloudformation-template-update-stack.json").read_text())


pytestmark = pytest.mark.timeout(600)


def of_type(template, kind):
    """Logical id to properties."""
    return {
        name: resource.get("Properties", {})
        for name, resource in template["Resources"].items()
        if resource["Type"] == kind
    }


def functions(template):
    """The functions by the last word of their handler."""
    every = of_type(template, "AWS::Lambda::Function").values()
    return {function["Handler"].removeprefix("bot.handlers."): function for function in every}


def statements_of(template, function):
    """Every statement that a function's role holds, with what its policies add."""
    role = template["Resources"][function["Role"]["Fn::GetAtt"][0]]["Properties"]
    managed = [template["Resources"][arn["Ref"]]["Properties"] for arn in role["ManagedPolicyArns"]]
    documents = [policy["PolicyDocument"] for policy in (*role["Policies"], *managed)]
    return [statement for document in documents for statement in document["Statement"]]


def actions_of(template, function):
    return {
        action for statement in statements_of(template, function) for action in _listed(statement["Action"])
    }


def _listed(value):
    return value if isinstance(value, list) else [value]


def test_the_table_is_the_one_that_the_adapters_use(template):
    (table,) = of_type(template, "AWS::DynamoDB::Table").values()

    assert {name: table[name] for name in table_properties()} == table_properties()
    assert table["TimeToLiveSpecification"] == TIME_TO_LIVE
    assert template["Resources"]["Jobs"]["DeletionPolicy"] == "Retain"


def test_every_entry_point_is_a_function_and_every_function_an_entry_point(template):
    assert functions(template).keys() == BUILDERS.keys()
    assert {function["Runtime"] for function in functions(template).values()} == {"python3.13"}
    assert {tuple(function["Architectures"]) for function in functions(template).values()} == {("arm64",)}


def test_every_function_is_told_what_it_needs_in_words_it_can_read(template):
    resolved = {"Jobs": "imagine-dev", "AWS::AccountId": ACCOUNT}
    resolved["Nudges"] = f"https://sqs.us-east-1.amazonaws.com/{ACCOUNT}/imagine-dev-nudges"
    resolved["DeadNudges"] = resolved["DeadEvents"] = resolved["Nudges"]
    resolved["FailedDrawings"] = f"arn:aws:sns:us-east-1:{ACCOUNT}:imagine-dev-failed"
    for function in functions(template).values():
        variables = function["Environment"]["Variables"]
        environ = {
            name: resolved[value["Ref"]] if isinstance(value, dict) else value
            for name, value in variables.items()
        }
        load_deployed(environ).need_all(*NEEDED)
        assert variables.keys() <= load_deployed({}).values.keys()


def test_a_function_ends_before_its_lease_and_after_its_own_deadline(template):
    timeouts = {name: function["Timeout"] for name, function in functions(template).items()}

    assert timeouts["slack"] > HARD_STOP
    assert all(MARGIN < timeouts[name] < Times().lease for name in timeouts.keys() - {"slack"})
    assert timeouts["sweep"] < Times().sweep_every


def test_a_message_stays_hidden_for_six_time_outs_and_then_goes_to_the_dead_letters(template):
    nudges = of_type(template, "AWS::SQS::Queue")["Nudges"]

    assert nudges["VisibilityTimeout"] >= 6 * functions(template)["worker"]["Timeout"]
    assert nudges["RedrivePolicy"]["deadLetterTargetArn"] == {"Fn::GetAtt": ["DeadNudges", "Arn"]}


def test_the_worker_may_fail_messages_one_by_one(template):
    (mapping,) = of_type(template, "AWS::Lambda::EventSourceMapping").values()

    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["EventSourceArn"] == {"Fn::GetAtt": ["Nudges", "Arn"]}


def test_arrivals_wake_the_function_of_their_folder_and_what_functions_write_wakes_none(template):
    bucket = of_type(template, "AWS::S3::Bucket")["S3BucketPictures"]
    told = {
        rule["Value"]: wakes["Function"]["Fn::GetAtt"][0]
        for wakes in bucket["NotificationConfiguration"]["LambdaConfigurations"]
        for rule in wakes["Filter"]["S3Key"]["Rules"]
    }

    assert told == {"out/": "ResultLambdaFunction", "failed/": "FailureLambdaFunction"}
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}


def test_what_fails_for_ever_is_kept(template):
    kept = {
        settings["FunctionName"]["Ref"]: settings["DestinationConfig"]["OnFailure"]["Destination"]
        for settings in of_type(template, "AWS::Lambda::EventInvokeConfig").values()
        if "OnFailure" in settings.get("DestinationConfig", {})
    }

    dead = {"Fn::GetAtt": ["DeadEvents", "Arn"]}
    assert kept == {f"{name}LambdaFunction": dead for name in ("Result", "Failure", "Admin")}


def test_every_function_has_a_role_of_its_own_that_writes_its_own_log_alone(template):
    roles = {name: function["Role"]["Fn::GetAtt"][0] for name, function in functions(template).items()}

    assert len(set(roles.values())) == len(roles)
    assert of_type(template, "AWS::IAM::Role").keys() == set(roles.values())
    for name, function in functions(template).items():
        logs = [s for s in statements_of(template, function) if "logs:PutLogEvents" in _listed(s["Action"])]
        assert [s["Resource"] for s in logs] == [{"Fn::GetAtt": [f"{name.title()}LogGroup", "Arn"]}]


def test_no_role_holds_a_wildcard(template):
    for function in functions(template).values():
        for statement in statements_of(template, function):
            assert not any("*" in action for action in _listed(statement["Action"]))
            if "*" in _listed(statement["Resource"]):
                assert set(_listed(statement["Action"])) <= WITHOUT_RESOURCE


@pytest.mark.parametrize(
    ("name", "never"),
    [
        ("slack", {"s3:GetObject", "s3:PutObject", "sagemaker:InvokeEndpointAsync", "sqs:ReceiveMessage"}),
        ("worker", {"sagemaker:DescribeEndpoint", "cloudwatch:GetMetricData"}),
        ("result", {"sqs:ReceiveMessage", "sagemaker:DescribeEndpoint"}),
        ("sweep", {"sqs:ReceiveMessage"}),
        ("admin", {"s3:GetObject", "sagemaker:InvokeEndpointAsync", "ssm:GetParameters"}),
    ],
)
def test_a_function_may_not_do_the_work_of_another(template, name, never):
    allowed = actions_of(template, functions(template)[name])

    assert allowed & (never | {"dynamodb:Scan"}) == set()


def test_the_admin_function_alone_may_change_capacity(template):
    steering = {
        "application-autoscaling:DeleteScheduledAction",
        "application-autoscaling:DescribeScalableTargets",
        "application-autoscaling:DescribeScheduledActions",
        "application-autoscaling:PutScheduledAction",
        "application-autoscaling:RegisterScalableTarget",
        "sagemaker:UpdateEndpointWeightsAndCapacities",
    }
    held = {
        name: {
            action
            for action in actions_of(template, function)
            if action in steering or action.startswith(("application-autoscaling:", "sagemaker:Update"))
        }
        for name, function in functions(template).items()
    }
    assert held.pop("admin") == steering
    assert set().union(*held.values()) == set()


def test_its_rights_reach_one_endpoint_and_no_other_kind_of_target(template):
    written = [
        statement
        for statement in statements_of(template, functions(template)["admin"])
        if {"application-autoscaling:RegisterScalableTarget", "sagemaker:UpdateEndpointWeightsAndCapacities"}
        & set(_listed(statement["Action"]))
    ]
    targets, endpoint = sorted(written, key=lambda statement: json.dumps(statement["Resource"]))
    assert targets["Condition"]["StringEquals"] == {
        "application-autoscaling:service-namespace": "sagemaker",
        "application-autoscaling:scalable-dimension": "sagemaker:variant:DesiredInstanceCount",
    }
    assert endpoint["Resource"]["Fn::Sub"].endswith(":endpoint/imagine-dev")


def test_whoever_gives_orders_may_call_that_one_function_and_it_calls_nobody(template):
    called = {
        name: [
            statement["Resource"]["Fn::Sub"].rsplit(":", 1)[-1]
            for statement in statements_of(template, function)
            if "lambda:InvokeFunction" in _listed(statement["Action"])
        ]
        for name, function in functions(template).items()
    }
    name = functions(template)["admin"]["FunctionName"]
    assert {giver for giver, told in called.items() if told == [name]} == {"slack", "worker", "sweep"}
    assert sum(map(len, called.values())) == 3
    variables = functions(template)["slack"]["Environment"]["Variables"]
    assert variables["IMAGINE_ADMIN_FUNCTION"] == name


def test_an_order_that_lay_about_is_not_carried_out(template):
    (config,) = (
        settings
        for settings in of_type(template, "AWS::Lambda::EventInvokeConfig").values()
        if settings["FunctionName"]["Ref"] == "AdminLambdaFunction"
    )
    assert config["MaximumEventAgeInSeconds"] <= LONGEST_AGE
    assert config["MaximumRetryAttempts"] == 1


def test_the_sweep_alone_reads_what_a_release_says_and_never_its_files(template):
    reading = "sagemaker:DescribeModel"
    assert {
        name for name in functions(template) if reading in actions_of(template, functions(template)[name])
    } == {"sweep"}
    statements = statements_of(template, functions(template)["sweep"])
    resources = {
        resource
        for statement in statements
        if "s3:GetObject" in _listed(statement["Action"])
        for resource in re.findall(r":::[^\"]*models/[^\"]*", json.dumps(statement["Resource"]))
    }

    assert resources == {
        ":::imagine-dev-local/models/published.json",
        ":::imagine-dev-local/models/releases/*/catalogue.json",
    }


@pytest.mark.parametrize("folder", ["out/*", "failed/*"])
def test_no_function_can_make_up_a_result(template, folder):
    for function in functions(template).values():
        puts = [s for s in statements_of(template, function) if "s3:PutObject" in _listed(s["Action"])]
        assert folder not in json.dumps([s["Resource"] for s in puts])


def test_logs_are_kept_for_a_while_and_not_for_ever(template):
    retentions = {group["RetentionInDays"] for group in of_type(template, "AWS::Logs::LogGroup").values()}

    assert retentions == {30}
    assert len(of_type(template, "AWS::Logs::LogGroup")) == len(BUILDERS)


def test_objects_live_no_longer_than_rows(template):
    bucket = of_type(template, "AWS::S3::Bucket")["S3BucketPictures"]
    rules = {
        rule["Prefix"]: int(rule["ExpirationInDays"]) for rule in bucket["LifecycleConfiguration"]["Rules"]
    }

    assert rules.keys() == {"in/", "out/", "failed/", "images/"}
    assert rules.pop("images/") == Times().retention_days
    with pytest.raises(ConfigError):
        load_deployed({"IMAGINE_RETENTION_DAYS": str(max(rules.values()) - 1)})
    assert load_deployed({"IMAGINE_RETENTION_DAYS": str(max(rules.values()))})
