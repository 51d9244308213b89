"""What the denoiser's training shows and says."""

import itertools
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from container.embedded.training.scenes import (
    DEFAULT_STYLE,
    PLAIN,
    STYLE_WORDS,
    VARIED,
    CaptionWriter,
    Scene,
    SceneMix,
    SceneSampler,
)
from container.embedded.training.thing import STYLES, Thing


def thing(name: str, *aliases: str) -> Thing:
    """A dark disc of another brightness in each style."""
    pictures = {}
    for brightness, style in zip((20, 70, 120), STYLES, strict=True):
        picture = Image.new("RGBA", (64, 64))
        picture.paste((brightness, brightness, brightness, 255), (8, 8, 56, 56))
        pictures[style] = picture
    return Thing(name=name, aliases=aliases, pictures=pictures)


THINGS = (thing("cat", "kitten"), thing("red apple"), thing("boat", "ship"))


def scenes(mix: SceneMix, *, count: int = 250) -> list[Scene]:
    sampler = SceneSampler(THINGS, np.random.default_rng(1), mix=mix)
    return [sampler.draw(THINGS[0], height=64, width=64)[0] for _ in range(count)]


def captions(scene: Scene, *, count: int = 200) -> list[str]:
    writer = CaptionWriter(THINGS, np.random.default_rng(2))
    return [writer.caption(scene) for _ in range(count)]


def cat(*, style: str = DEFAULT_STYLE, colour: str | None = None, background: str | None = None) -> Scene:
    return Scene(things=("cat",), count=1, style=style, colour=colour, background=background)


def words_of(style: str) -> tuple[str, ...]:
    return STYLE_WORDS[style]


@pytest.mark.parametrize("mix", [PLAIN, VARIED])
def test_the_shares_of_all_styles_make_a_whole(mix: SceneMix) -> None:
    assert sum(mix.styles.values()) == pytest.approx(1)


def test_most_plain_scenes_show_one_thing_in_the_default_style() -> None:
    seen = scenes(PLAIN)
    styles = Counter(scene.style for scene in seen)
    assert styles[DEFAULT_STYLE] > 0.8 * len(seen)
    assert set(styles) == set(PLAIN.styles)
    assert sum(len(scene.things) == scene.count == 1 for scene in seen) > 0.85 * len(seen)


def test_a_caption_without_a_style_word_means_the_default_style() -> None:
    """Else one caption would stand for two pictures, and the model would draw neither."""
    for style in set(PLAIN.styles) - {DEFAULT_STYLE}:
        assert all(any(word in caption for word in words_of(style)) for caption in captions(cat(style=style)))
    unstyled = [c for c in captions(cat()) if not any(w in c for ws in STYLE_WORDS.values() for w in ws)]
    assert len(unstyled) > 150


def test_captions_say_the_colours_that_are_shown() -> None:
    for caption in captions(cat(colour="blue", background="green")):
        assert "blue" in caption
        assert "on a green background" in caption


def test_a_colour_replaces_the_one_in_the_name() -> None:
    scene = Scene(things=("red apple",), count=1, style=DEFAULT_STYLE, colour="blue", background=None)
    assert all("blue apple" in caption and "red" not in caption for caption in captions(scene))


def test_captions_use_the_aliases_too() -> None:
    named = Counter("kitten" in caption for caption in captions(cat()))
    assert 0 < named[True] < named[False]


def test_every_word_of_a_caption_is_in_the_vocabulary() -> None:
    writer = CaptionWriter(THINGS, np.random.default_rng(3))
    known = {word for text in writer.all_wordings() for word in text.split()} | {"<unk>"}
    assert all(set(writer.caption(scene).split()) <= known for scene in scenes(VARIED))


def test_a_named_background_is_shown() -> None:
    sampler = SceneSampler(THINGS, np.random.default_rng(4), mix=VARIED)
    corners = {"black": set[int](), "white": set[int]()}
    for _ in range(150):
        scene, picture = sampler.draw(THINGS[0], height=64, width=64)
        if scene.background in corners:
            corners[scene.background].add(int(picture[0, 0].mean()))
    assert min(corners["white"]) > 200
    assert max(corners["black"], default=0) < 100


def test_scenes_of_one_thing_differ_in_place_and_size() -> None:
    sampler = SceneSampler(THINGS, np.random.default_rng(5), mix=PLAIN)
    pictures = [sampler.draw(THINGS[0], height=64, width=64)[1].astype(float) for _ in range(20)]
    differences = [np.sqrt(np.square(a - b).mean()) for a, b in itertools.pairwise(pictures)]
    assert np.mean(differences) > 12
