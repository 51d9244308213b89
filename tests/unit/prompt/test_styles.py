"""What the engine reads once a style and the LoRAs are written into the prompt."""

import pytest

from bot.domain.prompt import STYLES, engine_prompt
from bot.domain.request import ImageRequest


def test_without_a_style_the_words_go_through_untouched(accepted):
    request = accepted("a {cozy} fox --no text").request

    assert engine_prompt(request) == ("a {cozy} fox", "text")


def test_a_style_is_put_around_the_words_and_adds_to_the_negative_prompt(accepted):
    request = accepted("a fox --style anime --no text").request

    assert engine_prompt(request) == (
        "anime illustration of a fox, clean line work, cel shading",
        "text, photo, realistic, render",
    )


def test_loras_are_written_as_tags_at_the_end(accepted):
    request = accepted("a fox --lora inkwash:0.8 --lora add-detail --style sketch").request

    prompt, _ = engine_prompt(request)

    assert prompt.endswith(", hatching, paper texture <lora:inkWash:0.8> <lora:add-detail:1>")


@pytest.mark.parametrize("name", STYLES)
def test_every_style_holds_the_prompt_exactly_once(accepted, name):
    request = accepted(f"a fox --style {name}").request

    assert engine_prompt(request)[0].count("a fox") == 1
    assert STYLES[name].template.count("{prompt}") == 1


def test_braces_in_the_words_cannot_reach_the_template(accepted):
    request = accepted("a {prompt} fox --style flat").request

    assert engine_prompt(request)[0].count("{prompt}") == 1


def test_a_style_that_is_gone_leaves_the_words_as_they_are():
    request = ImageRequest(
        prompt="a fox", width=512, height=512, steps=20, guidance=7.0, sampler="Euler", style="retired"
    )

    assert engine_prompt(request) == ("a fox", "")
