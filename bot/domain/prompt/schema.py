"""The one table of flags. Parser, help text, form and `docs/flags.md` all read it.

Ranges and aliases follow Midjourney's parameter list and the Stable Diffusion web UI's sliders.
To add a flag: add a row here, give it an effect in `parse.py`, run `make docs`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from types import MappingProxyType

from bot.domain.request import SEED_SPACE


class Kind(StrEnum):
    """How a flag takes its value. No flag ever eats a word that cannot be its value."""

    SWITCH = "nothing"
    INTEGER = "a whole number"
    DECIMAL = "a number"
    RATIO = "width:height"
    NAME = "a name"
    PHRASES = "words up to the next flag"
    LORA = "name:weight"
    OPTIONAL = "a number or nothing"
    REFERENCE = "links or codes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """One row: `cap` names the admin limit it falls under, `inert` says why a known flag changes nothing."""

    name: str
    kind: Kind
    meaning: str
    example: str
    aliases: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    default: str = ""
    cap: str | None = None
    inert: str | None = None

    @property
    def spelled(self) -> str:
        return f"--{self.name}"


MIDJOURNEY_ONLY = "it exists only in Midjourney"
NO_PICTURE = "there is no picture to start from"
ONE_LANE = "there is one queue for everybody"

FLAGS: tuple[Flag, ...] = (
    Flag(
        name="ar",
        aliases=("aspect", "aspect-ratio"),
        kind=Kind.RATIO,
        meaning="shape of the picture; up to 3:1",
        example="--ar 16:9",
        default="1:1",
        cap="max_ratio",
    ),
    Flag(
        name="width",
        kind=Kind.INTEGER,
        meaning="exact width in pixels, a multiple of 8",
        example="--width 768",
        minimum=64,
        maximum=2048,
        default="the model's",
        cap="max_pixels",
    ),
    Flag(
        name="height",
        kind=Kind.INTEGER,
        meaning="exact height in pixels, a multiple of 8",
        example="--height 512",
        minimum=64,
        maximum=2048,
        default="the model's",
        cap="max_pixels",
    ),
    Flag(
        name="n",
        aliases=("count", "num", "images"),
        kind=Kind.INTEGER,
        meaning="how many pictures",
        example="--n 4",
        minimum=1,
        maximum=9,
        default="1",
        cap="max_n",
    ),
    Flag(
        name="no",
        aliases=("negative", "neg", "negative-prompt"),
        kind=Kind.PHRASES,
        meaning="what must not be in the picture; may be repeated",
        example="--no text, watermark",
        default="nothing",
    ),
    Flag(
        name="style",
        kind=Kind.NAME,
        meaning="a look, put around the prompt",
        example="--style watercolor",
        default="none",
    ),
    Flag(
        name="seed",
        kind=Kind.INTEGER,
        meaning="start noise: same seed and settings, same picture; -1 is random",
        example="--seed 7",
        minimum=0,
        maximum=SEED_SPACE - 1,
        default="random",
    ),
    Flag(
        name="sameseed",
        kind=Kind.INTEGER,
        meaning="read as --seed, because one seed for all would draw one picture many times",
        example="--sameseed 7",
        minimum=0,
        maximum=SEED_SPACE - 1,
        default="random",
    ),
    Flag(
        name="steps",
        kind=Kind.INTEGER,
        meaning="drawing steps; more is slower",
        example="--steps 30",
        minimum=1,
        maximum=150,
        default="the model's",
        cap="max_steps",
    ),
    Flag(
        name="quality",
        aliases=("q",),
        kind=Kind.DECIMAL,
        meaning="multiplies the steps by 0.25, 0.5, 1, 2 or 4",
        example="--quality 2",
        default="1",
        cap="max_steps",
    ),
    Flag(
        name="cfg",
        aliases=("guidance", "cfg-scale", "guidance-scale", "scale"),
        kind=Kind.DECIMAL,
        meaning="how closely the picture follows the words",
        example="--cfg 7.5",
        minimum=1,
        maximum=30,
        default="the model's",
    ),
    Flag(
        name="sampler",
        aliases=("sampling-method",),
        kind=Kind.NAME,
        meaning="the sampling method",
        example='--sampler "Euler a"',
        default="the model's",
    ),
    Flag(
        name="model",
        aliases=("checkpoint", "ckpt"),
        kind=Kind.NAME,
        meaning="which model draws",
        example="--model dreamshaper",
        default="the endpoint's",
    ),
    Flag(
        name="lora",
        kind=Kind.LORA,
        meaning="adds a LoRA, useful weights -1 to 2; may be repeated",
        example="--lora inkwash:0.8",
        default="none",
        cap="max_loras",
    ),
    Flag(
        name="strength",
        aliases=("denoise", "denoising-strength"),
        kind=Kind.DECIMAL,
        meaning="how far to move away from the picture to start from",
        example="--strength 0.6",
        minimum=0,
        maximum=1,
        default="0.75",
    ),
    Flag(
        name="subseed",
        kind=Kind.INTEGER,
        meaning="second noise, blended in to vary a picture",
        example="--subseed 11",
        minimum=0,
        maximum=SEED_SPACE - 1,
        default="none",
    ),
    Flag(
        name="subseed-strength",
        kind=Kind.DECIMAL,
        meaning="how much of the second noise",
        example="--subseed-strength 0.1",
        minimum=0,
        maximum=1,
        default="0",
    ),
    Flag(
        name="stylize",
        aliases=("s",),
        kind=Kind.OPTIONAL,
        meaning="house style strength",
        example="--stylize 200",
        minimum=0,
        maximum=1000,
        inert=f"{MIDJOURNEY_ONLY}; --style picks a look here",
    ),
    Flag(
        name="chaos",
        aliases=("c",),
        kind=Kind.OPTIONAL,
        meaning="spread inside the grid",
        example="--chaos 40",
        minimum=0,
        maximum=100,
        inert="pictures of one job already start from different noise",
    ),
    Flag(
        name="weird",
        aliases=("w",),
        kind=Kind.OPTIONAL,
        meaning="oddness",
        example="--weird 500",
        inert=f"{MIDJOURNEY_ONLY}; for a size in pixels write --width",
    ),
    Flag(
        name="exp",
        kind=Kind.OPTIONAL,
        meaning="experimental look",
        example="--exp 20",
        inert=MIDJOURNEY_ONLY,
    ),
    Flag(
        name="v",
        aliases=("version",),
        kind=Kind.OPTIONAL,
        meaning="Midjourney version",
        example="--v 6.1",
        inert=f"{MIDJOURNEY_ONLY}; --model picks a model here",
    ),
    Flag(
        name="niji",
        kind=Kind.OPTIONAL,
        meaning="Midjourney's anime model",
        example="--niji 6",
        inert=f"{MIDJOURNEY_ONLY}; try --style anime",
    ),
    Flag(
        name="raw",
        kind=Kind.SWITCH,
        meaning="less house style",
        example="--raw",
        inert="nothing is added to your words unless you ask with --style",
    ),
    Flag(
        name="tile",
        kind=Kind.SWITCH,
        meaning="seamless pattern",
        example="--tile",
        inert="this engine cannot draw seamless patterns yet",
    ),
    Flag(
        name="repeat",
        aliases=("r",),
        kind=Kind.OPTIONAL,
        meaning="several jobs at once",
        example="--repeat 2",
        inert="one line is one job here; --n draws several pictures",
    ),
    Flag(
        name="stop",
        kind=Kind.OPTIONAL,
        meaning="stop early, in percent",
        example="--stop 80",
        minimum=10,
        maximum=100,
        inert="a drawing always runs to its end; --steps makes it shorter",
    ),
    Flag(
        name="iw",
        kind=Kind.OPTIONAL,
        meaning="weight of a picture against the words",
        example="--iw 1",
        minimum=0,
        maximum=3,
        inert=NO_PICTURE,
    ),
    Flag(
        name="sref",
        kind=Kind.REFERENCE,
        meaning="style reference",
        example="--sref 123456",
        inert="style references are not installed, and numeric codes exist only in Midjourney",
    ),
    Flag(
        name="sw",
        kind=Kind.OPTIONAL,
        meaning="style reference weight",
        example="--sw 100",
        inert="style references are not installed",
    ),
    Flag(
        name="sv",
        kind=Kind.OPTIONAL,
        meaning="style reference version",
        example="--sv 4",
        inert=MIDJOURNEY_ONLY,
    ),
    Flag(
        name="cref",
        kind=Kind.REFERENCE,
        meaning="character reference",
        example="--cref https://example.com/face.png",
        inert="character references are not installed",
    ),
    Flag(
        name="cw",
        kind=Kind.OPTIONAL,
        meaning="character reference weight",
        example="--cw 50",
        inert="character references are not installed",
    ),
    Flag(
        name="oref",
        kind=Kind.REFERENCE,
        meaning="object reference",
        example="--oref https://example.com/cup.png",
        inert="object references are not installed",
    ),
    Flag(
        name="ow",
        kind=Kind.OPTIONAL,
        meaning="object reference weight",
        example="--ow 100",
        inert="object references are not installed",
    ),
    Flag(
        name="p",
        aliases=("personalize", "profile"),
        kind=Kind.REFERENCE,
        meaning="personal taste code",
        example="--p",
        inert=MIDJOURNEY_ONLY,
    ),
    Flag(
        name="draft",
        kind=Kind.SWITCH,
        meaning="cheap sketch",
        example="--draft",
        inert=f"{MIDJOURNEY_ONLY}; try --quality 0.5",
    ),
    Flag(name="hd", kind=Kind.SWITCH, meaning="larger picture", example="--hd", inert=MIDJOURNEY_ONLY),
    Flag(name="fast", kind=Kind.SWITCH, meaning="fast lane", example="--fast", inert=ONE_LANE),
    Flag(name="relax", kind=Kind.SWITCH, meaning="slow, free lane", example="--relax", inert=ONE_LANE),
    Flag(name="turbo", kind=Kind.SWITCH, meaning="fastest lane", example="--turbo", inert=ONE_LANE),
    Flag(
        name="uplight",
        kind=Kind.SWITCH,
        meaning="gentle upscaler",
        example="--uplight",
        inert=MIDJOURNEY_ONLY,
    ),
    Flag(
        name="video",
        kind=Kind.SWITCH,
        meaning="film of the drawing",
        example="--video",
        inert=MIDJOURNEY_ONLY,
    ),
)

QUALITIES = (0.25, 0.5, 1.0, 2.0, 4.0)
SHORTEST_NEAR_MISS = 3
MEANT = MappingProxyType({"h": "height", "ratio": "ar", "negatives": "no", "batch": "n", "number": "n"})
"""Names that other tools use for something we spell differently, and that no comparison would find."""


def _by_spelling() -> Mapping[str, Flag]:
    return MappingProxyType({name: flag for flag in FLAGS for name in (flag.name, *flag.aliases)})


SPELLINGS = _by_spelling()


def find_flag(typed: str) -> Flag | None:
    """The flag behind a typed name without its dashes; case and `_` for `-` do not matter."""
    return SPELLINGS.get(typed.casefold().replace("_", "-"))


def flag_named(name: str) -> Flag:
    """The row of a flag by its own name; KeyError when the table has none."""
    return SPELLINGS[name]


def nearest_flag(typed: str) -> Flag | None:
    """The flag a misspelt name most likely means; very short and very long names mean nothing."""
    name = typed.casefold().replace("_", "-")
    if name in MEANT:
        return SPELLINGS[MEANT[name]]
    if not SHORTEST_NEAR_MISS <= len(name) <= 40:
        return None
    longer = [spelling for spelling in SPELLINGS if len(spelling) > 1]
    close = get_close_matches(name, longer, n=1, cutoff=0.7)
    return SPELLINGS[close[0]] if close else None


def flag_range(flag: Flag) -> str:
    """The range in words, empty when there is none: `1 to 150`."""
    if flag.minimum is None or flag.maximum is None:
        return ""
    return f"{flag.minimum:g} to {int(flag.maximum) if flag.maximum > 9999 else f'{flag.maximum:g}'}"
