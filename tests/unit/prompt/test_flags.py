"""Every flag, and every class of the reaction policy with the words a person reads."""

import pytest

from bot.domain.prompt import Catalogue, Parsed, caret_line, parse, render
from bot.domain.prompt.schema import FLAGS, SPELLINGS, Kind
from bot.domain.request import Caps, Defaults


def messages(outcome):
    return [note.message for note in outcome.notes]


def reasons(refusal):
    return [problem.message for problem in refusal.problems]


def test_a_line_without_flags_takes_the_defaults(accepted):
    request = accepted("a red apple").request

    assert (request.prompt, request.negative_prompt, request.n, request.seed) == ("a red apple", "", 1, None)
    assert (request.width, request.height, request.steps) == (512, 512, 20)
    assert (request.guidance, request.sampler, request.model, request.style) == (7.0, "Euler a", None, None)


@pytest.mark.parametrize(
    ("flag", "field", "value"),
    [
        ("--n 3", "n", 3),
        ("--seed 7", "seed", 7),
        ("--seed 4294967295", "seed", 4294967295),
        ("--seed -1", "seed", None),
        ("--sameseed 7", "seed", 7),
        ("--sameseed 7 --seed 8", "seed", 8),
        ("--seed 8 --sameseed 7", "seed", 7),
        ("--seed −1", "seed", None),
        ("--seed 7.", "seed", 7),
        ("--steps 33", "steps", 33),
        ("--quality 2", "steps", 40),
        ("--q .5", "steps", 10),
        ("--cfg 7.5", "guidance", 7.5),
        ("--cfg_scale 9", "guidance", 9.0),
        ("--sampler ddim", "sampler", "DDIM"),
        ("--sampler euler_a", "sampler", "Euler a"),
        ("--sampler Euler a", "sampler", "Euler a"),
        ("--sampler k_euler_ancestral", "sampler", "Euler a"),
        ("--sampler dpmpp_2m", "sampler", "DPM++ 2M"),
        ("--sampler=DPM++ 2M", "sampler", "DPM++ 2M"),
        ("--model Dreamshaper_8.safetensors", "model", "dreamshaper-8"),
        ("--style pixel art", "style", "pixel-art"),
        ("--style 'Pixel Art'", "style", "pixel-art"),
        ("--width 640", "width", 640),
        ("--height=768", "height", 768),
        ("--HEIGHT 768", "height", 768),
        ("--strength 0.6", "strength", 0.6),
        ("--subseed 11", "subseed", 11),
        ("--subseed-strength 0.1", "subseed_strength", 0.1),
        ("--no text, watermark", "negative_prompt", "text, watermark"),
        ("--negative-prompt text", "negative_prompt", "text"),
    ],
)
@pytest.mark.parametrize("line", ["{flag} --raw a fox", "a fox {flag}", "a {flag} --raw fox"])
def test_a_flag_works_anywhere_in_the_line(accepted, line, flag, field, value):
    request = accepted(line.format(flag=flag)).request

    assert getattr(request, field) == value
    assert request.prompt == "a fox"


def test_several_no_lists_merge(accepted):
    request = accepted("a castle --no people, cars --seed 3 --no text").request

    assert request.negative_prompt == "people, cars, text"


def test_a_quoted_no_list_leaves_the_words_after_it_to_the_prompt(accepted):
    request = accepted('--no "people, cars" a castle').request

    assert (request.negative_prompt, request.prompt) == ("people, cars", "a castle")


def test_a_no_list_of_quoted_phrases_goes_on_after_a_comma(accepted):
    assert accepted('a castle --no "red cars", people').request.negative_prompt == "red cars, people"


def test_a_comma_after_a_value_belongs_to_the_sentence(accepted):
    outcome = accepted("a fox --seed 7, in the snow")

    assert (outcome.request.seed, outcome.request.prompt) == (7, "a fox in the snow")


