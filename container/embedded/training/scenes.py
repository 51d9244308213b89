"""Scenes (what is drawn, where, in which colours) and the captions that describe them.

A scene is sampled once and drawn once; its caption is worded anew every time it is used, so that the model
meets many wordings of each picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

from container.embedded.training.thing import STYLES, Thing

COLOURS: dict[str, tuple[int, float, float]] = {
    # word: (hue of 256, mean saturation, mean value)
    "red": (252, 0.80, 0.86),
    "orange": (18, 0.85, 0.95),
    "yellow": (35, 0.78, 0.96),
    "green": (90, 0.65, 0.68),
    "blue": (152, 0.72, 0.85),
    "purple": (194, 0.58, 0.76),
    "pink": (234, 0.42, 0.96),
    "brown": (17, 0.55, 0.50),
    "black": (0, 0.05, 0.20),
    "white": (0, 0.04, 0.94),
    "gray": (0, 0.03, 0.60),
}
DEFAULT_STYLE = "3d"
"""The style of every caption that names none."""
COUNT_WORDS = {2: "two", 3: "three"}
STYLE_WORDS = {
    "noto": ("cartoon", "noto", "cartoon style"),
    "flat": ("flat", "flat icon", "flat style"),
    "3d": ("3d", "3d render", "glossy"),
}
PREFIXES = (
    "", "", "", "a picture of", "a drawing of", "an emoji of", "an icon of", "an image of", "a photo of",
    "a painting of", "an illustration of", "draw", "picture of", "emoji of",
)  # fmt: skip
ADJECTIVES = ("cute", "small", "big", "little", "beautiful")
STYLE_SHARE, FILLER_SHARE, ADJECTIVE_SHARE, ALIAS_SHARE = 0.06, 0.1, 0.08, 0.3
FILLER_WORDS = ("with", "in", "beautiful", "detailed", "nice", "please", "my", "one", "some", "simple", "the")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What a picture shows.

    `colour` and `background` are colour words, or None for the natural or an unnamed one.
    """

    things: tuple[str, ...]
    count: int
    style: str
    colour: str | None
    background: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneMix:
    """How scenes vary: shares of all scenes (0 .. 1), and least and most scale and place in the room left.

    `styles` holds the share of each art style. The scenes that are neither on `white` nor on a `pale` tint
    have a background of a colour word's full colour.
    """

    styles: dict[str, float]
    pair: float
    count: float
    recolour: float
    flip: float
    white: float
    pale: float
    scale: tuple[float, float]
    place: tuple[float, float]


VARIED = SceneMix(
    styles=dict.fromkeys(STYLES, 1 / len(STYLES)),
    pair=0.07,
    count=0.08,
    recolour=0.18,
    flip=0.25,
    white=0.42,
    pale=0.25,
    scale=(0.74, 1.0),
    place=(0.25, 0.75),
)
"""For the decoders, which must cope with anything."""

PLAIN = SceneMix(
    styles={DEFAULT_STYLE: 0.9, "noto": 0.1},
    pair=0.03,
    count=0.04,
    recolour=0.08,
    flip=0.0,
    white=0.64,
    pale=0.2,
    scale=(0.72, 1.0),
    place=(0.0, 1.0),
)
"""For the denoiser, whose few steps go into what the words mean."""


