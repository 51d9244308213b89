"""Named pictures from three openly licensed emoji art sets.

The art comes from npm packages, unpacked side by side in one folder (see docs/embedded-model.md):
`@iconify-json/noto` (Apache-2.0), `@iconify-json/fluent-emoji-flat` (MIT) and `@lobehub/fluent-emoji-3d`
(MIT); `emoji-datasource-google` (MIT) gives categories and short names.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path

import resvg_py
from PIL import Image

from container.embedded.training.thing import STYLES, Thing

ART_PIXELS = 256

_WHOLE_CATEGORIES = {"Animals & Nature", "Food & Drink", "Activities", "Objects"}
_SUBCATEGORIES = {
    "heart",
    "face-costume",
    "face-hat",
    "face-glasses",
    "monkey-face",
    "place-geographic",
    "place-building",
    "place-religious",
    "place-other",
    "transport-ground",
    "transport-water",
    "transport-air",
    "hotel",
    "sky & weather",
    "body-parts",
}
_EXTRA = frozenset(
    """
    grinning-face angry-face crying-face sleeping-face winking-face thinking-face exploding-head
    smiling-face-with-heart-eyes zipper-mouth-face nauseated-face grinning-cat kiss-mark collision
    sweat-droplets speech-balloon compass world-map globe-showing-americas watch alarm-clock
    stopwatch hourglass-done mantelpiece-clock thumbs-up thumbs-down waving-hand clapping-hands
    handshake folded-hands nail-polish victory-hand baby boy girl man woman old-man old-woman
    astronaut ninja santa-claus princess prince person-mage person-merpeople person-vampire
    person-zombie person-genie person-fairy detective police-officer firefighter cook farmer
    pregnant-woman woman-dancing person-running person-surfing person-swimming person-biking
    snowboarder person-in-bed footprints warning no-entry radioactive biohazard yin-yang
    recycling-symbol check-mark-button cross-mark red-question-mark red-exclamation-mark infinity
    peace-symbol atom-symbol up-arrow down-arrow left-arrow right-arrow red-circle red-square
    red-triangle large-blue-diamond skull-and-crossbones skull hole
    """.split()  # noqa: SIM905 (a hundred quoted names are harder to read)
)
_UNSUITABLE_ALIASES = frozenset(
    {"shit", "hankey", "gun", "v", "x", "mag", "mega", "hocho", "feet", "flags", "date"}
)
_DROPPED = frozenset(
    """
    foggy night-with-stars cityscape-at-dusk bridge-at-night sunrise wedding love-hotel
    japanese-post-office department-store map-of-japan kaaba waxing-crescent-moon first-quarter-moon
    waxing-gibbous-moon waning-gibbous-moon last-quarter-moon waning-crescent-moon new-moon
    first-quarter-moon-face last-quarter-moon-face new-moon-face sun-behind-small-cloud
    sun-behind-large-cloud umbrella-on-ground fog wind-face cyclone guide-dog service-dog
    front-facing-baby-chick railway-car light-rail metro station tram-car mountain-railway
    oncoming-bus oncoming-police-car oncoming-taxi oncoming-automobile bus-stop trolleybus minibus
    small-airplane motorway motor-boat passenger-ship suspension-railway aerial-tramway houses
    japanese-castle ticket page-with-curl bookmark-tabs pound-banknote yen-banknote euro-banknote
    chart-increasing-with-yen receipt e-mail incoming-envelope envelope-with-arrow outbox-tray
    inbox-tray closed-mailbox-with-lowered-flag open-mailbox-with-raised-flag
    open-mailbox-with-lowered-flag speaker-low-volume speaker-medium-volume muted-speaker
    bell-with-slash mobile-phone-with-arrow telephone-receiver card-index-dividers tear-off-calendar
    spiral-calendar card-index card-file-box magnifying-glass-tilted-right locked-with-pen
    locked-with-key linked-paperclips open-file-folder camera-with-flash identification-card placard
    moai low-battery trackball optical-disk closed-book green-book orange-book ledger
    hourglass-not-done cricket-game empty-nest 1st-place-medal 2nd-place-medal 3rd-place-medal
    mahjong-red-dragon flower-playing-cards japanese-dolls pine-decoration moon-viewing-ceremony
    womans-clothes clutch-bag biting-lip microbe white-cane hamsa nazar-amulet prayer-beads mate
    heart-exclamation mending-heart beating-heart revolving-hearts heart-decoration growing-heart
    grey-heart light-blue-heart chess-pawn joker stuffed-flatbread tamale level-slider
    hammer-and-pick elevator funeral-urn cigarette pink-heart carpentry-saw rosette reminder-ribbon
    musical-notes disguised-face hear-no-evil-monkey speak-no-evil-monkey two-hearts heart-suit
    orange-heart brown-heart mechanical-arm mechanical-leg ear-with-hearing-aid anatomical-heart
    victory-hand clapping-hands handshake old-man old-woman man woman boy girl pregnant-woman
    person-in-bed woman-dancing person-genie prince tiger-face cow-face pig-face horse-face
    mouse-face rabbit-face monkey-face dragon-face grinning-cat ox water-buffalo two-hump-camel
    orangutan ram bison rat blackbird dodo wing seal cockroach beetle cricket white-flower
    wilted-flower blossom hyacinth sheaf-of-rice leaf-fluttering-in-wind leafless-tree
    brown-mushroom root-vegetable flatbread cut-of-meat falafel shallow-pan-of-food fondue
    bowl-with-spoon canned-food bento-box rice-cracker curry-rice roasted-sweet-potato oden
    fish-cake-with-swirl moon-cake custard teacup-without-handle clinking-glasses pouring-liquid
    tumbler-glass beverage-box fork-and-knife amphora derelict-house building-construction
    post-office bank hindu-temple synagogue shinto-shrine convenience-store hot-springs barber-pole
    playground-slide train high-speed-train articulated-lorry manual-wheelchair motorized-wheelchair
    railway-track oil-drum police-car-light vertical-traffic-light construction mountain-cableway
    seat airplane-departure airplane-arrival full-moon-face sun-with-face umbrella-with-rain-drops
    cloud-with-lightning-and-rain snowman-without-snow water-wave firecracker confetti-ball
    tanabata-tree carp-streamer wind-chime admission-tickets sports-medal softball rugby-football
    lacrosse field-hockey goal-net martial-arts-uniform diving-mask running-shirt nesting-dolls
    performing-arts sewing-needle safety-vest sari kimono one-piece-swimsuit briefs shorts
    thong-sandal flat-shoe womans-sandal hair-pick military-helmet rescue-workers-helmet lab-coat
    loudspeaker postal-horn musical-score control-knobs studio-microphone long-drum maracas pager
    fax-machine computer-disk dvd film-frames film-projector videocassette diya-lamp
    notebook-with-decorative-cover page-facing-up rolled-up-newspaper postbox ballot-box-with-ballot
    black-nib memo file-folder spiral-notepad bar-chart clipboard triangular-ruler file-cabinet
    unlocked old-key pick clamp link broken-chain chains alembic petri-dish crutch x-ray mouse-trap
    lotion-bottle safety-pin bathtub headstone infinity up-arrow down-arrow left-arrow
    zipper-mouth-face face-with-monocle
    """.split()  # noqa: SIM905 (a hundred quoted names are harder to read)
)
_RENAMED = {
    "piata": "pinata",
    "pool 8 ball": "8 ball",
    "magnifying glass tilted left": "magnifying glass",
    "closed mailbox with raised flag": "mailbox",
    "globe showing americas": "globe",
    "person mage": "wizard",
    "person merpeople": "mermaid",
    "person vampire": "vampire",
    "person zombie": "zombie",
    "person genie": "genie",
    "person fairy": "fairy",
    "person running": "runner",
    "person surfing": "surfer",
    "person swimming": "swimmer",
    "person biking": "cyclist",
    "woman dancing": "dancer",
    "lady beetle": "ladybug",
    "spouting whale": "whale spouting water",
    "poultry leg": "chicken leg",
    "automobile": "car",
    "snowman without snow": "plain snowman",
    "speaker high volume": "speaker",
    "hourglass done": "hourglass",
    "chart increasing": "rising chart",
    "chart decreasing": "falling chart",
    "red triangle": "triangle",
    "large blue diamond": "blue diamond",
    "santa claus": "santa",
    "mans shoe": "man shoe",
    "womans hat": "sun hat",
    "womans boot": "boot",
    "womans sandal": "high heel sandal",
    "rescue workers helmet": "rescue helmet",
    "red exclamation mark": "exclamation mark",
    "red question mark": "question mark",
    "honeybee": "bee",
    "drop of blood": "blood drop",
    "x ray": "x-ray",
    "t shirt": "t-shirt",
    "t rex": "t-rex",
    "yo yo": "yo-yo",
    "jack o lantern": "jack-o-lantern",
}
_ALIASES = {
    "dog": ["puppy"],
    "cat": ["kitten", "kitty"],
    "hamburger": ["burger"],
    "french fries": ["fries", "chips"],
    "soft ice cream": ["ice cream cone"],
    "hot beverage": ["coffee", "cup of coffee", "tea"],
    "airplane": ["plane"],
    "motorcycle": ["motorbike"],
    "bicycle": ["bike"],
    "passenger ship": ["ship"],
    "evergreen tree": ["pine tree", "fir"],
    "deciduous tree": ["tree"],
    "mobile phone": ["phone", "smartphone"],
    "high voltage": ["lightning bolt"],
    "wrapped gift": ["gift", "present"],
    "pile of poo": ["poop"],
    "flying saucer": ["ufo"],
    "t-rex": ["dinosaur"],
    "sauropod": ["brontosaurus"],
    "house with garden": ["cottage"],
    "soccer ball": ["football"],
    "wizard": ["mage"],
    "red heart": ["heart"],
    "glowing star": ["shiny star"],
    "desktop computer": ["computer"],
    "sun": ["sunshine"],
    "beer mug": ["beer"],
    "wine glass": ["wine", "glass of wine"],
    "glass of milk": ["milk"],
    "pie": ["cake slice"],
    "doughnut": ["donut"],
    "steaming bowl": ["ramen", "noodles", "soup"],
    "cocktail glass": ["cocktail", "martini"],
    "baby chick": ["chick"],
    "polar bear": ["white bear"],
    "locomotive": ["steam train"],
    "sailboat": ["boat"],
    "couch and lamp": ["couch", "sofa"],
    "top hat": ["hat"],
    "wastebasket": ["trash can"],
    "eye": ["one eye"],
    "television": ["tv"],
    "magnifying glass": ["loupe"],
    "game die": ["dice"],
    "gem stone": ["gem", "jewel"],
    "military medal": ["medal"],
    "birthday cake": ["cake"],
    "light bulb": ["lamp"],
    "old woman": ["grandmother"],
    "old man": ["grandfather"],
    "crescent moon": ["moon"],
    "chocolate bar": ["chocolate"],
    "water wave": ["wave"],
    "mountain": ["hill"],
    "desert island": ["island"],
    "cityscape": ["city", "skyline"],
    "droplet": ["water drop"],
}


def load_things(art: Path, *, pixels: int = ART_PIXELS) -> tuple[Thing, ...]:
    """Read the chosen things from the unpacked art packages below `art`, in Unicode's emoji order.

    Their pictures have `pixels` a side; the 3D renders are stored at 256 and enlarged beyond that.
    """
    sources = _Sources(art, pixels)
    chosen = [entry for entry in sources.entries if _is_chosen(entry, sources.name_of(entry))]
    short_names = Counter(name for entry in chosen for name in _short_names(entry))
    taken = {_spoken(sources.name_of(entry)) for entry in chosen}
    things = []
    for entry in chosen:
        pictures = sources.pictures(entry)
        if len(pictures) < len(STYLES):
            continue
        name = _spoken(sources.name_of(entry))
        unique = [n for n in _short_names(entry) if short_names[n] == 1 and n not in taken]
        aliases = tuple(dict.fromkeys([*_ALIASES.get(name, []), *unique]))
        things.append(Thing(name=name, aliases=aliases, pictures=pictures))
    return tuple(things)


class _Sources:
    def __init__(self, art: Path, pixels: int) -> None:
        self._pixels = pixels
        packages = {json.loads(p.read_text())["name"]: p.parent for p in art.glob("*/package/package.json")}
        self._svg = {
            "noto": _IconSet(packages["@iconify-json/noto"]),
            "flat": _IconSet(packages["@iconify-json/fluent-emoji-flat"]),
        }
        renders = packages["@lobehub/fluent-emoji-3d"] / "assets"
        self._renders = {_codepoints(path.stem): path for path in renders.glob("*.webp")}
        entries = json.loads((packages["emoji-datasource-google"] / "emoji.json").read_text())
        self.entries = sorted(entries, key=lambda entry: int(entry["sort_order"]))

    def name_of(self, entry: dict[str, str]) -> str:
        key = _codepoints(entry["unified"])
        return self._svg["flat"].names.get(key) or self._svg["noto"].names.get(key, "")

    def pictures(self, entry: dict[str, str]) -> dict[str, Image.Image]:
        key = _codepoints(entry["unified"])
        found = {
            style: icons.picture(key, self._pixels)
            for style, icons in self._svg.items()
            if key in icons.names
        }
        if key in self._renders:
            size = self._pixels, self._pixels
            found["3d"] = Image.open(self._renders[key]).convert("RGBA").resize(size)
        return found


class _IconSet:
    """One iconify JSON icon set: SVG bodies by name, names by code points."""

    def __init__(self, package: Path) -> None:
        icons = json.loads((package / "icons.json").read_text())
        self._bodies = {name: icon["body"] for name, icon in icons["icons"].items()}
        self._width, self._height = icons.get("width", 16), icons.get("height", 16)
        chars = json.loads((package / "chars.json").read_text())
        self.names = {_codepoints(char): name for char, name in chars.items() if name in self._bodies}

    def picture(self, key: str, pixels: int) -> Image.Image:
        body = self._bodies[self.names[key]]
        svg = (
            f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
            f'viewBox="0 0 {self._width} {self._height}">{body}</svg>'
        )
        png = bytes(resvg_py.svg_to_bytes(svg_string=svg, width=pixels, height=pixels))
        return Image.open(io.BytesIO(png)).convert("RGBA")


def _codepoints(text: str) -> str:
    return text.lower().replace("-fe0f", "")


def _is_chosen(entry: dict[str, str], name: str) -> bool:
    if not name or name in _DROPPED:
        return False
    return entry["category"] in _WHOLE_CATEGORIES or entry["subcategory"] in _SUBCATEGORIES or name in _EXTRA


def _spoken(name: str) -> str:
    words = name.replace("-", " ")
    return _RENAMED.get(words, words)


def _short_names(entry: dict[str, object]) -> list[str]:
    names = entry["short_names"]
    assert isinstance(names, list)
    spoken = [name.replace("_", " ").replace("-", " ") for name in names]
    return [name for name in spoken if name.replace(" ", "").isalpha() and name not in _UNSUITABLE_ALIASES]
