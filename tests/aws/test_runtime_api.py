"""The functions as AWS runs them: AWS's runtime client, a process each, the account behind an address."""

import json
import time

import pytest

from bot.aws.sqs_queue import body_of
from tests.aws.environment import environment
from tests.aws.functions import NOBODYS, records, s3_record, schedule, sqs_record
from tests.aws.runtime_api import Function
from tests.aws.test_front import SECRET, command, event

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def account(cloud):
    """The environment of the functions of an account that has everything a stack has."""
    with cloud.gateway() as url:
        cloud.clients["ssm"].put_parameter(
            Name="/imagine/test/slack-signing-secret", Value=SECRET, Type="SecureString", Overwrite=True
        )
        yield environment(
            AWS_ENDPOINT_URL=url,
            IMAGINE_TABLE=cloud.make_table(),
            IMAGINE_BUCKET=cloud.make_bucket(),
            IMAGINE_BUCKET_OWNER=cloud.account_id,
            IMAGINE_QUEUE_URL=cloud.make_queue(),
            SLACK_API_URL=f"{NOWHERE}/api/",
        )


def messages_in(cloud, account):
    reply = cloud.clients["sqs"].receive_message(QueueUrl=account["IMAGINE_QUEUE_URL"])
    return [message["Body"] for message in reply.get("Messages", [])]


def test_a_command_becomes_a_row_and_a_nudge(cloud, account):
    with Function("bot.handlers.slack", environment=account) as function:
        answer = function.invoke(event(command(), at=time.time()))
        help_answer = function.invoke(event(command("help"), at=time.time()))
        forged = function.invoke(event(command(), at=time.time(), secret="another"))

    assert (answer.error, answer.value["statusCode"], answer.value["body"]) == (None, 200, "")
    (nudge,) = messages_in(cloud, account)
    rows = cloud.clients["dynamodb"].scan(TableName=account["IMAGINE_TABLE"])["Items"]
    assert f"job#{json.loads(nudge)['job']}" in {row["pk"]["S"] for row in rows}
    assert json.loads(help_answer.value["body"])["response_type"] == "ephemeral"
    assert forged.value["statusCode"] == 401


def test_the_log_holds_neither_the_prompt_nor_the_secret(account):
    with Function("bot.handlers.slack", environment=account) as function:
        function.invoke(event(command("a purple heron"), at=time.time()))
        log = function.log

    assert "purple" not in log
    assert SECRET not in log


def test_a_function_without_its_settings_does_not_start_and_names_them_all():
    incomplete = environment(IMAGINE_TABLE=None, SLACK_TEAM_ID=None)
    with Function("bot.handlers.slack", environment=incomplete) as function:
        error = function.start_error()

    assert error["errorType"] == "ConfigError"
    assert all(name in error["errorMessage"] for name in ("IMAGINE_TABLE", "SLACK_TEAM_ID"))


def test_a_name_that_is_no_function_is_not_found():
    with Function("bot.handlers.draw", environment=environment()) as function:
        error = function.start_error()

    assert error["errorType"] == "Runtime.HandlerNotFound"


def test_without_aws_slack_is_told_to_come_again():
    with Function("bot.handlers.slack", environment=environment(AWS_ENDPOINT_URL=NOWHERE)) as function:
        answer = function.invoke(event(command(), at=time.time()))

    assert (answer.error, answer.value["statusCode"]) == (None, 503)


def test_the_worker_names_the_messages_that_come_again(cloud, account):
    arn = cloud.queue_arn(account["IMAGINE_QUEUE_URL"])
    batch = records(sqs_record("poison", message_id="poison", arn=arn), sqs_record(body_of(NOBODYS), arn=arn))
    with Function("bot.handlers.worker", environment=account) as function:
        answer = function.invoke(batch)
        log = [json.loads(line) for line in function.log.splitlines() if line.startswith("{")]

    assert answer.value == {"batchItemFailures": [{"itemIdentifier": "poison"}]}
    counts = [line["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["Name"] for line in log if "_aws" in line]
    assert counts == ["poison_message", "unknown_job"]


@pytest.mark.parametrize("name", ["result", "failure"])
def test_what_cannot_be_done_is_an_error_of_its_kind_alone(name):
    unreachable = environment(AWS_ENDPOINT_URL=NOWHERE)
    folder = {"result": "out", "failure": "failed"}[name]
    arrival = records(s3_record(f"{folder}/T1/{NOBODYS}.out"))
    with Function(f"bot.handlers.{name}", environment=unreachable) as function:
        error = function.invoke(arrival).error

    assert (error["errorType"], error["errorMessage"]) == ("HandlerFailed", "Unavailable")


def test_the_sweep_runs_in_an_account_without_an_endpoint(cloud, account):
    with Function("bot.handlers.sweep", environment=account) as function:
        answer = function.invoke(schedule(account=cloud.account_id))

    assert (answer.error, answer.value) == (None, {})


def test_the_admin_function_refuses_who_is_no_admin(account):
    with Function("bot.handlers.admin", environment=account) as function:
        answer = function.invoke({"command": "pause", "tenant": "T1", "by": "U1"})

    assert answer.value == {"refused": "not_admin"}


def test_a_function_that_hangs_is_ended_and_starts_anew(account):
    with Function("tests.aws.hanging.handler", environment=account) as function:
        hung = function.invoke("hang", seconds=3.0)
        after = function.invoke("hello")

    assert hung.error["errorMessage"].endswith("Task timed out after 3.00 seconds")
    assert after.value == "hello"