class SceneSampler:
    """Samples and draws scenes; every choice comes from `rng`."""

    def __init__(self, things: tuple[Thing, ...], rng: Generator, *, mix: SceneMix = VARIED) -> None:
        self._things = things
        self._rng = rng
        self._mix = mix
        self._recoloured: dict[tuple[str, str, str], Image.Image] = {}

    def draw(self, thing: Thing, *, height: int, width: int) -> tuple[Scene, NDArray[np.uint8]]:
        """One scene around `thing` and its picture, `height` x `width` x 3."""
        rng = self._rng
        style = str(rng.choice(list(self._mix.styles), p=list(self._mix.styles.values())))
        kind = rng.random()
        others: tuple[Thing, ...] = ()
        count = 1
        if kind < self._mix.pair:
            others = (self._things[rng.integers(len(self._things))],)
        elif kind < self._mix.pair + self._mix.count:
            count = int(rng.integers(2, 4))
        recoloured = not others and rng.random() < self._mix.recolour
        colour = str(rng.choice(list(COLOURS))) if recoloured else None
        pictures = [self._picture(t, style, colour) for t in (thing, *others)] * count
        background, rgb = self._background(pictures[0])
        canvas = self._compose(pictures, rgb, height=height, width=width)
        names = (thing.name, *(other.name for other in others))
        scene = Scene(things=names, count=count, style=style, colour=colour, background=background)
        return scene, canvas

    def _picture(self, thing: Thing, style: str, colour: str | None) -> Image.Image:
        picture = thing.pictures[style]
        if colour is None:
            return picture
        key = (thing.name, style, colour)
        if key not in self._recoloured:
            self._recoloured[key] = recolour(picture.resize((160, 160), Image.Resampling.LANCZOS), colour)
        return self._recoloured[key]

    def _background(self, picture: Image.Image) -> tuple[str | None, tuple[int, int, int]]:
        rng = self._rng
        draw = rng.random()
        if draw < self._mix.white:
            return ("white" if rng.random() < 0.15 else None), (255, 255, 255)
        word = str(rng.choice(list(COLOURS)))
        strength = 0.35 if draw < self._mix.white + self._mix.pale else 1.0
        rgb = _background_rgb(word, strength, rng)
        if np.abs(np.subtract(rgb, _mean_rgb(picture))).sum() < 110:
            return None, (255, 255, 255)
        named = strength == 1.0 and rng.random() < 0.85
        return (word if named else None), rgb

    def _compose(
        self, pictures: list[Image.Image], rgb: tuple[int, int, int], *, height: int, width: int
    ) -> NDArray[np.uint8]:
        canvas = Image.new("RGB", (width, height), rgb)
        columns = len(pictures) if width >= height else 1
        rows = len(pictures) // columns
        if len(pictures) == 2 and width == height:
            columns, rows = 2, 1
        if len(pictures) == 3 and width == height:
            columns, rows = 2, 2
        cell_w, cell_h = width / columns, height / rows
        room = min(cell_w, cell_h) * (1.0 if len(pictures) == 1 else 1.12)
        flip = self._rng.random() < self._mix.flip
        scale = self._rng.uniform(*self._mix.scale)
        for index, picture in enumerate(pictures):
            side = max(12, round(room * scale * self._rng.uniform(0.96, 1.0)))
            small = picture.resize((side, side), Image.Resampling.LANCZOS)
            if flip:
                small = small.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            column, row = index % columns, index // columns
            if len(pictures) == 3 and columns == 2 and index == 2:
                column = 0.5  # type: ignore[assignment]
            left = column * cell_w + (cell_w - side) * self._rng.uniform(*self._mix.place)
            top = row * cell_h + (cell_h - side) * self._rng.uniform(*self._mix.place)
            canvas.paste(small, (round(left), round(top)), small)
        return np.asarray(canvas)


def recolour(picture: Image.Image, colour: str) -> Image.Image:
    """`picture` with its main hue moved to the colour word; a colourless picture is tinted as a whole."""
    hue, saturation, value = COLOURS[colour]
    hsv = np.asarray(picture.convert("RGB").convert("HSV")).astype(np.float32)
    alpha = np.asarray(picture.getchannel("A")).astype(np.float32) / 255
    h, s, v = hsv[..., 0], hsv[..., 1] / 255, hsv[..., 2] / 255
    mask = _main_hue_mask(h, s, alpha)
    weight = (mask * alpha).sum() + 1e-6
    mean_s, mean_v = (s * mask * alpha).sum() / weight, (v * mask * alpha).sum() / weight
    new_s = (
        np.clip(s * saturation / max(mean_s, 0.05), 0, 1) if mean_s > 0.15 else np.full_like(s, saturation)
    )
    new_v = np.clip(value + (v - mean_v) * 0.9, 0.05, 1)
    out = np.stack([np.full_like(h, hue), new_s * 255, new_v * 255], axis=-1)
    mixed = np.where(mask[..., None] > 0, out, hsv).astype(np.uint8)
    painted = Image.fromarray(mixed, "HSV").convert("RGB").convert("RGBA")
    painted.putalpha(picture.getchannel("A"))
    return painted


def _main_hue_mask(h: NDArray[Any], s: NDArray[Any], alpha: NDArray[Any]) -> NDArray[np.float32]:
    weight = np.where(s > 0.22, s, 0) * alpha
    if weight.sum() < 0.12 * alpha.sum():
        return np.ones_like(h)
    counts = np.bincount(h.astype(int).ravel(), weights=weight.ravel(), minlength=256)
    kernel = np.ones(21)
    smooth = np.convolve(np.concatenate([counts[-10:], counts, counts[:10]]), kernel, mode="valid")
    main = int(smooth.argmax())
    distance = np.abs((h - main + 128) % 256 - 128)
    return ((distance < 24) & (s > 0.15)).astype(np.float32)


