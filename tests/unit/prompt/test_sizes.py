"""From --ar, --width and --height to pixels the model can draw."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.prompt import Catalogue, parse
from bot.domain.prompt.sizes import ratio_error, size_for_ratio
from bot.domain.request import Caps, Defaults

XL = Defaults(width=1024, height=1024)
XL_SIZES = ((1024, 1024), (1152, 896), (896, 1152), (1216, 832), (832, 1216), (1344, 768), (768, 1344))


@pytest.mark.parametrize(
    ("ratio", "size"),
    [
        ("1:1", (512, 512)),
        ("16:9", (680, 384)),
        ("9:16", (384, 680)),
        ("3:2", (576, 384)),
        ("4:3", (576, 432)),
        ("2:1", (768, 384)),
        ("3:1", (960, 320)),
        ("1:3", (320, 960)),
    ],
)
def test_a_ratio_keeps_the_pixel_budget_of_the_demo_model(accepted, ratio, size):
    outcome = accepted(f"a fox --ar {ratio}")

    assert (outcome.request.width, outcome.request.height) == size
    assert outcome.notes == ()


@pytest.mark.parametrize("typed", ["16x9", "16X9", "16/9", "16×9", "16-9", "1.78", "1,78", "1.78:1", "32:18"])
def test_other_spellings_of_a_ratio_are_read_and_noted(accepted, typed):
    outcome = accepted(f"a fox --ar {typed}")

    assert abs(outcome.request.width / outcome.request.height / (16 / 9) - 1) < 0.02
    if typed != "32:18":
        assert outcome.notes[0].message.startswith(f"--ar {typed} was read as --ar ")


@pytest.mark.parametrize("typed", ["0:1", "1:0", "wide", "16:9:4", "16", "-1:2", "0.0", "１:2", "9" * 50])
def test_what_is_no_ratio_is_refused_with_an_example(refused, typed):
    refusal = refused(f"a fox --ar {typed}")

    assert refusal.problems[0].message.startswith("--ar needs two whole numbers such as 16:9, not ")
    assert refusal.corrected == "a fox --ar 16:9"


@pytest.mark.parametrize(("typed", "nearest"), [("4:1", "3:1"), ("1:4", "1:3"), ("301:100", "3:1")])
def test_a_shape_beyond_three_to_one_is_refused_with_the_limit(refused, typed, nearest):
    refusal = refused(f"a fox --ar {typed}")

    assert refusal.problems[0].message == "The picture would be too long and thin: 3:1 is the limit."
    assert refusal.corrected == f"a fox --ar {nearest}"


def test_the_shape_limit_holds_for_sides_in_pixels(refused):
    assert refused("a fox --width 2048 --height 512").problems[0].code == "ratio_limit"


def test_a_model_with_trained_sizes_gets_the_nearest_one_and_says_so():
    caps = Caps(max_pixels=2**21, sizes=XL_SIZES)

    wide = parse("a fox --ar 16:9", defaults=XL, caps=caps, catalogue=Catalogue())
    wider = parse("a fox --ar 21:9", defaults=XL, caps=caps, catalogue=Catalogue())

    assert (wide.request.width, wide.request.height, wide.notes) == (1344, 768, ())
    assert [note.message for note in wider.notes] == [
        "--ar 7:3 is drawn at 1344×768, the nearest size this model knows."
    ]


def test_sides_off_the_grid_are_rounded_with_a_note(accepted):
    outcome = accepted("a fox --width 500 --height 333")

    assert (outcome.request.width, outcome.request.height) == (496, 336)
    assert outcome.notes[0].message == "Drawn at 496×336 instead of 500×333: sides are multiples of 8."


def test_more_pixels_than_the_cap_are_drawn_smaller_in_the_same_shape(accepted):
    outcome = accepted("a fox --width 2048 --height 1024")

    assert (outcome.request.width, outcome.request.height) == (1448, 720)
    assert outcome.notes[0].message == (
        "Drawn at 1448×720 instead of 2048×1024, the pixel limit your admin sets."
    )


@pytest.mark.parametrize("ratio", ["1:1", "16:9", "2:1", "1:3"])
def test_a_ratio_never_exceeds_the_pixel_cap(ratio):
    caps = Caps(max_pixels=512 * 512)

    request = parse(f"a fox --ar {ratio}", defaults=Defaults(), caps=caps, catalogue=Catalogue()).request

    assert request.width * request.height <= 512 * 512


@given(
    st.fractions(min_value=Fraction(1, 3), max_value=3, max_denominator=64),
    st.sampled_from([Defaults(), XL, Defaults(width=768, height=512), Defaults(width=256, height=256)]),
)
def test_every_ratio_gets_a_size_on_the_grid_near_shape_and_budget(ratio, defaults):
    width, height = size_for_ratio(ratio, defaults=defaults, caps=Caps(max_pixels=2**21))

    assert width % 8 == height % 8 == 0
    assert ratio_error((width, height), float(ratio)) < 0.08
    assert 0.75 < width * height / (defaults.width * defaults.height) < 1.4
