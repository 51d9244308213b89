"""docs/deploy.md names commands that exist, and the Chinese pages say the same commands in the same order."""

import re
import shlex

import pytest

from infra import cli
from infra.endpoint.settings import parse_settings
from tests.docs.markdown import FENCE, ROOT, Page

PAGES = ("docs/deploy.md", "docs/from-the-guide.md")
TRANSLATED = {"README.md": "README.zh-CN.md", "docs/deploy.md": "docs/deploy.zh-CN.md"}
HEADING = re.compile(r"^(#+) +(?:(\d+)\.)?", re.MULTILINE)
COMMAND = re.compile(r"`([^`\n]*)`")


def blocks(page: Page, *languages: str) -> list[str]:
    found = [fence for fence in FENCE.finditer(page.text) if fence["language"] in languages]
    return [fence["body"] for fence in found]


def commands(page: Page) -> list[str]:
    return [line for line in page.lines_of("text") if line.startswith("imagine ")]


@pytest.mark.parametrize("name", PAGES)
def test_the_page_has_commands(name: str) -> None:
    assert len(commands(Page.at(ROOT / name))) > 5


@pytest.mark.parametrize(
    ("name", "line"),
    [(name, line) for name in PAGES for line in dict.fromkeys(commands(Page.at(ROOT / name)))],
)
def test_the_command_line_takes_what_the_page_says(name: str, line: str) -> None:
    arguments = cli.parser().parse_args(shlex.split(line)[1:])

    assert callable(arguments.run), name


@pytest.mark.parametrize("body", blocks(Page.at(ROOT / "docs/deploy.md"), "toml"))
def test_an_endpoint_file_on_the_page_can_be_read(body: str) -> None:
    assert parse_settings(body).profile


@pytest.mark.parametrize("name", TRANSLATED)
def test_the_translation_has_the_same_headings_and_steps(name: str) -> None:
    original, translation = Page.at(ROOT / name), Page.at(ROOT / TRANSLATED[name])

    assert HEADING.findall(_prose(translation)) == HEADING.findall(_prose(original))


@pytest.mark.parametrize("name", TRANSLATED)
def test_the_translation_has_the_same_blocks(name: str) -> None:
    original, translation = Page.at(ROOT / name), Page.at(ROOT / TRANSLATED[name])

    assert blocks(translation, "sh", "text", "toml") == blocks(original, "sh", "text", "toml")


@pytest.mark.parametrize("name", TRANSLATED)
def test_the_translation_names_the_same_commands_in_its_text(name: str) -> None:
    original, translation = Page.at(ROOT / name), Page.at(ROOT / TRANSLATED[name])

    assert _named(translation) == _named(original)


def _prose(page: Page) -> str:
    return FENCE.sub("", page.text)


def _named(page: Page) -> set[str]:
    """Commands in running text, however the lines are wrapped."""
    joined = re.sub(r"`([^`]*)`", lambda code: f"`{' '.join(code[1].split())}`", _prose(page))
    return {
        code for code in COMMAND.findall(joined) if code.startswith(("imagine ", "make ", "/imagine", "npm "))
    }
