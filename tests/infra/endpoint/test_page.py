"""The commands of docs/endpoint.md and docs/cost.md, run as they stand there; those of docs/infra.md are run
in tests/infra/image/test_page.py.
"""

import base64
import json
import re
import shlex
from pathlib import Path

import pytest

from infra import cli
from infra.endpoint.drawing import request_for
from tests.contracts.inference_stub import InferenceStub
from tests.docs.markdown import ROOT, Page
from tests.infra.endpoint.account import Account
from tests.infra.endpoint.test_commands import Imagine, imagine, png

__all__ = ["imagine"]

TYPED = re.compile(r"(?:`|^)(imagine [^`\n]+)", re.MULTILINE)


def commands(name: str) -> list[str]:
    """In the page's order, each once; an address that the page leaves open is some address."""
    text = Page.at(ROOT / name).text.partition("<!-- begin endpoint-session -->")
    rest = text[2].partition("<!-- end endpoint-session -->")[2]
    found = TYPED.findall(text[0] + rest)
    return list(dict.fromkeys(line.replace("https://…", "https://bot.example") for line in found))


def test_every_endpoint_command_of_the_page_does_what_it_says(
    imagine: Imagine, account: Account, container: InferenceStub, capsys: pytest.CaptureFixture[str]
):
    body = json.dumps({"images": [base64.b64encode(png()).decode()]}).encode()
    container.answer = lambda _body: (200, body)
    Path("request.json").write_text(json.dumps(request_for("a red apple")))
    named = dict.fromkeys([*commands("docs/endpoint.md"), *commands("docs/cost.md")])
    lines = [line for line in named if line.startswith("imagine endpoint ")]
    assert len(lines) >= 15, lines

    for line in [line for line in lines if "delete" not in line] + ["imagine endpoint delete --all"]:
        words = shlex.split(line)[2:]
        parsed = cli.parser().parse_args(["endpoint", *words])
        agreed = ["--yes"] if hasattr(parsed, "yes") else []
        assert imagine(*words, *agreed) == 0, (line, capsys.readouterr().err)
    assert account.stand.region.hosting.endpoints == {}


@pytest.mark.parametrize("page", ["docs/endpoint.md", "docs/infra.md", "docs/cost.md"])
def test_every_command_and_option_of_the_page_is_there(page: str):
    lines = commands(page)
    assert len(lines) >= 5, lines

    assert [line for line in lines if not (understood(line) or NEEDS_MORE.search(line))] == []


def understood(line: str) -> bool:
    """Whether the command line takes it; a line that ends in --help ends the program well."""
    try:
        cli.parser().parse_args(shlex.split(line)[1:])
    except SystemExit as ended:
        return ended.code == 0
    return True


NEEDS_MORE = re.compile(r"imagine (?:train|endpoint|image|models [a-z]+|image smoke)$")
"""Commands that the pages only name."""
