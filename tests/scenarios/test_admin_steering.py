"""What admins do to the endpoint from Slack, and what everybody else is told."""

import pytest

from bot.domain.job import Outcome
from tests.scenarios.conftest import MakeStack
from tests.scenarios.on_aws import OnAws
from tests.scenarios.stack import Stack
from tests.scenarios.test_subcommands import said

ADMIN = "robin"
STEERING = ["wake --yes", "sleep --yes", "warm 30m --yes", "schedule off", "purge --yes", "models", "doctor"]


def answered(stack: Stack, line: str, words: str) -> list[str]:
    """What the admin is told, as soon as the words are among it."""
    before = len(stack.told(ADMIN))
    stack.imagine(line, user=ADMIN)
    stack.until(lambda: any(words in told for told in stack.told(ADMIN)[before:]))
    return stack.told(ADMIN)[before:]


def on_aws(stack: Stack) -> OnAws:
    assert isinstance(stack.bot, OnAws)
    return stack.bot


@pytest.mark.parametrize("words", STEERING)
def test_nobody_else_steers_the_endpoint(stack: Stack, words: str):
    assert "Only admins can do that" in said(stack, f"admin {words}")


@pytest.mark.only("one_machine")
@pytest.mark.parametrize("words", ["wake", "sleep --yes", "warm 30m", "schedule off"])
def test_on_one_machine_nothing_needs_waking(stack: Stack, words: str):
    assert "this machine's own server" in said(stack, f"admin {words}", user=ADMIN)


@pytest.mark.only("aws")
def test_an_admin_wakes_it_and_the_sweep_hands_it_back(stack: Stack):
    minimum = on_aws(stack).set_up_scaling()
    assert "about $0.51" in said(stack, "admin wake", user=ADMIN)
    assert minimum() == 0

    told = answered(stack, "admin wake --yes", "It is being woken")
    assert "Handed to the admin function" in told[0]
    stack.until(lambda: minimum() == 0 and '"hand_back"' in stack.bot.log)
    assert "response_url" not in stack.bot.log


@pytest.mark.only("aws")
def test_a_warm_time_is_kept_with_its_end(stack: Stack):
    minimum = on_aws(stack).set_up_scaling()
    answered(stack, "admin warm 30m --yes", "It is kept warm until")
    assert minimum() == 1
    told = answered(stack, "admin doctor", "scaling moves between 1 and 1")
    assert "imagine-warm-end" in " ".join(told)


@pytest.mark.only("aws")
def test_an_endpoint_without_scaling_is_told_with_the_fix(stack: Stack):
    answered(stack, "admin wake --yes", "imagine endpoint apply")


@pytest.mark.only("aws")
def test_an_admin_function_that_is_gone_is_told_with_the_fix(stack: Stack):
    on_aws(stack).invocations.refuse = "ResourceNotFoundException"
    assert "npx osls deploy" in said(stack, "admin sleep --yes", user=ADMIN)
    assert len(stack.files(stack.draw("a red fox"))) == 1


def test_purge_forgets_what_waits_and_draws_what_is_under_way(make_stack: MakeStack):
    stack = make_stack(settings={"IMAGINE_WINDOW": "1"})
    stack.bot.open()
    stack.engine.hold()
    stack.imagine("a red fox")
    stack.until(lambda: stack.engine.asked)
    stack.imagine("a blue fox")
    stack.card(number=1)

    answered(stack, "admin purge --yes", "Waiting jobs cancelled: 1.")
    assert "An admin cancelled every waiting job." in stack.ended(number=1).words
    stack.engine.release()
    stack.ended(number=0)
    assert stack.outcomes() == [Outcome.OK, Outcome.PURGED]
