"""How the embedded engine reads a prompt: tokens, weights, words it knows."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from container.embedded.tokenizer import clip_tokenizer
from container.prompt_weights import Piece, parse_weights, without_networks

TOKENIZER = clip_tokenizer()


def only_section(prompt: str) -> tuple[Piece, ...]:
    (section,) = parse_weights(prompt)
    return section


def test_tokens_are_clips() -> None:
    """Ids as OpenAI's own tokenizer gives them."""
    assert TOKENIZER.get_vocab_size() == 49_408
    assert TOKENIZER.encode("a photo of a cat").ids == [320, 1125, 539, 320, 2368]
    assert TOKENIZER.encode("A  Photo of a CAT").ids == [320, 1125, 539, 320, 2368]


@given(st.text(max_size=60))
def test_any_text_becomes_tokens_of_the_vocabulary(text: str) -> None:
    assert all(0 <= token < 49_406 for token in TOKENIZER.encode(text).ids)


def test_plain_text_weighs_one() -> None:
    assert only_section("a red apple") == (Piece("a red apple", 1.0),)


@pytest.mark.parametrize(
    ("prompt", "weight"),
    [
        ("(cat)", 1.1),
        ("((cat))", 1.21),
        ("[cat]", 1 / 1.1),
        ("(cat:1.5)", 1.5),
        ("(cat: .4)", 0.4),
        ("([cat]:2)", 2 / 1.1),
    ],
)
def test_brackets_weigh_as_in_webui(prompt: str, weight: float) -> None:
    (piece,) = only_section(prompt)
    assert piece.text == "cat"
    assert piece.weight == pytest.approx(weight)


def test_only_the_bracketed_words_are_weighted() -> None:
    assert [(p.text, round(p.weight, 3)) for p in only_section("a (red:1.3) apple, [ripe]")] == [
        ("a ", 1.0),
        ("red", 1.3),
        (" apple, ", 1.0),
        ("ripe", 0.909),
    ]


def test_escaped_brackets_are_text() -> None:
    assert only_section(r"apple \(fruit\)") == (Piece("apple (fruit)", 1.0),)


def test_unclosed_brackets_run_to_the_end() -> None:
    assert [(p.text, round(p.weight, 3)) for p in only_section("a (red apple")] == [
        ("a ", 1.0),
        ("red apple", 1.1),
    ]


def test_break_starts_a_section() -> None:
    assert [[p.text.strip() for p in section] for section in parse_weights("a cat BREAK a dog")] == [
        ["a cat"],
        ["a dog"],
    ]


@given(st.text(alphabet=string.ascii_lowercase + "()[]:\\., 0123456789\n", max_size=80))
def test_no_text_breaks_the_parser_or_loses_its_letters(prompt: str) -> None:
    sections = parse_weights(prompt)
    kept = "".join(piece.text for section in sections for piece in section)
    assert [c for c in kept if c.isalpha()] == [c for c in prompt if c.isalpha()]


def test_extra_networks_are_taken_out_and_named() -> None:
    assert without_networks("a cat <lora:pixel art:0.8>, red") == ("a cat , red", ("pixel art",))
