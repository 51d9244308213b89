"""docs/operations.md: every command on it is one there is, every alarm has its section, and looking works."""

import argparse
import contextlib
import io
import re
import shlex

import botocore.session
import pytest
from botocore import xform_name

from bot.domain.prompt.subcommands import Admin, classify
from infra import cli
from infra.commands.endpoint import shared
from tests.docs.markdown import ROOT, Page
from tests.infra.plain_account import PlainAccount

PAGE = Page.at(ROOT / "docs/operations.md")
LINES = PAGE.lines_of("sh")
INLINE = re.findall(r"`((?:imagine|aws|/imagine) [^`]+)`", PAGE.text)
TYPED = sorted({*LINES, *INLINE})
LOOKING = ("jobs list", "dlq list", "secrets list", "logs --since")
"""What only reads, and needs no function that runs."""


def of(program: str) -> list[str]:
    return [line for line in TYPED if line.startswith(f"{program} ")]


@pytest.mark.parametrize("line", of("imagine"))
def test_every_command_is_one_there_is(line: str):
    parsed = cli.parser().parse_args(shlex.split(line)[1:])

    assert isinstance(parsed, argparse.Namespace)


@pytest.mark.parametrize("line", of("/imagine"))
def test_every_line_for_slack_is_understood(line: str):
    assert isinstance(classify(line.removeprefix("/imagine ")), Admin)


@pytest.mark.parametrize("line", of("aws"))
def test_every_aws_line_names_an_operation_and_its_options(line: str):
    words = shlex.split(line)[1:]
    if words[1] == "wait":
        waiters = botocore.session.Session().get_waiter_model(words[0]).waiter_names
        assert words[2] in {xform_name(name, "-") for name in waiters}
        return
    model = botocore.session.Session().get_service_model(words[0])
    operations = {xform_name(name, "-"): name for name in model.operation_names}
    shape = model.operation_model(operations[words[1]]).input_shape
    known = {xform_name(name, "-") for name in (shape.members if shape else ())}
    options = [word.removeprefix("--").removeprefix("no-") for word in words if word.startswith("--")]
    assert [option for option in options if option not in known] == []


def test_every_other_line_is_of_a_known_tool():
    assert {line.split()[0] for line in LINES} <= {"imagine", "aws", "git", "npm"}


def test_every_alarm_has_a_section_whose_first_command_is_the_alarm_s():
    text = (ROOT / "infra/serverless/alarms.yml").read_text()
    alarms = re.findall(
        r"First: (imagine \w+ ?\w*) --stage \S+ Runbook: \S+#([\w-]+)", text.replace("\n", " ")
    )
    sections = dict(re.findall(r"^## ([\w-]+)\n(.*?)(?=^## )", PAGE.text, re.DOTALL | re.MULTILINE))

    assert len(alarms) >= 7
    for first, anchor in alarms:
        assert first.strip() in sections[anchor], anchor


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> PlainAccount:
    """A stage of which only queues and logs are there."""
    account = PlainAccount()
    for name in ("dead-nudges", "dead-events"):
        account["sqs"].create_queue(QueueName=f"imagine-dev-{name}")
    account["logs"].create_log_group(logGroupName="/aws/lambda/imagine-dev-worker")
    monkeypatch.setattr(shared, "AwsClients", lambda region: account)
    return account


@pytest.mark.parametrize(
    "line", [line for line in of("imagine") if line.removeprefix("imagine ").startswith(LOOKING)]
)
def test_looking_ends_with_an_answer_or_with_the_fix(account: PlainAccount, line: str):
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        status = cli.main(shlex.split(line)[1:])

    fix = "imagine deploy --stage dev" in said.getvalue() or "no bot has worked in var" in said.getvalue()
    assert status == 0 or (status == 1 and fix), said.getvalue()
