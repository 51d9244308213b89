"""Help comes from the flag table, and so does the committed page."""

from pathlib import Path

import pytest

from bot.domain.prompt import Catalogue, Parsed
from bot.domain.prompt.help import EXAMPLES, SYNTAX, flags_markdown, help_lines
from bot.domain.prompt.schema import FLAGS
from bot.domain.prompt.subcommands import TOPICS

ROOT = Path(__file__).resolve().parents[3]


def test_the_committed_page_is_the_one_the_table_writes():
    assert (ROOT / "docs" / "flags.md").read_text(encoding="utf-8") == flags_markdown()


@pytest.mark.parametrize("flag", FLAGS, ids=lambda flag: flag.name)
def test_every_flag_stands_in_the_help_and_on_the_page(flag):
    assert any(flag.spelled in line for line in help_lines("flags"))
    assert f"| `{flag.spelled}` |" in flags_markdown()


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_can_be_typed(read, example):
    assert isinstance(read(example), Parsed)


def test_the_usage_card_has_three_examples():
    assert len(EXAMPLES) == 3
    assert set(EXAMPLES) <= set(help_lines())


@pytest.mark.parametrize("topic", TOPICS)
def test_every_topic_has_a_page_named_in_the_overview(topic):
    assert help_lines(topic)
    assert any(f"help {topic}" in line for line in help_lines())


def test_an_unknown_topic_lists_the_topics():
    assert help_lines("cooking") == ("Help has pages on flags, styles, models, loras, syntax.",)


def test_pages_of_names_follow_the_catalogue():
    catalogue = Catalogue(models=("demo",), loras=("inkWash",), styles=("brand",))

    assert help_lines("models", catalogue=catalogue) == ("--model demo",)
    assert help_lines("loras", catalogue=catalogue) == ("--lora inkWash:0.8",)
    assert help_lines("styles", catalogue=catalogue) == ("--style brand",)
    assert help_lines("loras", catalogue=Catalogue()) == ("No LoRA is installed.",)


def test_the_syntax_page_shows_every_form():
    assert len(help_lines("syntax")) == len(SYNTAX)
