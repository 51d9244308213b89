"""Which words of a prompt the model was taught."""

from __future__ import annotations

import json
import re
from pathlib import Path

from container.prompt_weights import parse_weights, without_networks

_WORD = re.compile(r"[\w'-]+")
_SMALL_WORDS = frozenset(
    """a an the of in on at to and or with without by for from into under over is are it its this that some my
    your no not very as near next photo picture image drawing""".split()  # noqa: SIM905
)


class KnownWords:
    """The vocabulary the captions used."""

    def __init__(self, file: Path) -> None:
        vocabulary = json.loads(file.read_text(encoding="utf-8"))
        styles = [
            word for words in vocabulary["styles"].values() for phrase in words for word in phrase.split()
        ]
        self.names: tuple[str, ...] = tuple(vocabulary["things"])
        self.colours: tuple[str, ...] = tuple(vocabulary["colours"])
        self._known = _SMALL_WORDS | {*vocabulary["words"], *vocabulary["colours"], *styles}

    def unknown_in(self, prompt: str) -> tuple[str, ...]:
        """The prompt's words the model never met, lower-cased, each once, in order.

        Small words count as known.
        """
        sections = parse_weights(without_networks(prompt)[0])
        plain = " ".join(piece.text for section in sections for piece in section).lower()
        words = dict.fromkeys(word.strip("'-").removesuffix("'s") for word in _WORD.findall(plain))
        return tuple(word for word in words if word and not word.isdigit() and word not in self._known)
