"""The line that Details shows: shortest, and the same request when it is typed again."""

import pytest

from bot.domain.prompt import Draw, classify, render
from bot.domain.request import Defaults, ImageRequest


@pytest.mark.parametrize(
    ("typed", "canonical"),
    [
        ("a fox", "a fox"),
        ("--SEED=5 a   fox --n 1", "a fox --seed 5"),
        ("a fox --steps 20 --cfg 7.0 --sampler euler_a", "a fox"),
        ("a fox --cfg 7.50", "a fox --cfg 7.5"),
        ('"a fox"', "a fox"),
        ('"help"', '"help"'),
        ('"show k3qv7m" --seed 3', "show k3qv7m --seed 3"),
        ('"a --seed 5 fox"', '"a --seed 5 fox"'),
        ('a sign "--no parking"', 'a sign "--no parking"'),
        (r'"say \"hi\" --now"', r'"say \"hi\" --now"'),
        (r'"\"hi\""', r'"\"hi\""'),
        ('a 12" record --n 2', 'a 12" record --n 2'),
        ("a fox --no b, a", "a fox --no b, a"),
        ('a fox --no "", b', 'a fox --no "\\"\\", b"'),
        ('a fox --no "a", b', "a fox --no a, b"),
        ('a fox --no "(bad:1.2), x"', 'a fox --no "(bad:1.2), x"'),
        ("a fox --sampler DPM++ 2M", 'a fox --sampler "DPM++ 2M"'),
        ("a fox --lora 'flat colour:0.5'", 'a fox --lora "flat colour:0.5"'),
        ("a fox --style photo --model demo", "a fox --model demo --style photo"),
        ("a fox --stylize 100 --tile", "a fox"),
    ],
)
def test_a_line_is_written_in_its_shortest_form(accepted, typed, canonical):
    outcome = accepted(typed)

    assert render(outcome.request, outcome.defaults) == canonical
    assert accepted(canonical).request == outcome.request


@pytest.mark.parametrize(
    "word", ["help", "info", "cancel", "models", "admin status", "show k3qv7m", "cancle"]
)
def test_a_prompt_that_looks_like_a_command_is_written_in_quotes(word):
    request = ImageRequest(prompt=word, width=512, height=512, steps=20, guidance=7.0, sampler="Euler a")

    line = render(request, Defaults())

    assert line == f'"{word}"'
    assert classify(line) == Draw(line)


def test_a_varied_picture_can_be_written_as_a_line(accepted):
    line = "a fox --seed 5 --subseed 11 --subseed-strength 0.12"

    outcome = accepted(line)
    assert render(outcome.request, outcome.defaults) == line
