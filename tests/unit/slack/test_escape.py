"""Nothing a person types becomes a mention, a link or an emoji in Slack."""

import json
import re

from hypothesis import given
from hypothesis import strategies as st

from bot.slack import escape

CONTROL = re.compile(r"<[^>]*>|<")
NASTY = st.one_of(
    st.text(max_size=300),
    st.lists(
        st.sampled_from(
            [
                "<!channel>",
                "<@U123>",
                "<https://x.test|y>",
                "&lt;",
                "&",
                "<",
                ">",
                "`",
                "a",
                "😀",
                "\ud800",
                "\x00",
                ":b:",
            ]
        ),
        max_size=40,
    ).map("".join),
)


@given(NASTY)
def test_escaped_text_holds_no_control_sequence(text):
    assert not CONTROL.search(escape.escape(text))


@given(NASTY, st.integers(8, 60))
def test_escaped_text_keeps_its_limit_and_whole_entities(text, limit):
    escaped = escape.escape(text, limit)

    assert len(escaped) <= limit
    assert re.fullmatch(r"(?:[^&<>]|&amp;|&lt;|&gt;)*", escaped, re.DOTALL)


@given(st.text(alphabet="ab &<>", max_size=80))
def test_escaping_loses_nothing_of_a_short_text(text):
    escaped = escape.escape(text)

    assert escaped.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") == text


@given(NASTY, st.integers(2, 80))
def test_plain_text_never_draws_emoji_and_is_never_empty_or_too_long(text, limit):
    shown = escape.plain(text, limit)

    assert shown["emoji"] is False
    assert 1 <= len(shown["text"]) <= limit


@given(NASTY)
def test_rich_text_holds_the_text_in_text_elements_only(text):
    for block in (escape.quoted(text), escape.preformatted(text)):
        (part,) = block["elements"]
        assert [element["type"] for element in part["elements"]] == ["text"]


@given(NASTY)
def test_every_rendering_can_be_sent_as_utf_8(text):
    rendered = [escape.escape(text), escape.plain(text, 50), escape.quoted(text), escape.mention(text)]

    assert json.dumps(rendered, ensure_ascii=False).encode()


def test_only_a_user_id_is_mentioned():
    assert escape.mention("U0000000001") == "<@U0000000001>"
    assert escape.mention("!channel") == "!channel"
    assert escape.mention("U1> <!here") == "U1&gt; &lt;!here"


def test_only_a_user_id_becomes_a_user_element():
    assert escape.person("U0000000001") == {"type": "user", "user_id": "U0000000001"}
    assert escape.person("everyone") == {"type": "text", "text": "everyone"}


def test_a_cut_text_ends_with_an_ellipsis():
    assert escape.clip("abcdef", 4) == "abc…"
    assert escape.escape("&&&", 9) == "&amp;…"
