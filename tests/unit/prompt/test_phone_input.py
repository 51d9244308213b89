"""Lines as phones, Macs and Slack really send them."""

import pytest

from bot.domain.prompt import from_slack, tidy

SMART_DASHES = [
    "a castle —ar 16:9",
    "a castle –ar 16:9",
    "a castle ——ar 16:9",
    "a castle ―ar 16:9",
    "a castle −−ar 16:9",
    "a castle \u2014Ar 16:9",
    "a castle \u00a0—ar\u00a016:9",
    "a castle\n—ar 16:9",
    "—ar 16:9 a castle",
    "a castle\u200b—ar 16:9",
    "a castle \u200e—ar 16:9",
    "a castle －－ar 16:9",
    "a castle ---ar 16:9",
    "a castle -ar 16:9",
    "a castle —aspect=16:9",
]


@pytest.mark.parametrize("typed", SMART_DASHES)
def test_a_dash_that_autocorrect_made_still_starts_a_flag(accepted, typed):
    outcome = accepted(typed)

    assert outcome.request.prompt == "a castle"
    assert (outcome.request.width, outcome.request.height) == (680, 384)


def test_the_answer_says_which_dash_was_mended(accepted):
    messages = [note.message for note in accepted("a fox —seed 5 –n 2").notes]

    assert messages == ["—seed was read as --seed.", "–n was read as --n."]


@pytest.mark.parametrize(
    "prose",
    [
        "a girl — she is sad",
        "a girl —she is sad",
        "well-known 18–20 year old oak",
        "a t-shirt -red- and blue",
        "- a list",
        "day —2 of the storm",
        "a -seed in the ground",
        "2024-05-06",
        "rock--and roll",
        "rock--and--roll",
        "a--seedling",
        "grade a--n 4",
        "--",
        "-- and on",
    ],
)
def test_dashes_in_prose_stay_as_typed(accepted, prose):
    assert accepted(prose).request.prompt == prose


@pytest.mark.parametrize(
    ("typed", "prompt"),
    [
        ("a sign “open”", 'a sign "open"'),
        ("the cat’s ‘hat’", "the cat's 'hat'"),
        ("a\u00a0red\u200bfox\ufeff", "a red fox"),
        ("a red\n\nfox\t ", "a red fox"),
        ("a red\u2028fox", "a red fox"),
        ("castle\nBREAK\nforest", "castle BREAK forest"),
        ("fox\x00\x07\ud83d", "fox"),
        ("👩\u200d🎨 paints", "👩\u200d🎨 paints"),
        ("una niña — 漢字", "una niña — 漢字"),
    ],
)
def test_typography_is_made_plain_and_words_are_kept(accepted, typed, prompt):
    assert accepted(typed).request.prompt == prompt


def test_a_value_in_curly_quotes_is_one_value(accepted):
    assert accepted("a fox —sampler “Euler a”").request.sampler == "Euler a"


@pytest.mark.parametrize(
    ("sent", "typed"),
    [
        ("salt &amp; pepper", "salt & pepper"),
        ("&lt;lora:inkWash:0.8&gt; fox", "<lora:inkWash:0.8> fox"),
        ("&amp;lt;", "&lt;"),
        ("like <https://x.y/a.png|a.png> but blue", "like https://x.y/a.png but blue"),
        ("like <https://x.y/a.png>", "like https://x.y/a.png"),
        ("a portrait of <@U012AB3CD|ana>", "a portrait of @ana"),
        ("a portrait of <@U012AB3CD>", "a portrait of @U012AB3CD"),
        ("a poster for <#C024BE7LR|general>", "a poster for #general"),
        ("wake <!channel> up", "wake @channel up"),
        ("for <!subteam^SAZ94GDB8|@designers>", "for @designers"),
        ("&quot;", "&quot;"),
    ],
)
def test_slack_encoding_is_undone_once(sent, typed):
    assert from_slack(sent) == typed


def test_an_escaped_lora_tag_from_slack_is_understood(accepted):
    outcome = accepted(from_slack("fox &lt;lora:inkWash:0.8&gt;"))

    assert [(use.name, use.weight) for use in outcome.request.loras] == [("inkWash", 0.8)]


def test_nothing_invisible_survives_tidying():
    assert tidy("a\u202eb\u200ec\u00add\x1b[0m") == "abcd[0m"
