"""Midjourney's `a::2 b::1`, which newer engines lack, turned into the web UI's `(a:1.33) (b:0.67)`.

Midjourney divides by the sum, so only proportions count; here they are scaled to an average of 1.
Parts below 0 go to the negative prompt.
"""

import re
from dataclasses import dataclass

from bot.domain.prompt import wording
from bot.domain.prompt.outcome import Findings
from bot.domain.prompt.tokens import Prompt

SEPARATOR = re.compile(r"::\s?(-?(?:\d+\.?\d*|\.\d+)(?![\w.]))?", re.ASCII)
STRONGEST = 2.0


@dataclass(frozen=True, slots=True)
class _Part:
    text: str
    weight: float


def weighted_parts(prompt: Prompt, *, findings: Findings) -> tuple[str, str]:
    """(prompt, what goes to the negative prompt); the prompt as it is without a `::` outside brackets."""
    separators = [
        match for match in SEPARATOR.finditer(prompt.text) if not _depth(prompt.text, match.start())
    ]
    if not separators:
        return prompt.text, ""
    parts = _parts(prompt, separators, findings)
    total = sum(part.weight for part in parts)
    if total <= 0:
        _refuse(prompt, separators[-1], "total_weight", wording.TOTAL_WEIGHT, findings)
        return prompt.text, ""
    return _converted(parts, findings)


def _parts(prompt: Prompt, separators: list[re.Match[str]], findings: Findings) -> list[_Part]:
    parts = []
    start = 0
    for match in separators:
        text = prompt.text[start : match.start()].strip(" ,")
        if not text:
            _refuse(prompt, match, "empty_part", wording.EMPTY_PART, findings)
        parts.append(_Part(text, float(match[1] or 1)))
        start = match.end()
    rest = prompt.text[start:].strip(" ,")
    return [*parts, _Part(rest, 1.0)] if rest else parts


def _converted(parts: list[_Part], findings: Findings) -> tuple[str, str]:
    drawn = [part for part in parts if part.weight > 0]
    average = sum(part.weight for part in drawn) / len(drawn)
    prompt = ", ".join(_weighted(part.text, part.weight / average) for part in drawn)
    negative = ", ".join(part.text for part in parts if part.weight < 0)
    if len(parts) == 1:
        findings.note("single_weight", wording.SINGLE_WEIGHT)
    else:
        findings.note("converted_weights", wording.converted_weights(prompt, negative))
    return prompt, negative


def _weighted(text: str, weight: float) -> str:
    weight = round(min(weight, STRONGEST), 2)
    return text if weight == 1 else f"({text}:{weight:g})"


def _depth(text: str, end: int) -> int:
    before = re.sub(r"\\.", "", text[:end])
    return max(before.count("(") - before.count(")"), 0) + max(before.count("[") - before.count("]"), 0)


def _refuse(prompt: Prompt, match: re.Match[str], code: str, message: str, findings: Findings) -> None:
    place = (prompt.at[match.start()], prompt.at[match.end() - 1] + 1)
    findings.refuse(code, message, place, edit=(*place, " "))
