"""The web UI's prompt syntax: passed through, taken out, converted, or refused by name."""

import pytest

from bot.domain.prompt import Catalogue, Construct, Parsed, parse
from bot.domain.request import Caps, Defaults, LoraUse


@pytest.mark.parametrize(
    "prompt",
    [
        "a (red:1.2) fox",
        "a ((red)) fox, [small]",
        "((red:1.1) fox:1.3)",
        r"mario \(character\)",
        r"mario \(character:abc\)",
        "castle BREAK forest",
        "(note: a red fox)",
        "(fate: stay night)",
        "a fox at 10:30",
        "a <b> c",
        "smile :) or :-]",
        'a sign that says "https://example.com"',
        "snake_case and __init",
        "[a: b]",
        "{cozy}",
        "CATS and DOGS",
    ],
)
def test_what_the_engine_understands_or_treats_as_text_passes_unchanged(accepted, prompt):
    outcome = accepted(prompt)

    assert outcome.request.prompt == prompt
    assert outcome.notes == ()


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("a (red fox", "1 bracket was never closed."),
        ("a ((red [fox", "3 brackets were never closed."),
        ("a (red:3) fox", "The weight 3 is outside 0 to 2 and may spoil the picture."),
        ("a (red:-1) fox", "The weight -1 is outside 0 to 2 and may spoil the picture."),
    ],
)
def test_what_may_surprise_runs_with_a_note(accepted, prompt, message):
    outcome = accepted(prompt)

    assert outcome.request.prompt == prompt
    assert [note.message for note in outcome.notes] == [message]


@pytest.mark.parametrize(
    ("typed", "message", "marked", "corrected"),
    [
        (
            "a (red:abc) fox",
            'A weight is a number, as in (word:1.2), not "abc". Plain brackets are \\( and \\).',
            "abc",
            "a (red) fox",
        ),
        (
            "a (red:1,3) fox",
            'A weight is a number, as in (word:1.2), not "1,3". Plain brackets are \\( and \\).',
            "1,3",
            "a (red:1.3) fox",
        ),
        (
            "a [cat:dog:0.4]",
            "Prompt editing [a:b:0.4] is not supported by this engine.",
            "[cat:dog:0.4]",
            "a cat",
        ),
        (
            "a [dog:0.4] x",
            "Prompt editing [a:b:0.4] is not supported by this engine.",
            "[dog:0.4]",
            "a dog x",
        ),
        ("a [cat::8]", "Prompt editing [a:b:0.4] is not supported by this engine.", "[cat::8]", "a cat"),
        ("a [cat|dog]", "Alternating words [a|b] are not supported by this engine.", "[cat|dog]", "a cat"),
        (
            "a cat AND a dog",
            'Joining prompts with AND is not supported by this engine; a small "and" is just a word.',
            "AND",
            "a cat and a dog",
        ),
        (
            "a {red, blue} ball",
            "Permutations such as {red, blue} are not supported; write one line per picture.",
            "{red, blue}",
            "a red ball",
        ),
        (
            "a {red|blue} ball",
            "Permutations such as {red, blue} are not supported; write one line per picture.",
            "{red|blue}",
            "a red ball",
        ),
        ("a {red ball", "This { is never closed. Write the words without it.", "{", "a red ball"),
        (
            "a __color__ ball",
            "Wildcards such as __color__ are not supported; write the word itself.",
            "__color__",
            "a color ball",
        ),
        (
            "a fox <hypernet:anime:1>",
            "<hypernet:…> is not supported; LoRAs are, as <lora:name:0.8>.",
            "<hypernet:anime:1>",
            "a fox",
        ),
        (
            "a fox <lora:inkwsh:0.7>",
            'There is no LoRA "inkwsh" here. Did you mean inkWash?',
            "inkwsh",
            "a fox <lora:inkWash:0.7>",
        ),
        ("a fox <lora:zzzz>", 'There is no LoRA "zzzz" here.', "zzzz", "a fox"),
        (
            "a fox <lora:inkWash:lots>",
            'A LoRA\'s weight is a number, as in <lora:name:0.8>, not "lots".',
            "lots",
            "a fox <lora:inkWash:1>",
        ),
        (
            "like https://x.y/z.png but blue",
            "Pictures by link cannot be used yet. Say in words what the picture should show.",
            "https://x.y/z.png",
            "like but blue",
        ),
        ("::2 fox", "There is no text before this :: weight.", "::2", "fox"),
        ("fox::-1", "The :: weights must add up to more than 0.", "::-1", "fox"),
        (
            "fox --no hat, <lora:inkWash:1>",
            "A LoRA belongs to the prompt, not into --no.",
            "<lora:inkWash:1>",
            "fox --no hat,",
        ),
        (
            'fox --no "\\"a\\", (bad:x)"',
            'A weight is a number, as in (word:1.2), not "x". Plain brackets are \\( and \\).',
            "x",
            'fox --no "\\"a\\", (bad)"',
        ),
        (
            "fox --no a, b --no [c|d]",
            "Alternating words [a|b] are not supported by this engine.",
            "[c|d]",
            "fox --no a, b --no c",
        ),
    ],
)
def test_what_the_engine_cannot_draw_is_refused_by_name(refused, typed, message, marked, corrected):
    refusal = refused(typed)
    problem = refusal.problems[0]

    assert [problem.message for problem in refusal.problems] == [message]
    assert refusal.typed[problem.start : problem.end] == marked
    assert refusal.corrected == corrected


