"""What people may draw with is what the endpoint holds."""

import pytest

from bot.domain.job import Outcome
from tests.scenarios.conftest import MakeStack
from tests.scenarios.on_aws import OnAws
from tests.scenarios.stack import Stack

LIVE, NEXT = "20261128-101500-3fa9c1d2", "20261129-080000-aaaaaaaa"
RELEASE = {
    "release": LIVE,
    "default_model": "Stable-diffusion/stripes.safetensors",
    "files": {
        "Stable-diffusion/stripes.safetensors": {"architecture": "sd1", "alias": "lines"},
        "Stable-diffusion/study.safetensors": {"architecture": "sd1", "non_commercial": True},
        "Lora/inkWash.safetensors": {"architecture": "sd1", "trigger_words": ["ink wash"]},
        "Lora/glow.safetensors": {"architecture": "sdxl"},
    },
}


def said(stack: Stack, line: str) -> str:
    """What the sender of a line that starts nothing was told."""
    before = len(stack.told())
    stack.imagine(line)
    return stack.told()[before:][-1]


@pytest.mark.only("one_machine")
def test_the_inference_server_is_asked_which_models_it_has(stack: Stack):
    assert "--model stripes" in said(stack, "models")
    assert "No LoRA is installed" in said(stack, "loras")


@pytest.mark.only("one_machine")
def test_a_model_the_server_lacks_is_refused_before_it_is_asked_to_draw(stack: Stack):
    told = said(stack, "a red fox --model strips")

    assert "Did you mean stripes?" in told
    assert (stack.cards(), stack.engine.asked) == ([], [])


@pytest.mark.only("one_machine")
def test_a_server_that_comes_up_later_is_asked_then(make_stack: MakeStack):
    stack = make_stack()
    stack.inference.stop()
    stack.bot.open()
    assert "not known" in said(stack, "models")

    stack.inference.start()
    stack.until(lambda: "--model stripes" in said(stack, "models"))


@pytest.fixture
def released(make_stack: MakeStack) -> Stack:
    """An endpoint on AWS that draws with a release, while a newer one is published."""
    stack = make_stack()
    on_aws(stack).release(RELEASE, published=NEXT)
    stack.bot.open()
    return stack


def on_aws(stack: Stack) -> OnAws:
    assert isinstance(stack.bot, OnAws)
    return stack.bot


@pytest.mark.only("aws")
def test_the_pages_show_the_release_that_draws_and_the_one_to_come(released: Stack):
    models, loras = said(released, "models"), said(released, "loras")

    assert "--model stripes (also lines; sd1)" in models
    assert "--model study (sd1; not for commercial use)" in models
    assert '--lora inkWash:0.8 (sd1; listens to "ink wash")' in loras
    assert f"Release {LIVE} draws now." in models
    assert f"Release {NEXT}: from the next update." in loras


@pytest.mark.only("aws")
@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("a red fox --model strips", "stripes"),
        ("a red fox --lora inkwsh", "Did you mean inkWash?"),
        ("a red fox --lora glow", "made for sdxl, and the model is sd1"),
    ],
)
def test_what_the_release_lacks_or_cannot_use_is_refused_before_the_gpu(released: Stack, line, told):
    assert told in said(released, line)
    assert (released.cards(), released.engine.asked) == ([], [])


@pytest.mark.only("aws")
def test_an_alias_draws_with_the_file(released: Stack):
    released.draw("a red fox --model lines")

    assert released.outcomes() == [Outcome.OK]
    assert released.bot.jobs()[0].request.model == "stripes"


@pytest.mark.only("aws")
def test_a_forbidden_licence_is_hidden_and_refused(make_stack: MakeStack):
    stack = make_stack(settings={"IMAGINE_FORBID_NON_COMMERCIAL": "on"})
    on_aws(stack).release(RELEASE, published=LIVE)
    stack.bot.open()

    assert "study" not in said(stack, "models")
    assert "does not allow commercial use" in said(stack, "a red fox --model study")


@pytest.mark.only("aws")
def test_without_a_catalogue_the_container_is_asked_while_it_is_awake(make_stack: MakeStack):
    stack = make_stack()
    stack.bot.open()

    stack.until(lambda: "--model stripes" in said(stack, "models"))
    assert "Did you mean stripes?" in said(stack, "a red fox --model strips")
    assert stack.cards() == []


@pytest.mark.only("aws")
def test_until_then_the_endpoint_itself_refuses_what_it_lacks(make_stack: MakeStack):
    stack = make_stack()
    on_aws(stack).open_without_sweeps()
    assert "passed on as typed" in said(stack, "models")

    card = stack.draw("a red fox --model strips")
    assert stack.outcomes() == [Outcome.UNKNOWN_MODEL]
    assert "does not have that model" in card.words
    assert "The nearest it has: stripes" in card.words
    stack.draw("a red fox --model stripes")
    assert stack.outcomes() == [Outcome.UNKNOWN_MODEL, Outcome.OK]
