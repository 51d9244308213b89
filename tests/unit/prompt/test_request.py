"""The request as stored: read back whole, by older and newer versions too."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.request import Caps, Defaults, ImageRequest, LoraUse

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
REQUESTS = st.builds(
    ImageRequest,
    prompt=TEXT,
    negative_prompt=TEXT,
    width=st.integers(64, 2048),
    height=st.integers(64, 2048),
    n=st.integers(1, 9),
    steps=st.integers(1, 150),
    guidance=st.floats(1, 30),
    sampler=TEXT,
    seed=st.none() | st.integers(0, 2**32 - 1),
    subseed=st.none() | st.integers(0, 2**32 - 1),
    subseed_strength=st.floats(0, 1),
    model=st.none() | TEXT,
    loras=st.lists(st.builds(LoraUse, name=TEXT, weight=st.floats(-2, 2)), max_size=3).map(tuple),
    style=st.none() | TEXT,
    strength=st.none() | st.floats(0, 1),
    init_image=st.none() | TEXT,
)


def request(**changes):
    fields = {
        "prompt": "a fox",
        "width": 512,
        "height": 512,
        "steps": 20,
        "guidance": 7.0,
        "sampler": "Euler",
    }
    return ImageRequest(**(fields | changes))


@given(REQUESTS)
def test_a_stored_request_is_read_back_whole(stored):
    assert ImageRequest.from_json(stored.to_json(), defaults=Defaults()) == stored


def test_keys_of_a_newer_version_are_ignored():
    newer = json.loads(request().to_json()) | {"version": 9, "hologram": True}

    assert ImageRequest.from_json(json.dumps(newer), defaults=Defaults()) == request()


def test_keys_an_older_version_did_not_have_come_from_the_defaults():
    defaults = Defaults(width=1024, height=768, steps=30, guidance=5.0, sampler="DDIM", n=2)

    read = ImageRequest.from_json('{"version":1,"prompt":"a fox"}', defaults=defaults)

    assert read == request(width=1024, height=768, steps=30, guidance=5.0, sampler="DDIM", n=2)


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"prompt":null}', "not json"])
def test_what_is_no_stored_request_is_a_value_error(text):
    with pytest.raises(ValueError, match=r"."):
        ImageRequest.from_json(text, defaults=Defaults())


def test_a_seed_is_fixed_once_and_a_named_one_is_kept():
    assert request().with_seed(9).seed == 9
    assert request(seed=7).with_seed(9).seed == 7
    assert request().with_seed(2**32 + 5).seed == 5


def test_pictures_of_a_job_take_consecutive_seeds_that_wrap():
    assert request(n=3, seed=2**32 - 2).seeds == (2**32 - 2, 2**32 - 1, 0)
    assert request(n=3).seeds == ()


def test_the_demo_model_draws_at_512_with_20_steps_and_four_pictures_at_most():
    assert (Defaults().width, Defaults().height, Defaults().steps, Defaults().guidance) == (512, 512, 20, 7.0)
    assert (Defaults().sampler, Caps().max_n) == ("Euler a", 4)
