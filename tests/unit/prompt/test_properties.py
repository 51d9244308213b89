"""What holds for every line: no exception, a canonical line that means the same, an honest correction."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot.domain.prompt import (
    Ask,
    Draw,
    Parsed,
    Refusal,
    caret_line,
    classify,
    from_slack,
    line_of,
    render,
    tidy,
)
from bot.domain.prompt.quoting import unwrap, wrap
from bot.domain.prompt.schema import FLAGS
from bot.domain.request import Defaults, ImageRequest, LoraUse

ANY_TEXT = st.text(st.characters(), max_size=120)  # lone surrogates and NUL included
FRAGMENTS = st.sampled_from(
    [
        *(flag.example for flag in FLAGS),
        *(f"--{name}" for flag in FLAGS for name in (flag.name, *flag.aliases)),
        *(
            "—ar 16:9",
            "–seed 5",
            "−n 2",
            "—hola",
            "--",
            "-",
            "---",
            "—",
            "-ar 3:2",
            "cat--seed 4",
            "--stylze 3",
        ),
        *(
            '"',
            '\\"',
            "\\",
            "\\\\",
            "'",
            "“",
            "”",
            '"a b"',
            '"--no parking"',
            '"help"',
            "help",
            "cancel",
            "show",
        ),
        *("(", ")", "[", "]", "{", "}", "(x:1.2)", "((y))", "[z]", "[a|b]", "[a:b:0.4]", "(x:abc)", "{a, b}"),
        *("<lora:inkwash:0.7>", "<lora:nope>", "<hypernet:x>", "<", ">", ":", "::", "::2", "::-.5", ": :1"),
        *(
            "BREAK",
            "AND",
            "a",
            "cat",
            "fox,",
            ",",
            ", ,",
            "1",
            "16:9",
            "7.5",
            "-1",
            "0,8",
            "__c__",
            "=",
            "=5",
        ),
        *(
            "https://x.y/z.png",
            "é",
            "漢字",
            "👩\u200d🎨",
            "\u200b",
            "\u00a0",
            "\n",
            "\x00",
            "\ud800",
            "&lt;",
            ".",
        ),
        *(
            "--no",
            "--no x",
            '--no "a, b"',
            '--no "x", y',
            "--lora add-detail:0.5",
            "--sampler euler a",
            "²",
            "٣",
        ),
    ]
)
LINES = st.lists(st.one_of(FRAGMENTS, FRAGMENTS, st.text(st.characters(), max_size=4)), max_size=10).flatmap(
    lambda parts: st.sampled_from([" ", ""]).map(lambda glue: glue.join(parts))
)


@given(st.one_of(ANY_TEXT, LINES))
@settings(max_examples=150, deadline=None)
@example("x" * 10_000)
@example('"' * 10_000)
@example(' "a' * 5_000)
@example("(" * 10_000)
@example("--n " * 4_000)
@example("--seed " + "9" * 9_000)
@example("a::" * 600)
@example("a::2 " * 390)
@example("x," * 990 + "::-1 y::5")
@example("x" * 60_000)
def test_every_line_is_read_or_refused_with_a_reason(read, text):
    outcome = read(text)

    if isinstance(outcome, Refusal):
        assert outcome.problems
        assert all(problem.message for problem in outcome.problems)
        assert all(0 <= problem.start <= problem.end <= len(outcome.typed) for problem in outcome.problems)
        assert "^" in caret_line(outcome)
    else:
        assert outcome.request.prompt


@given(LINES)
@settings(max_examples=300, deadline=None)
def test_a_canonical_line_means_the_same_as_what_was_typed(read, text):
    outcome = read(text)

    if isinstance(outcome, Parsed):
        line = render(outcome.request, outcome.defaults)
        again = read(line)
        assert isinstance(again, Parsed), (line, again)
        assert again.request == outcome.request
        assert render(again.request, again.defaults) == line


@given(LINES)
@settings(max_examples=150, deadline=None)
def test_a_corrected_line_works(read, text):
    outcome = read(text)

    if isinstance(outcome, Refusal) and outcome.corrected is not None:
        assert isinstance(read(outcome.corrected), Parsed)


WORDS = st.text(st.sampled_from('ab -—"\\,:;()<>é漢--=.'), max_size=30)
REQUESTS = st.builds(
    ImageRequest,
    prompt=WORDS.map(tidy).filter(bool),
    negative_prompt=st.lists(
        st.text(st.sampled_from('ab -"\\()é'), max_size=8).map(tidy).filter(bool), max_size=3
    ).map(", ".join),
    width=st.sampled_from([512, 640, 768]),
    height=st.sampled_from([512, 384, 768]),
    n=st.integers(1, 4),
    steps=st.integers(1, 50),
    guidance=st.floats(1, 30).map(lambda number: round(number, 2)),
    sampler=st.sampled_from(["Euler", "Euler a", "DDIM", "DPM++ 2M"]),
    seed=st.none() | st.integers(0, 2**32 - 1),
    subseed=st.none() | st.integers(0, 2**32 - 1),
    subseed_strength=st.floats(0, 1).map(lambda number: round(number, 3)),
    model=st.sampled_from([None, "dreamshaper-8", "demo"]),
    loras=st.lists(
        st.builds(
            LoraUse,
            name=st.sampled_from(["inkWash", "add-detail", "flat colour"]),
            weight=st.floats(-2, 2).map(lambda number: round(number, 2)),
        ),
        unique_by=lambda use: use.name,
    ).map(tuple),
    style=st.sampled_from([None, "photo", "pixel-art"]),
    strength=st.none() | st.floats(0, 1).map(lambda number: round(number, 2)),
)


@given(REQUESTS)
@settings(max_examples=150, deadline=None)
def test_every_request_that_a_line_can_name_survives_being_written_as_one(read, request_):
    outcome = read(render(request_, Defaults()))

    if isinstance(outcome, Refusal):  # only for what the prompt's own words hold, never for a flag
        inside = {"bad_weight", "empty_part", "total_weight", "image_link", "unsupported"}
        assert {problem.code for problem in outcome.problems} <= inside | {"unclosed_brace", "unknown_lora"}
    elif "::" not in request_.prompt:
        assert outcome.request == request_


@given(st.one_of(ANY_TEXT, LINES))
@settings(max_examples=150, deadline=None)
def test_tidying_twice_changes_nothing_more(text):
    assert tidy(tidy(text)) == tidy(text)


@given(st.one_of(ANY_TEXT, LINES))
@settings(max_examples=200, deadline=None)
def test_a_tidy_line_can_be_stored_and_shown(text):
    line = tidy(from_slack(text))

    assert line.encode().decode() == line
    assert line.isprintable() or not set(line) & set("\x00\n\r\t\x1b")


COMMAND_WORDS = st.lists(
    st.sampled_from(
        [
            "help",
            "show",
            "cancel",
            "admin",
            "pause",
            "queue",
            "flgas",
            "castle",
            "12g4",
            "k3qv7m",
            "#x",
            '"',
            "a",
        ]
    ),
    max_size=4,
).map(" ".join)


@given(st.one_of(ANY_TEXT, LINES, COMMAND_WORDS, COMMAND_WORDS))
@settings(max_examples=150, deadline=None)
def test_what_is_asked_back_can_be_answered_either_way(text):
    command = classify(text)

    if isinstance(command, Ask):
        assert classify(line_of(command.command)) == command.command
        assert classify(wrap(command.text)) == Draw(wrap(command.text))


@given(st.one_of(ANY_TEXT, LINES))
def test_wrapping_in_quotes_keeps_the_text(text):
    assert unwrap(wrap(text)) == text
