"""stable-diffusion-webui's emphasis: `(word)`, `(word:1.3)`, `[word]`, backslash escapes and `BREAK`."""

from __future__ import annotations

import re
from dataclasses import dataclass

UP, DOWN = 1.1, 1 / 1.1
"""What one pair of round or square brackets multiplies a weight by (webui, modules/prompt_parser.py)."""

_TOKENS = re.compile(
    r"\\[()\[\]\\]|\\|\(|\[|:\s*([+-]?(?:\d+\.?\d*|\.\d+))\s*\)|\)|\]|\bBREAK\b|[^\\()\[\]:B]+|:|B"
)
_EXTRA_NETWORK = re.compile(r"<(\w+):([^<>:]*)(?::[^<>]*)?>")


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text and how much it counts."""

    text: str
    weight: float


def parse_weights(prompt: str) -> tuple[tuple[Piece, ...], ...]:
    """The prompt's sections, split at BREAK, each as weighted pieces.

    Never raises: unclosed brackets run to the end of their section.
    """
    sections: list[list[list[object]]] = [[]]
    round_starts: list[int] = []
    square_starts: list[int] = []
    for match in _TOKENS.finditer(prompt):
        mark, pieces = match[0], sections[-1]
        if mark == "BREAK":
            _close_all(pieces, round_starts, square_starts)
            sections.append([])
        elif mark == "(":
            round_starts.append(len(pieces))
        elif mark == "[":
            square_starts.append(len(pieces))
        elif match[1] is not None and round_starts:
            _multiply(pieces, round_starts.pop(), float(match[1]))
        elif mark == ")" and round_starts:
            _multiply(pieces, round_starts.pop(), UP)
        elif mark == "]" and square_starts:
            _multiply(pieces, square_starts.pop(), DOWN)
        else:
            text = mark[1:] if len(mark) == 2 and mark[0] == "\\" else mark
            pieces.append([text, 1.0])
    _close_all(sections[-1], round_starts, square_starts)
    return tuple(_joined(pieces) for pieces in sections)


def without_networks(prompt: str) -> tuple[str, tuple[str, ...]]:
    """The prompt without `<lora:name:0.8>` and its like, and the names they asked for."""
    names = tuple(match[2] for match in _EXTRA_NETWORK.finditer(prompt))
    return _EXTRA_NETWORK.sub("", prompt), names


def _close_all(pieces: list[list[object]], round_starts: list[int], square_starts: list[int]) -> None:
    for start in round_starts:
        _multiply(pieces, start, UP)
    for start in square_starts:
        _multiply(pieces, start, DOWN)
    round_starts.clear()
    square_starts.clear()


def _multiply(pieces: list[list[object]], start: int, factor: float) -> None:
    for piece in pieces[start:]:
        piece[1] = float(piece[1]) * factor  # type: ignore[arg-type]


def _joined(pieces: list[list[object]]) -> tuple[Piece, ...]:
    joined: list[Piece] = []
    for text, weight in pieces:
        if joined and joined[-1].weight == weight:
            joined[-1] = Piece(joined[-1].text + str(text), joined[-1].weight)
        else:
            joined.append(Piece(str(text), float(weight)))  # type: ignore[arg-type]
    return tuple(joined)
