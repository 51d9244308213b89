"""Which prompts the phrase rules refuse."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.local.word_rules import WordRules

RULES = WordRules(["severed head", "Gore", "groß", " ", "\u200b"])
UNSEEN = st.text(
    st.sampled_from("\u200b\u200d\u2060\ufeff\u00ad\u034f\u115f\u3164\uffa0\ufe0f\U000e0100\x01\ud800"),
    max_size=3,
)
BETWEEN = st.builds(lambda blanks, unseen: blanks + unseen, st.sampled_from([" ", "\n", "\t  "]), UNSEEN)


@pytest.mark.parametrize(
    ("prompt", "rule"),
    [
        ("a severed head", "severed head"),
        ("A SEVERED\n  HEAD, oil", "severed head"),
        ("a severed\u200bhead", "severed head"),
        ("a sev\u200bered\u2060head", "severed head"),
        ("gore!", "Gore"),
        ("(gore:1.2)", "Gore"),
        ("ｇｏｒｅ", "Gore"),
        ("g\u200bore", "Gore"),
        ("go\u034fre", "Gore"),
        ("\u3164gore\u3164", "Gore"),
        ("GROSS", "groß"),
    ],
)
def test_a_phrase_is_found_as_whole_words_however_it_is_written(prompt: str, rule: str):
    verdict = RULES.check_prompt(prompt)
    assert not verdict.allowed
    assert not verdict.held
    assert verdict.rule == rule


@given(st.lists(UNSEEN, min_size=12, max_size=12), BETWEEN | UNSEEN.filter(bool))
def test_invisible_characters_hide_no_phrase(unseen: list[str], between: str):
    words = [*(letter + after for letter, after in zip("severed", unseen, strict=False)), between]
    words += [before + letter for before, letter in zip(unseen[7:], "head", strict=False)]

    assert RULES.check_prompt(f"an oil of a {''.join(words)}, framed").rule == "severed head"


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        "a gorey place",
        "category",
        "severed the head",
        "severedhead",
        "head severed",
        "\ud800",
        "gore_1",
        "a fox 🏳️\u200d🌈",
    ],
)
def test_words_that_only_contain_a_phrase_pass(prompt: str):
    assert RULES.check_prompt(prompt).allowed


def test_without_phrases_everything_passes():
    assert WordRules([]).check_prompt("gore").allowed


def test_pictures_pass():
    assert RULES.check_picture(b"any").allowed
