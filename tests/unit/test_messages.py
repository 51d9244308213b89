"""Every code has a sentence in plain words that says what helps."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain import messages
from bot.domain.job import Outcome, State
from bot.ports import Warmth

BOT = Path(messages.__file__).parents[1]


def test_every_outcome_has_a_sentence():
    assert set(messages.OUTCOMES) == set(Outcome)
    assert all(sentence.endswith(".") for sentence in messages.OUTCOMES.values())


def test_every_refusal_raised_anywhere_has_a_sentence():
    raised = {
        code
        for path in BOT.rglob("*.py")
        for code in re.findall(r'Refused\(\s*"(\w+)"', path.read_text(encoding="utf-8"))
    }

    assert raised
    assert raised <= set(messages.REFUSALS)


@pytest.mark.parametrize("code", messages.REFUSALS)
def test_a_refusal_reads_well_without_its_facts(code):
    assert "{" not in messages.refusal(code, {})


@settings(deadline=None)
@given(st.text(max_size=30), st.dictionaries(st.text(max_size=8), st.integers() | st.text(max_size=20)))
def test_any_code_and_any_facts_make_a_sentence(code, facts):
    assert messages.refusal(code, facts)


def test_gpu_time_is_told_in_the_unit_people_compare():
    facts = {"used": 3_590_000, "limit": 3_600_000, "cost": 12_000}

    assert "60 min of 60 min, and this needs 12 s" in messages.refusal("quota_spent", facts)


@settings(deadline=None)
@given(
    st.sampled_from(State),
    st.sampled_from(Warmth),
    st.none() | st.integers(0, 100),
    st.none() | st.integers(0, 50),
    st.none() | st.integers(1, 50),
)
def test_every_stage_has_a_line(state, warmth, place, step, steps):
    line = messages.stage_line(state, warmth=warmth, place=place, step=step, steps=steps)

    assert line.endswith(".")
