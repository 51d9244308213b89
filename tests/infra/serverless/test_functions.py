"""The functions of the stack are the bot's entry points, with what each needs to know and time to work."""

import pytest

from bot.bootstrap_aws import NEEDED
from bot.config import load_deployed
from bot.domain.steering import LONGEST_AGE
from bot.domain.times import Times
from bot.functions.front import HARD_STOP
from bot.functions.jobs import MARGIN
from bot.handlers import BUILDERS

pytestmark = pytest.mark.slow

ACCOUNT = "123456789012"
BEHIND_THE_GATEWAY = {"slack", "api", "authorizer"}
LONGEST_OF_THE_GATEWAY = 30
"""Seconds an HTTP API waits for a function at most (API Gateway quotas)."""


def test_every_entry_point_is_a_function_and_every_function_an_entry_point(dev, prod):
    assert prod.functions.keys() == BUILDERS.keys()
    assert dev.functions.keys() == BUILDERS.keys() - {"authorizer"}, "keys are looked at by the api function"


def test_every_function_runs_where_its_zip_is_built_for(stack):
    assert {function["Runtime"] for function in stack.functions.values()} == {"python3.13"}
    assert {tuple(function["Architectures"]) for function in stack.functions.values()} == {("arm64",)}


def test_what_a_person_waits_for_has_the_small_zip_and_what_looks_into_pictures_the_other(stack):
    zips = {name: function["Code"]["S3Key"].rsplit("/", 1)[-1] for name, function in stack.functions.items()}
    small = {name for name, packed in zips.items() if packed == "accept.zip"}

    assert small == {"slack", "authorizer"} & zips.keys()
    assert set(zips.values()) == {"accept.zip", "work.zip"}


def test_every_function_is_told_what_it_needs_in_words_it_can_read(stack):
    queue = f"https://sqs.us-east-1.amazonaws.com/{ACCOUNT}/imagine-dev-nudges"
    resolved = {
        "Jobs": "imagine-dev",
        "AWS::AccountId": ACCOUNT,
        "Nudges": queue,
        "DeadNudges": queue,
        "DeadEvents": queue,
        "FailedDrawings": f"arn:aws:sns:us-east-1:{ACCOUNT}:imagine-dev-failed",
    }
    for function in stack.functions.values():
        variables = function["Environment"]["Variables"]
        environ = {
            name: resolved[value["Ref"]] if isinstance(value, dict) else value
            for name, value in variables.items()
        }
        load_deployed(environ).need_all(*NEEDED)
        assert variables.keys() <= load_deployed({}).values.keys()


def test_no_secret_is_in_the_environment(stack):
    secret = {name for name, value in load_deployed({}).values.items() if value.setting.secret}

    for function in stack.functions.values():
        assert function["Environment"]["Variables"].keys() & secret == set()


def test_a_function_ends_before_its_lease_and_after_its_own_deadline(stack):
    timeouts = {name: function["Timeout"] for name, function in stack.functions.items()}

    assert timeouts["slack"] > HARD_STOP
    assert all(timeouts[name] < LONGEST_OF_THE_GATEWAY for name in BEHIND_THE_GATEWAY & timeouts.keys())
    assert all(MARGIN < timeouts[name] < Times().lease for name in timeouts.keys() - BEHIND_THE_GATEWAY)
    assert timeouts["sweep"] < Times().sweep_every


def test_reserved_concurrency_is_off_unless_it_is_given(dev, prod):
    reserved = {
        name: function["ReservedConcurrentExecutions"]
        for name, function in prod.functions.items()
        if "ReservedConcurrentExecutions" in function
    }
    assert reserved == {"slack": 20, "api": 10, "worker": 5, "result": 5, "failure": 5}
    assert not any("ReservedConcurrentExecutions" in function for function in dev.functions.values())


def test_an_order_that_lay_about_is_not_carried_out(stack):
    (config,) = (
        settings
        for settings in stack.of_type("AWS::Lambda::EventInvokeConfig").values()
        if settings["FunctionName"]["Ref"] == "AdminLambdaFunction"
    )
    assert config["MaximumEventAgeInSeconds"] <= LONGEST_AGE
    assert config["MaximumRetryAttempts"] == 1


def test_every_log_ends_and_each_function_has_its_own(stack):
    groups = stack.of_type("AWS::Logs::LogGroup")

    assert {group["RetentionInDays"] for group in groups.values()} == {30}
    names = {group["LogGroupName"] for group in groups.values()}
    assert {f"/aws/lambda/{function['FunctionName']}" for function in stack.functions.values()} <= names
    assert len(names) == len(stack.functions) + 1, "and the gateway its own"


@pytest.mark.parametrize("way", ["key", "iam", "jwt", "authorizer"])
def test_who_may_use_the_http_api_is_a_parameter_and_its_description_is_for_all(packaged, way):
    from infra.template_gates.packaging import Variant

    given = {"apiAuth": way, "jwtIssuer": "https://login.example.com", "jwtAudience": "imagine"}
    stack = packaged(Variant(stage="dev", params=given))
    routes = {route["RouteKey"]: route for route in stack.of_type("AWS::ApiGatewayV2::Route").values()}
    asked = {key: route.get("AuthorizationType", "NONE") for key, route in routes.items()}

    wanted = {"key": "NONE", "iam": "AWS_IAM", "jwt": "JWT", "authorizer": "CUSTOM"}[way]
    assert asked == {"ANY /v1/{proxy+}": wanted, "GET /v1/openapi.json": "NONE", "POST /slack/events": "NONE"}
    told = {function["Environment"]["Variables"]["IMAGINE_API_AUTH"] for function in stack.functions.values()}
    assert told == {way}
