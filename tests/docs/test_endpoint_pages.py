"""docs/endpoint.md and docs/cost.md: what they show is what the commands do."""

import re
import shlex

import pytest

from infra import cli
from infra.endpoint.cost import SCALING_ALARMS, SERVICE_ALARMS, idle_month, total, total_without_free
from infra.endpoint.settings import KEYS, MEANINGS, Profile, parse_settings
from tests.docs.markdown import FENCE, ROOT, Page

ENDPOINT, COST = Page.at(ROOT / "docs/endpoint.md"), Page.at(ROOT / "docs/cost.md")
FILES = [found["body"] for found in FENCE.finditer(ENDPOINT.text) if found["language"] == "toml"]
COMMANDS = re.findall(r"`(imagine (?:endpoint|train|models)[^`]*)`", ENDPOINT.text)


@pytest.mark.parametrize("text", FILES)
def test_every_file_on_the_page_can_be_read(text: str):
    assert parse_settings(text).profile in Profile


def test_every_key_is_on_the_page_with_its_meaning():
    assert KEYS.keys() == MEANINGS.keys()
    assert [key for key in KEYS if f"| `{key}` |" not in ENDPOINT.text] == []


@pytest.mark.parametrize("command", sorted(set(COMMANDS)))
def test_every_command_on_the_page_is_one_there_is(command: str, capsys: pytest.CaptureFixture[str]):
    words = shlex.split(command)[1:]
    named = words[:2] if words[0] != "train" else words[:1]
    with pytest.raises(SystemExit) as ended:
        cli.main([*named, "--help"])

    assert ended.value.code == 0
    assert "usage: imagine" in capsys.readouterr().out


def test_the_idle_month_on_the_page_is_the_one_that_is_summed():
    month = idle_month()
    lines = {line.what.partition(",")[0]: line for line in month}
    ten_alarms = (lines["alarms"].dollars or 0.0) * 10 / (SERVICE_ALARMS + SCALING_ALARMS)
    free_too = ten_alarms + sum(lines[what].dollars or 0.0 for what in ("logs", "sweep"))

    assert f"**{total(month):.2f}**" in COST.text
    assert f"million it is ${total(month) + lines['queue'].waived:.2f}" in COST.text
    assert f"${total_without_free(month):.2f}. An account" in COST.text
    assert f"${total(month) - free_too:.2f} is left" in COST.text
