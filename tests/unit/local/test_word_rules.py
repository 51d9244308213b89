"""Which prompts the phrase rules refuse."""

import pytest

from bot.local.word_rules import WordRules

RULES = WordRules(["severed head", "Gore", "groß", " "])


@pytest.mark.parametrize(
    ("prompt", "rule"),
    [
        ("a severed head", "severed head"),
        ("A SEVERED\n  HEAD, oil", "severed head"),
        ("gore!", "Gore"),
        ("(gore:1.2)", "Gore"),
        ("ｇｏｒｅ", "Gore"),
        ("g\u200bore", "Gore"),
        ("GROSS", "groß"),
    ],
)
def test_a_phrase_is_found_as_whole_words_however_it_is_written(prompt: str, rule: str):
    verdict = RULES.check_prompt(prompt)
    assert not verdict.allowed
    assert not verdict.held
    assert verdict.rule == rule


@pytest.mark.parametrize(
    "prompt", ["", "a gorey place", "category", "severed the head", "head severed", "\ud800", "gore_1"]
)
def test_words_that_only_contain_a_phrase_pass(prompt: str):
    assert RULES.check_prompt(prompt).allowed


def test_without_phrases_everything_passes():
    assert WordRules([]).check_prompt("gore").allowed


def test_pictures_pass():
    assert RULES.check_picture(b"any").allowed