def test_places_are_right_behind_a_flag_and_inside_quotes(refused):
    refusal = refused('--seed 5 "a \\"big\\" (red:abc) fox"')
    problem = refusal.problems[0]

    assert refusal.typed[problem.start : problem.end] == "abc"
    assert refusal.corrected == '--seed 5 "a \\"big\\" (red) fox"'


def test_an_engine_without_break_refuses_it():
    line = "castle BREAK forest"

    refusal = parse(line, defaults=Defaults(), caps=Caps(), catalogue=Catalogue(constructs=frozenset()))

    assert refusal.problems[0].message.startswith("Starting a new part with BREAK is not supported")
    assert refusal.corrected == "castle , forest"


@pytest.mark.parametrize("construct", [Construct.EDITING, Construct.ALTERNATION, Construct.COMPOSITION])
def test_an_engine_that_can_do_more_gets_more(construct):
    line = {
        Construct.EDITING: "a [cat:dog:0.4]",
        Construct.ALTERNATION: "a [cat|dog]",
        Construct.COMPOSITION: "a cat AND a dog",
    }[construct]
    able = Catalogue(constructs=frozenset({construct}))

    outcome = parse(line, defaults=Defaults(), caps=Caps(), catalogue=able)

    assert isinstance(outcome, Parsed)
    assert outcome.request.prompt == line


def test_lora_tags_leave_the_prompt_and_take_the_catalogue_spelling(accepted):
    request = accepted("a fox, <lora:INKWASH:0.7>, snow <lora:add_detail>").request

    assert request.prompt == "a fox, snow"
    assert request.loras == (LoraUse(name="inkWash", weight=0.7), LoraUse(name="add-detail", weight=1.0))


def test_a_lora_named_twice_counts_once_with_the_last_weight(accepted):
    request = accepted("a fox <lora:inkWash:0.7> --lora inkwash:0.4").request

    assert request.loras == (LoraUse(name="inkWash", weight=0.4),)


@pytest.mark.parametrize(
    ("typed", "prompt", "negative"),
    [
        ("cat::2 dog::1", "(cat:1.33), (dog:0.67)", ""),
        ("cat:: dog", "cat, dog", ""),
        ("cat::3 dog::1 sea", "(cat:1.8), (dog:0.6), (sea:0.6)", ""),
        ("cat::2 red::-.5", "cat", "red"),
        ("cat::9 dog::.1 sea::.1", "(cat:2), (dog:0.03), (sea:0.03)", ""),
        ("cat::2", "cat", ""),
    ],
)
def test_midjourney_weights_become_web_ui_weights(accepted, typed, prompt, negative):
    outcome = accepted(typed)

    assert (outcome.request.prompt, outcome.request.negative_prompt) == (prompt, negative)
    assert outcome.notes


def test_converted_weights_are_shown(accepted):
    assert [note.message for note in accepted("cat::2 red::-.5").notes] == [
        "The :: weights were turned into cat and --no red."
    ]
