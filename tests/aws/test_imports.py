"""A function loads what it needs: a person waits while the one behind the gateway starts."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.aws.environment import environment

ROOT = Path(__file__).resolve().parents[2]
NEVER = {"aws_xray_sdk", "awslambdaric", "boto3", "bot.bootstrap", "container", "infra", "moto", "pydantic"}
NOT_BEFORE_AN_ANSWER = {
    "PIL",
    "aws_lambda_powertools.utilities.batch",
    "aws_lambda_powertools.utilities.data_classes",
    "aws_lambda_powertools.utilities.idempotency",
    "aws_lambda_powertools.utilities.parser",
    "bot.bootstrap_api",
    "bot.bootstrap_workers",
    "bot.imaging",
    "bot.local.database",
    "bot.local.sqlite_cells",
    "bot.local.sqlite_jobs",
    "bot.slack.socket",
    "bot.slack.thread_sink",
    "isal",
    "numpy",
    "slack_bolt.adapter",
    "tomllib",
}
BOLT = {"bot.bootstrap_front", "bot.slack.app", "slack_bolt"}
"""A tenth of a second of a start, for the function alone that Slack talks to."""

PURE = {"bot.local", "bot.local.system", "bot.local.word_rules", "bot.local.object_keys"}
"""The only modules of the one-machine folder that the functions share: no files, no database, no network."""

LOADED = "import json, sys, bot.handlers; bot.handlers.{}; print(json.dumps(sorted(sys.modules)))"


def loaded(name):
    """The modules that are there once a function is ready."""
    finished = subprocess.run(
        [sys.executable, "-c", LOADED.format(name)],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(finished.stdout))


def inside(modules, packages):
    return {module for module in modules for package in packages if f"{module}.".startswith(f"{package}.")}


def test_the_function_that_slack_waits_for_loads_nothing_but_its_own():
    modules = loaded("slack")

    assert inside(modules, NEVER | NOT_BEFORE_AN_ANSWER) == set()
    assert inside(modules, {"bot.local"}) <= PURE


@pytest.mark.parametrize("name", ["api", "authorizer"])
def test_the_functions_of_the_http_api_load_neither_bolt_nor_pictures_of_their_own_accord(name):
    modules = loaded(name)

    assert (
        inside(modules, NEVER | BOLT | {"PIL", "bot.imaging", "bot.local.database", "numpy", "tomllib"})
        == set()
    )
    assert inside(modules, {"bot.local"}) <= PURE


@pytest.mark.parametrize("name", ["worker", "result", "failure", "sweep", "admin"])
def test_no_function_loads_bolt_or_what_is_not_in_its_zip(name):
    modules = loaded(name)

    assert inside(modules, NEVER | BOLT) == set()
    assert inside(modules, {"bot.local"}) <= PURE