def _mean_rgb(picture: Image.Image) -> NDArray[np.float64]:
    small = np.asarray(picture.resize((16, 16), Image.Resampling.BOX)).astype(float)
    weight = small[..., 3:] + 1e-3
    mean: NDArray[np.float64] = (small[..., :3] * weight).sum((0, 1)) / weight.sum()
    return mean


def _background_rgb(word: str, strength: float, rng: Generator) -> tuple[int, int, int]:
    hue, saturation, value = COLOURS[word]
    s = np.clip(saturation * strength * rng.uniform(0.85, 1.1), 0, 1)
    v = 1 - (1 - np.clip(value + rng.uniform(-0.06, 0.06), 0, 1)) * strength
    pixel = Image.new("HSV", (1, 1), ((hue + int(rng.integers(-5, 6))) % 256, int(s * 255), int(v * 255)))
    red, green, blue = pixel.convert("RGB").getpixel((0, 0))  # type: ignore[misc]
    return red, green, blue


class CaptionWriter:
    """Words captions: templates, aliases, colours, counts, styles, now and then words to ignore."""

    def __init__(self, things: tuple[Thing, ...], rng: Generator) -> None:
        self._names = {thing.name: (thing.name, *thing.aliases) for thing in things}
        self._rng = rng

    def all_wordings(self) -> list[str]:
        """Every word a caption can hold, as texts."""
        names = [name for names in self._names.values() for name in names]
        styles = [word for words in STYLE_WORDS.values() for word in words]
        counts = list(COUNT_WORDS.values())
        fixed = [
            "a an and on background style of",
            *PREFIXES,
            *ADJECTIVES,
            *FILLER_WORDS,
            *COLOURS,
            *styles,
            *counts,
        ]
        return [*fixed, *names, *(plural(name) for name in names)]

    def caption(self, scene: Scene) -> str:
        """A caption for `scene`. The token `<unk>` stands for a word the model is to ignore."""
        subject = " and ".join(self._noun_phrase(name, scene) for name in scene.things)
        parts = [str(self._rng.choice(PREFIXES)), subject]
        if scene.style != DEFAULT_STYLE or self._rng.random() < STYLE_SHARE:
            parts = self._styled(parts, scene.style)
        if scene.background is not None:
            parts.append(f"on a {scene.background} background")
        if self._rng.random() < FILLER_SHARE:
            parts = self._with_filler(parts)
        return " ".join(part for part in parts if part)

    def _noun_phrase(self, name: str, scene: Scene) -> str:
        names = self._names[name]
        noun = str(self._rng.choice(names)) if self._rng.random() < ALIAS_SHARE else name
        if scene.colour is not None:
            noun = f"{scene.colour} {without_colour(noun)}"
        if scene.count > 1:
            return f"{COUNT_WORDS[scene.count]} {plural(noun)}"
        if self._rng.random() < ADJECTIVE_SHARE:
            noun = f"{self._rng.choice(ADJECTIVES)} {noun}"
        if self._rng.random() < 0.35:
            return noun
        return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"

    def _styled(self, parts: list[str], style: str) -> list[str]:
        word = str(self._rng.choice(STYLE_WORDS[style]))
        if self._rng.random() < 0.5:
            return [*parts, f"{word}" if " " in word else f"{word} style"]
        return [f"{word} of" if " " in word and not word.endswith("style") else word, *parts[1:]]

    def _with_filler(self, parts: list[str]) -> list[str]:
        pool = ["<unk>", "<unk>", *FILLER_WORDS]
        filler = " ".join(str(self._rng.choice(pool)) for _ in range(self._rng.integers(1, 4)))
        return [*parts, filler] if self._rng.random() < 0.7 else [filler, *parts]


def without_colour(noun: str) -> str:
    """`noun` without its leading colour words: "red apple" becomes "apple"."""
    words = noun.split()
    while len(words) > 1 and words[0] in COLOURS:
        words = words[1:]
    return " ".join(words)


def plural(noun: str) -> str:
    """A simple English plural, good enough for captions."""
    if noun.endswith(("s", "x", "ch", "sh")):
        return noun if noun.endswith("s") else f"{noun}es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}s"
