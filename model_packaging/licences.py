"""Licences that model files come under, and which of them forbid commercial use.

Names as Hugging Face's `license` field spells them (hub docs, "Licenses"), SPDX identifiers, and what
civitai and model cards write. It is a table of names, not legal advice: an unknown name is told as unknown.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from model_packaging.errors import LicenceRefused

LONGEST_NAME = 100


class Use(StrEnum):
    """What the licence says about commercial use."""

    COMMERCIAL = "commercial"
    CONDITIONAL = "conditional"  # allowed below a turnover, or on terms that somebody must read
    NON_COMMERCIAL = "non-commercial"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Licence:
    """`name` as it is shown and stored; `spellings` are what else means the same."""

    name: str
    use: Use
    spellings: tuple[str, ...] = ()

    @property
    def is_flagged(self) -> bool:
        """Whether pickers and doctor must point it out."""
        return self.use is Use.NON_COMMERCIAL


LICENCES = (
    Licence(name="Apache-2.0", use=Use.COMMERCIAL, spellings=("apache2",)),
    Licence(name="MIT", use=Use.COMMERCIAL),
    Licence(name="BSD-3-Clause", use=Use.COMMERCIAL),
    Licence(name="BSD-2-Clause", use=Use.COMMERCIAL),
    Licence(name="CC0-1.0", use=Use.COMMERCIAL),
    Licence(name="CC-BY-4.0", use=Use.COMMERCIAL),
    Licence(name="CC-BY-SA-4.0", use=Use.COMMERCIAL),
    Licence(name="Unlicense", use=Use.COMMERCIAL),
    Licence(name="CreativeML-OpenRAIL-M", use=Use.COMMERCIAL, spellings=("creativeml openrail m",)),
    Licence(name="OpenRAIL", use=Use.COMMERCIAL, spellings=("openrail-m", "bigscience-openrail-m")),
    Licence(
        name="OpenRAIL++-M", use=Use.COMMERCIAL, spellings=("openrail++", "creativeml-open-rail++-m", "sdxl")
    ),
    Licence(
        name="Stability-AI-Community",
        use=Use.CONDITIONAL,
        spellings=("stabilityai-ai-community", "stability-community", "stabilityai-community"),
    ),
    Licence(name="FairAI-Public-1.0-SD", use=Use.CONDITIONAL, spellings=("faipl-1.0-sd", "faipl")),
    Licence(name="GPL-3.0", use=Use.CONDITIONAL, spellings=("gpl-3.0-only", "gpl-3.0-or-later")),
    Licence(name="AGPL-3.0", use=Use.CONDITIONAL, spellings=("agpl-3.0-only", "agpl-3.0-or-later")),
    Licence(
        name="FLUX.1-dev-Non-Commercial",
        use=Use.NON_COMMERCIAL,
        spellings=("flux-1-dev-non-commercial-license", "flux-dev", "flux.1-dev"),
    ),
    Licence(
        name="FLUX-Non-Commercial",
        use=Use.NON_COMMERCIAL,
        spellings=("flux-non-commercial-license", "flux.2-dev", "flux-dev-non-commercial-license-v2.1"),
    ),
    Licence(
        name="Stability-AI-Non-Commercial-Research",
        use=Use.NON_COMMERCIAL,
        spellings=(
            "stabilityai-non-commercial-research-community",
            "sai-nc-community",
            "sdxl-turbo",
            "stable-cascade-nc-community",
        ),
    ),
    Licence(name="SDXL-0.9-Research", use=Use.NON_COMMERCIAL, spellings=("sdxl-0.9-research-license",)),
    Licence(name="PlaygroundAI-NC", use=Use.NON_COMMERCIAL, spellings=("playground-v2-community-nc",)),
    Licence(name="CC-BY-NC-4.0", use=Use.NON_COMMERCIAL),
    Licence(name="CC-BY-NC-SA-4.0", use=Use.NON_COMMERCIAL),
    Licence(name="CC-BY-NC-ND-4.0", use=Use.NON_COMMERCIAL),
    Licence(name="CC-BY-NC-2.0", use=Use.NON_COMMERCIAL),
    Licence(name="CC-BY-NC-SA-2.0", use=Use.NON_COMMERCIAL),
    Licence(name="CC-BY-NC-3.0", use=Use.NON_COMMERCIAL),
)

_NON_COMMERCIAL_WORDS = re.compile(
    r"non[\s_-]*commercial|(^|[\W_])nc($|[\W_])|research[\s_-]*only", re.IGNORECASE
)
_SAYS_NOTHING = frozenset({"", "other", "unknown", "none", "n/a", "nolicense"})


def licence_named(text: str) -> Licence:
    """The licence somebody means; an unknown name stays as typed. Raises `LicenceRefused` for no name.

    Text that names no known licence but says "non-commercial" is taken at its word.
    """
    name = " ".join(text.split())
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise LicenceRefused(
            f"a licence is named in at most {LONGEST_NAME} plain characters, such as Apache-2.0"
        )
    plain = _plain(name)
    for licence in LICENCES:
        if plain in map(_plain, (licence.name, *licence.spellings)):
            return licence
    flagged = _NON_COMMERCIAL_WORDS.search(name) is not None
    return Licence(name=name, use=Use.NON_COMMERCIAL if flagged else Use.UNKNOWN)


def is_stated(text: str) -> bool:
    """Whether somebody has said what the licence is: "other" and "unknown" say nothing."""
    return " ".join(text.split()).casefold() not in _SAYS_NOTHING


def check_allowed(licence: Licence, *, forbid_non_commercial: bool, path: str) -> None:
    """Raises `LicenceRefused` where the team's setting forbids this licence."""
    if forbid_non_commercial and licence.is_flagged:
        raise LicenceRefused(
            f"{path}: its licence {licence.name} forbids commercial use, and this team's settings forbid such"
            " files; use another model, or have an admin unset IMAGINE_FORBID_NON_COMMERCIAL"
        )


def _plain(name: str) -> str:
    """Without case, blanks and a closing "license": `Apache License 2.0` is `apache-2.0`."""
    words = re.sub(r"\b(licen[sc]e|version|v(?=\d))\b", " ", name.casefold())
    return re.sub(r"[\s_.-]+", "", words)