@pytest.mark.parametrize("name", sorted(SPELLINGS))
def test_every_spelling_of_every_flag_is_known(read, name):
    flag = SPELLINGS[name]
    value = flag.example.partition(" ")[2].replace("dreamshaper", "demo").replace("inkwash", "inkWash")

    outcome = read(f"a fox --{name} {value}")

    assert isinstance(outcome, Parsed), outcome
    assert outcome.request.prompt == "a fox"


@pytest.mark.parametrize("flag", [flag for flag in FLAGS if flag.inert], ids=lambda flag: flag.name)
def test_a_midjourney_flag_runs_and_is_named_as_ignored(accepted, flag):
    outcome = accepted(f"a fox {flag.example}")

    assert outcome.request == accepted("a fox").request
    assert messages(outcome) == [f"Ignored: {flag.spelled} ({flag.inert})."]


def test_a_reference_takes_all_its_links_and_codes_but_no_words(accepted):
    line = "--sref https://example.com/1.png 123456 random a red fox --oref https://example.com/2.png"

    assert accepted(line).request.prompt == "a red fox"


@pytest.mark.parametrize("flag", [flag for flag in FLAGS if flag.kind in (Kind.SWITCH, Kind.OPTIONAL)])
def test_a_flag_without_value_never_eats_the_next_word(accepted, flag):
    assert accepted(f"{flag.spelled} roses").request.prompt == "roses"


@pytest.mark.parametrize(
    ("typed", "fixed", "message"),
    [
        ("a fox --v5", "a fox", "--v5 was read as --v 5."),
        ("a fox --seed5", "a fox --seed 5", "--seed5 was read as --seed 5."),
        ("a fox --seed:5", "a fox --seed 5", "--seed:5 was read as --seed 5."),
        ("a fox --cfg 7,5", "a fox --cfg 7.5", "7,5 was read as 7.5."),
        (
            "a fox--seed 5",
            "a fox --seed 5",
            "--seed was read as a flag, though no space stands before it.",
        ),
        (
            "a fox --quality 3",
            "a fox --steps 40",
            "--quality 3 was read as 2, the nearest of 0.25, 0.5, 1, 2 and 4.",
        ),
        (
            "a fox --sameseed 5",
            "a fox --seed 5",
            "--sameseed was read as --seed; each further picture takes the next seed.",
        ),
        (
            "a fox --raw=5",
            "a fox",
            '--raw takes no value; "5" was ignored.',
        ),
        (
            "a fox --seed 1 --seed 2",
            "a fox --seed 2",
            "--seed was given more than once; the last one counts.",
        ),
        (
            "a fox --steps 150",
            "a fox --steps 50",
            "Drawn with 50 steps instead of 150, the limit your admin sets.",
        ),
        (
            "a fox --steps 40 --q 4",
            "a fox --steps 50",
            "Drawn with 50 steps instead of 160, the limit your admin sets.",
        ),
        (
            "a fox --strength 0.5",
            "a fox --strength 0.5",
            "--strength changes nothing: there is no picture to start from.",
        ),
        (
            "a fox --style raw",
            "a fox",
            "Ignored: --style raw (nothing is added to your words unless you ask with --style).",
        ),
        (
            "a fox --lora inkWash:5",
            "a fox --lora inkWash:5",
            "The LoRA inkWash works best between -1 and 2; 5 may spoil the picture.",
        ),
    ],
)
def test_what_has_one_meaning_runs_and_is_noted(accepted, typed, fixed, message):
    outcome = accepted(typed)

    assert render(outcome.request, outcome.defaults) == fixed
    assert message in messages(outcome)


