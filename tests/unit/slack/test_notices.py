"""What one person alone is told is accepted by Slack, whatever they typed."""

import re

from hypothesis import given
from hypothesis import strategies as st

from bot.domain.prompt import Ask, Catalogue, Parsed, Refusal, Show, classify, from_slack, parse
from bot.domain.request import Caps, Defaults
from bot.ports import EndpointState, Warmth
from bot.services.gallery import Overview
from bot.slack import notices
from bot.slack.blocks import MAX_BLOCKS_JSON, size
from infra.local.slack.blockcheck import check_blocks
from tests.unit.slack.factories import announced, done, make_request

pieces = st.sampled_from(
    [
        "--stylze 200",
        "--ar 99:1",
        "(a:b)",
        "{",
        "--seed -5",
        "a::",
        "😀",
        "漢字",
        '"',
        "show 12g4",
        "<!here>",
        "fox",
    ]
)
lines = st.one_of(
    st.text(max_size=400),
    st.lists(pieces, max_size=30).map(" ".join),
    st.builds(lambda piece, count: f"{piece} " * count, pieces, st.integers(1, 400)),
)


def is_fine(message):
    assert check_blocks(message.blocks, file_is_usable=lambda _: True) == []
    assert size(message.blocks) <= MAX_BLOCKS_JSON
    assert not re.search("<", message.text)
    assert message.text


@given(lines)
def test_every_answer_to_any_line_is_accepted_by_slack(line):
    outcome = parse(from_slack(line), defaults=Defaults(), caps=Caps(), catalogue=Catalogue())
    question = classify(from_slack(line))

    if isinstance(outcome, Refusal):
        is_fine(notices.prompt_refused(outcome))
    if isinstance(outcome, Parsed):
        is_fine(notices.details(done(request=outcome.request), Defaults()))
        if outcome.notes:
            is_fine(notices.notes([note.message for note in outcome.notes]))
    if isinstance(question, Ask):
        is_fine(notices.ask(question))


@given(lines)
def test_a_question_about_any_line_is_accepted_by_slack(line):
    is_fine(notices.ask(Ask(Show("abc123"), line)))


@given(st.lists(lines, max_size=12), st.none() | lines)
def test_an_overview_of_any_jobs_is_accepted_by_slack(prompts, reason):
    jobs = tuple(announced(request=make_request(prompt=prompt)) for prompt in prompts)
    endpoint = EndpointState(name="demo", warmth=Warmth.ASLEEP, window=2)

    is_fine(notices.overview(Overview(used=1, limit=2, open_jobs=jobs, paused=reason, endpoint=endpoint)))
    is_fine(notices.queue(jobs))


@given(st.lists(lines, min_size=1, max_size=40))
def test_a_page_of_anything_is_accepted_by_slack(rows):
    is_fine(notices.page([f"- {row}" for row in rows]))


@given(lines)
def test_a_sentence_with_anything_in_it_is_accepted_by_slack(line):
    is_fine(notices.say(f"Paused: {line}"))
