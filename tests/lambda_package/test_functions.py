"""The functions as AWS runs them: out of their zips, under AWS's runtime client, in a moto account."""

import json
import re
import time
from functools import partial
from pathlib import Path

import pytest

from bot.aws.sqs_queue import body_of
from bot.handlers import BUILDERS
from infra import function_zip
from tests.aws.environment import environment
from tests.aws.functions import NOBODYS, records, s3_record, schedule, sqs_record
from tests.aws.test_front import SECRET, command, event
from tests.lambda_package.runtime_api import Function

NOWHERE = "http://127.0.0.1:9"
ZIP = re.compile(r"handler: bot\.handlers\.(\w+)\s+package: \{ artifact: build/(\w+)\.zip \}")
SERVICE = [function_zip.ROOT / "serverless.yml", *function_zip.ROOT.glob("infra/serverless/**/*.yml")]
GROUPS = dict(found for path in SERVICE for found in ZIP.findall(path.read_text()))
"""The zip of each function, as it is deployed."""


@pytest.fixture
def function(runtime, unpacked):
    """`function(name, environment=…)` is a function of ours, as it is deployed."""

    def of(name, *, environment):
        folder = unpacked(GROUPS.get(name, "work"))
        return Function(f"bot.handlers.{name}", folder=folder, python=runtime, environment=environment)

    return of


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


def test_a_signed_command_becomes_a_row_and_a_nudge(function, cloud, account):
    with function("slack", environment=account) as running:
        answer = running.invoke(event(command(), at=time.time()))
        help_answer = running.invoke(event(command("help"), at=time.time()))
        forged = running.invoke(event(command(), at=time.time(), secret="another"))

    assert (answer.error, answer.value["statusCode"], answer.value["body"]) == (None, 200, "")
    (nudge,) = messages_in(cloud, account)
    rows = cloud.clients["dynamodb"].scan(TableName=account["IMAGINE_TABLE"])["Items"]
    assert f"job#{json.loads(nudge)['job']}" in {row["pk"]["S"] for row in rows}
    assert json.loads(help_answer.value["body"])["response_type"] == "ephemeral"
    assert forged.value["statusCode"] == 401


def test_the_log_holds_neither_the_prompt_nor_the_secret(function, account):
    with function("slack", environment=account) as running:
        running.invoke(event(command("a purple heron"), at=time.time()))
        log = running.log

    assert "purple" not in log
    assert SECRET not in log


@pytest.mark.parametrize("name", BUILDERS)
def test_every_function_starts_from_the_zip_that_it_is_deployed_with(name, function):
    assert name in GROUPS
    with function(name, environment=environment(AWS_ENDPOINT_URL=NOWHERE)) as running:
        answer = running.invoke({})

    assert answer.error is None or answer.error["errorType"] == "HandlerFailed", answer.error


@pytest.mark.parametrize("name", BUILDERS)
def test_a_function_without_its_settings_does_not_start_and_names_them_all(name, function):
    incomplete = environment(IMAGINE_TABLE=None, SLACK_TEAM_ID=None)
    with function(name, environment=incomplete) as running:
        error = running.start_error()

    assert error["errorType"] == "ConfigError"
    assert all(name in error["errorMessage"] for name in ("IMAGINE_TABLE", "SLACK_TEAM_ID"))


def test_a_name_that_is_no_function_is_not_found(function):
    with function("draw", environment=environment()) as running:
        error = running.start_error()

    assert error["errorType"] == "Runtime.HandlerNotFound"


def test_without_aws_slack_is_told_to_come_again(function):
    with function("slack", environment=environment(AWS_ENDPOINT_URL=NOWHERE)) as running:
        answer = running.invoke(event(command(), at=time.time()))

    assert (answer.error, answer.value["statusCode"]) == (None, 503)


def test_the_worker_names_the_messages_that_come_again(function, cloud, account):
    arn = cloud.queue_arn(account["IMAGINE_QUEUE_URL"])
    batch = records(sqs_record("poison", message_id="poison", arn=arn), sqs_record(body_of(NOBODYS), arn=arn))
    with function("worker", environment=account) as running:
        answer = running.invoke(batch)
        log = [json.loads(line) for line in running.log.splitlines() if line.startswith("{")]

    assert answer.value == {"batchItemFailures": [{"itemIdentifier": "poison"}]}
    counts = [line["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["Name"] for line in log if "_aws" in line]
    assert counts == ["poison_message", "unknown_job"]


@pytest.mark.parametrize("name", ["result", "failure"])
def test_what_cannot_be_done_is_an_error_of_its_kind_alone(function, name):
    unreachable = environment(AWS_ENDPOINT_URL=NOWHERE)
    folder = {"result": "out", "failure": "failed"}[name]
    arrival = records(s3_record(f"{folder}/T1/{NOBODYS}.out"))
    with function(name, environment=unreachable) as running:
        error = running.invoke(arrival).error

    assert (error["errorType"], error["errorMessage"]) == ("HandlerFailed", "Unavailable")
    assert any("bot/functions/jobs.py" in line for line in error["stackTrace"])
    assert len(error["requestId"]) == 36


def test_the_sweep_runs_in_an_account_without_an_endpoint(function, cloud, account):
    with function("sweep", environment=account) as running:
        answer = running.invoke(schedule(account=cloud.account_id))

    assert (answer.error, answer.value) == (None, {})


def test_the_admin_function_refuses_who_is_no_admin(function, account):
    with function("admin", environment=account) as running:
        answer = running.invoke({"command": "pause", "tenant": "T1", "by": "U1"})

    assert answer.value == {"refused": "not_admin"}


def test_a_function_in_the_wrong_zip_does_not_start_and_names_what_is_missing(runtime, unpacked):
    accept = unpacked("accept")
    with Function("bot.handlers.worker", folder=accept, python=runtime, environment=environment()) as running:
        error = running.start_error()

    assert (error["errorType"], error["errorMessage"]) == ("ModuleNotFoundError", "No module named 'PIL'")


def test_a_zip_without_the_bot_is_an_error_of_importing(runtime, tmp_path):
    with Function(
        "bot.handlers.slack", folder=tmp_path, python=runtime, environment=environment()
    ) as running:
        error = running.start_error()

    assert error["errorType"] == "Runtime.ImportModuleError"
    assert "No module named 'bot'" in error["errorMessage"]


@pytest.fixture
def misbehaving(runtime):
    folder = Path(__file__).parent / "task_root"
    return partial(Function, "misbehaving.handler", folder=folder, python=runtime, environment=environment())


def test_a_function_that_hangs_is_ended_and_starts_anew(misbehaving):
    with misbehaving() as running:
        hung = running.invoke("hang", seconds=3.0)
        after = running.invoke("hello")

    assert hung.error["errorMessage"].endswith("Task timed out after 3.00 seconds")
    assert after.value == "hello"


def test_an_answer_that_is_no_json_is_an_error_of_its_own(misbehaving):
    with misbehaving() as running:
        error = running.invoke("no JSON").error

    assert error["errorType"] == "Runtime.MarshalError"