@pytest.mark.parametrize(
    ("typed", "message", "marked", "corrected"),
    [
        (
            "a fox --stylze 200",
            "There is no flag --stylze. Did you mean --stylize?",
            "--stylze",
            "a fox --stylize 200",
        ),
        ("a fox --sead 3", "There is no flag --sead. Did you mean --seed?", "--sead", "a fox --seed 3"),
        ("a fox --h 640", "There is no flag --h. Did you mean --height?", "--h", "a fox --height 640"),
        (
            "a fox --seed 99999999999999999999999",
            "--seed goes from 0 to 4294967295; 99999999999999999999999 is outside.",
            "99999999999999999999999",
            "a fox --seed 4294967295",
        ),
        (
            "a fox --sameseed -5",
            "--sameseed goes from 0 to 4294967295; -5 is outside.",
            "-5",
            "a fox --sameseed 5",
        ),
        (
            "a fox --banana 3",
            'There is no flag --banana; "help flags" lists all of them.',
            "--banana",
            "a fox",
        ),
        (
            "a fox --private",
            'There is no flag --private; "help flags" lists all of them.',
            "--private",
            "a fox",
        ),
        (
            "a fox --seed -5",
            "--seed goes from 0 to 4294967295; -5 is outside.",
            "-5",
            "a fox --seed 5",
        ),
        (
            "a fox --seed 4294967296",
            "--seed goes from 0 to 4294967295; 4294967296 is outside.",
            "4294967296",
            "a fox --seed 4294967295",
        ),
        (
            "a fox --stylize 9000",
            "--stylize goes from 0 to 1000; 9000 is outside.",
            "9000",
            "a fox --stylize 1000",
        ),
        ("a fox --cfg 99", "--cfg goes from 1 to 30; 99 is outside.", "99", "a fox --cfg 30"),
        ("a fox --strength 2", "--strength goes from 0 to 1; 2 is outside.", "2", "a fox --strength 1"),
        (
            "a fox --n 5",
            "--n goes from 1 to 4 here, a limit your admin sets; 5 is outside.",
            "5",
            "a fox --n 4",
        ),
        (
            "a fox --n 0",
            "--n goes from 1 to 4 here, a limit your admin sets; 0 is outside.",
            "0",
            "a fox --n 1",
        ),
        (
            "a fox --seed 1.5",
            '--seed needs a whole number 0 to 4294967295, not "1.5".',
            "1.5",
            "a fox",
        ),
        ("a fox --cfg high", '--cfg needs a number 1 to 30, not "high".', "high", "a fox"),
        ("a fox --seed", "--seed needs a whole number, as in --seed 7.", "--seed", "a fox --seed 7"),
        (
            "a fox --ar --seed 5",
            "--ar needs width:height, as in --ar 16:9.",
            "--ar",
            "a fox --ar 16:9 --seed 5",
        ),
        ("a fox --no", "--no needs words up to the next flag, as in --no text, watermark.", "--no", "a fox"),
        (
            "a fox --model dreamshapr",
            'There is no model "dreamshapr" here. Did you mean dreamshaper-8?',
            "dreamshapr",
            "a fox --model dreamshaper-8",
        ),
        ("a fox --model zzz", 'There is no model "zzz" here.', "zzz", "a fox"),
        (
            "a fox --sampler eular",
            'There is no sampler "eular" here. Nearest: Euler, Euler a.',
            "eular",
            "a fox --sampler Euler",
        ),
        (
            "a fox --lora inkwsh:0.5",
            'There is no LoRA "inkwsh" here. Did you mean inkWash?',
            "inkwsh:0.5",
            "a fox --lora inkWash:0.5",
        ),
        (
            "a fox --lora inkWash:much",
            'A LoRA\'s weight is a number, as in <lora:name:0.8>, not "much".',
            "inkWash:much",
            "a fox --lora inkWash:1",
        ),
        (
            "a fox --ar 1:1 --width 800",
            "--ar and --width both set the size. Keep one of them.",
            "--ar 1:1",
            "a fox --width 800",
        ),
        (
            "a fox --width 800 --ar 1:1 --height 800",
            "--ar and --width and --height both set the size. Keep one of them.",
            "--ar 1:1",
            "a fox --width 800 --height 800",
        ),
    ],
)
def test_what_cannot_run_is_refused_with_the_place_and_a_line_that_works(
    refused, typed, message, marked, corrected
):
    refusal = refused(typed)
    problem = refusal.problems[0]

    assert reasons(refusal) == [message]
    assert refusal.typed[problem.start : problem.end] == marked
    assert refusal.corrected == corrected


