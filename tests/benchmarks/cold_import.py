"""The start of the function that Slack waits for, held against the stack one would write down first.

CPU of fresh processes above the interpreter's own start, byte code present, taken in turns. Ours is the whole
way to a function that is ready: settings read, ports wired, Bolt app registered. The other one has Bolt's
Lambda adapter, five boto3 clients, powertools' Tracer, Idempotency and Parser, and Pillow.
"""

import os
import statistics
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.figures import row

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 11
GOAL = 0.55

OURS = """
import bot.handlers
bot.handlers.slack
"""

OURS_WITH_CLIENTS = f"""{OURS}
from bot.aws.clients import Clients
clients = Clients()
clients["dynamodb"], clients["sqs"], clients["ssm"]
"""

NAIVE = """
import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer, idempotent
from aws_lambda_powertools.utilities.parser import BaseModel, event_parser
from PIL import Image
from slack_bolt import App
from slack_bolt.adapter.aws_lambda import SlackRequestHandler
for service in ("dynamodb", "s3", "sqs", "sagemaker-runtime", "secretsmanager"):
    boto3.client(service)
Logger(), Metrics(), Tracer(), DynamoDBPersistenceLayer(table_name="t")
app = App(token="xoxb-none", signing_secret="none", token_verification_enabled=False)
SlackRequestHandler(app)
"""

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "POWERTOOLS_SERVICE_NAME": "imagine",
    "POWERTOOLS_TRACE_DISABLED": "1",
    "IMAGINE_TABLE": "imagine",
    "IMAGINE_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/imagine",
    "IMAGINE_BUCKET": "imagine",
    "IMAGINE_BUCKET_OWNER": "123456789012",
    "IMAGINE_ENDPOINT": "imagine",
    "IMAGINE_ERROR_TOPIC": "arn:aws:sns:us-east-1:123456789012:imagine",
    "IMAGINE_ADMIN_FUNCTION": "imagine-dev-admin",
    "SLACK_TEAM_ID": "T1",
    "SLACK_BOT_TOKEN_REF": "ssm:/imagine/dev/slack-bot-token",
    "SLACK_SIGNING_SECRET_REF": "ssm:/imagine/dev/slack-signing-secret",
}
MEASURED = "import sys, time; began = time.process_time()\n{}\nprint((time.process_time() - began) * 1000)"


def main() -> None:
    stacks = {"ours": OURS, "ours with its clients": OURS_WITH_CLIENTS, "the naive stack": NAIVE}
    for stack in stacks.values():
        _once(stack)  # writes the byte code
    samples: dict[str, list[float]] = {name: [] for name in stacks}
    for _ in range(ROUNDS):
        for name, stack in stacks.items():
            samples[name].append(_once(stack))
    for name, spent in samples.items():
        row(f"cold start, {name}, CPU", spent)
    naive = statistics.median(samples["the naive stack"])
    for name in ("ours", "ours with its clients"):
        ratio = statistics.median(samples[name]) / naive
        print(
            f"{f'{name} / the naive stack':<44} {ratio:10.2f}  {f'goal <= {GOAL}' if name == 'ours' else ''}"
        )


def _once(stack: str) -> float:
    """CPU milliseconds in a process of its own."""
    finished = subprocess.run(
        [sys.executable, "-c", MEASURED.format(stack)],
        cwd=ROOT,
        env={
            **{name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ},
            **ENVIRONMENT,
        },
        capture_output=True,
        text=True,
        check=True,
    )
    return float(finished.stdout.split()[-1])