def test_every_problem_of_a_line_is_named_at_once_and_mended_together(refused):
    refusal = refused("a fox --stylze 5 --n 9 --seed -3")

    assert [problem.code for problem in refusal.problems] == ["unknown_flag", "out_of_range", "out_of_range"]
    assert refusal.corrected == "a fox --stylize 5 --n 4 --seed 3"


def test_a_correction_that_brings_up_another_problem_is_corrected_again(refused):
    refusal = refused("a fox --width 9000")

    assert reasons(refusal) == ["--width goes from 64 to 2048; 9000 is outside."]
    assert refusal.corrected == "a fox"


@pytest.mark.parametrize("typed", ["", "   ", '""', "--seed 5", "--raw", "<lora:inkWash:1>", "\u200b"])
def test_nothing_to_draw_is_said_plainly(refused, typed):
    refusal = refused(typed)

    assert reasons(refusal) == ["There are no words to draw. Say what the picture should show."]
    assert refusal.corrected is None


def test_a_no_list_that_took_the_whole_prompt_shows_how_to_quote_it(refused):
    [reason] = reasons(refused("--no people a castle"))

    assert reason == (
        "--no took every word up to the next flag, so nothing is left to draw. "
        'Put the list in quotes: --no "text, watermark" a castle'
    )


def test_without_any_lora_installed_every_lora_is_unknown():
    outcome = parse("a fox --lora inkWash", defaults=Defaults(), caps=Caps(), catalogue=Catalogue())

    assert reasons(outcome) == ['There is no LoRA "inkWash" here.']


def test_more_loras_than_the_cap_are_refused(refused):
    catalogue = Catalogue(loras=("one", "two"))
    line = "a fox --lora one --lora two"

    refusal = parse(line, defaults=Defaults(), caps=Caps(max_loras=1), catalogue=catalogue)

    assert reasons(refusal) == ["One picture takes at most 1 LoRAs."]


def test_a_team_with_a_higher_cap_may_draw_more_at_once():
    line = "a fox --n 9 --steps 120"

    outcome = parse(line, defaults=Defaults(), caps=Caps(max_n=9, max_steps=150), catalogue=Catalogue())

    assert (outcome.request.n, outcome.request.steps, outcome.notes) == (9, 120, ())


@pytest.mark.parametrize(
    ("typed", "length", "limit"), [("x" * 2001, 2001, 2000), ("x" * 16_001, 16_001, 16_000)]
)
def test_a_text_that_is_too_long_is_refused_with_the_limit(refused, typed, length, limit):
    assert reasons(refused(typed)) == [f"The text has {length} characters; {limit} is the limit."]


def test_a_long_no_list_counts_too(refused):
    assert reasons(refused("a fox --no " + "x" * 2001)) == [
        "The text has 2001 characters; 2000 is the limit."
    ]


def test_carets_stand_under_every_problem(refused):
    assert caret_line(refused("a fox --stylze 5 --n 9")) == ("a fox --stylze 5 --n 9\n      ^^^^^^^^       ^")


def test_carets_of_a_long_line_stand_under_the_part_that_is_shown(refused):
    shown, carets = caret_line(refused("word " * 60 + "--stylze 5")).split("\n")

    assert len(shown) <= 74
    assert shown.startswith("…")
    assert shown[carets.index("^") : carets.rindex("^") + 1] == "--stylze"


def test_a_line_that_fits_is_shown_whole(refused):
    line = "x" * 61 + " --stylze 5"

    assert len(line) == 72
    assert caret_line(refused(line)).split("\n")[0] == line


def test_a_caret_behind_the_last_character_is_shown(refused):
    assert caret_line(refused("--seed 5")) == "--seed 5\n        ^"


def test_carets_count_wide_characters_twice(refused):
    shown, carets = caret_line(refused("漢字 --stylze 5")).split("\n")

    assert carets.index("^") == shown.index("--") + 2
