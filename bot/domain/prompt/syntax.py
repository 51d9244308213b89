"""The web UI's prompt syntax: what passes through, what is taken out, what is refused by name.

Brackets and weights follow AUTOMATIC1111's `modules/prompt_parser.py`: `(x)` is stronger, `[x]` weaker,
`(x:1.3)` explicit, a backslash makes a bracket plain text, and an open bracket reaches to the end.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bot.domain.prompt import wording
from bot.domain.prompt.catalogue import Catalogue, Construct, Kind, nearest_names
from bot.domain.prompt.outcome import Findings
from bot.domain.prompt.tokens import Prompt
from bot.domain.prompt.values import decimal_of, no_such_lora, weighed_lora
from bot.domain.request import LoraUse

TAG = re.compile(r"<(lora|lyco|hypernet):([^<>:]*)(?::([^<>]*))?>", re.IGNORECASE)
LINK = re.compile(r"https?://[^\s\"]+", re.IGNORECASE)
WILDCARD = re.compile(r"(?<!\w)__([A-Za-z][\w/-]*?)__(?!\w)")
WORDS = (
    (Construct.COMPOSITION, re.compile(r"(?<=\s)AND(?=\s)"), "and"),
    (Construct.BREAK, re.compile(r"(?<!\S)BREAK(?!\S)"), ","),
)
"""Capital words that are constructs, and what to write instead."""

UNPLAIN_WEIGHT = re.compile(r"\s*[+-]?[\d.,]+\w*\s*|[^\s,]+")
SANE_WEIGHTS = (0.0, 2.0)


@dataclass(slots=True)
class _Bracket:
    start: int
    colons: list[int] = field(default_factory=list)
    bars: list[int] = field(default_factory=list)


def without_loras(
    prompt: Prompt, *, catalogue: Catalogue, findings: Findings
) -> tuple[Prompt, tuple[LoraUse, ...]]:
    """The prompt without its `<lora:name:weight>` tags, and what they ask for."""
    uses: list[LoraUse] = []
    for tag in TAG.finditer(prompt.text):
        if tag[1].casefold() == "hypernet":
            _refuse(findings, prompt, tag.span(), code="hypernet", message=wording.NO_HYPERNETS, text=" ")
        elif use := _tagged_lora(tag, prompt, catalogue, findings):
            uses.append(use)
    tags = [_with_comma(tag) for tag in TAG.finditer(prompt.text)]
    return (_cut(prompt, tags) if tags else prompt), tuple(uses)


def check_syntax(prompt: Prompt, *, catalogue: Catalogue, findings: Findings) -> None:
    """Record what the engine cannot draw and what may surprise; brackets and weights pass through."""
    for link in LINK.finditer(prompt.text):
        if prompt.text[: link.start()].count('"') % 2 == 0:
            _refuse(findings, prompt, link.span(), code="image_link", message=wording.NO_LINKS, text=" ")
    for wildcard in WILDCARD.finditer(prompt.text):
        _refuse(
            findings, prompt, wildcard.span(), code="wildcard", message=wording.NO_WILDCARDS, text=wildcard[1]
        )
    for construct, pattern, instead in WORDS:
        if construct not in catalogue.constructs:
            for word in pattern.finditer(prompt.text):
                message = wording.CONSTRUCTS[construct]
                _refuse(findings, prompt, word.span(), code="unsupported", message=message, text=instead)
    _check_brackets(prompt, catalogue, findings)


def check_negative(prompt: Prompt, *, catalogue: Catalogue, findings: Findings) -> None:
    """The same for a negative prompt, which in addition cannot hold a LoRA."""
    for tag in TAG.finditer(prompt.text):
        message = wording.LORA_IN_NEGATIVE
        _refuse(findings, prompt, tag.span(), code="lora_in_negative", message=message, text=" ")
    check_syntax(prompt, catalogue=catalogue, findings=findings)


def _tagged_lora(
    tag: re.Match[str], prompt: Prompt, catalogue: Catalogue, findings: Findings
) -> LoraUse | None:
    typed, weight = tag[2].strip(), (tag[3] or "1").split(":")[0].strip()
    known, number = catalogue.find(Kind.LORA, typed), decimal_of(weight)
    if known and number is not None:
        return weighed_lora(known, number, findings)
    near = nearest_names(typed, catalogue.names(Kind.LORA))
    correct = known or (near[0] if near else None)
    text = f"<lora:{correct}:{1 if number is None else number:g}>" if correct else " "
    if known:
        message = wording.bad_lora_weight(weight)
        _refuse(
            findings, prompt, tag.span(3), code="bad_lora_weight", message=message, text=text, edit=tag.span()
        )
    else:
        message = no_such_lora(typed, near, catalogue)
        _refuse(
            findings, prompt, tag.span(2), code="unknown_lora", message=message, text=text, edit=tag.span()
        )
    return None


def _with_comma(tag: re.Match[str]) -> tuple[int, int]:
    """A tag between two commas goes with one of them."""
    before = tag.string[: tag.start()].rstrip()
    comma = re.compile(r"\s*,").match(tag.string, tag.end())
    return (tag.start(), comma.end()) if comma and before[-1:] in ("", ",") else tag.span()


def _check_brackets(prompt: Prompt, catalogue: Catalogue, findings: Findings) -> None:
    """One pass with a stack for each kind of bracket, as the web UI keeps them."""
    stacks: dict[str, list[_Bracket]] = {"(": [], "[": [], "{": []}
    closers: dict[str, tuple[str, Callable[..., None]]] = {
        ")": ("(", _check_weight),
        "]": ("[", _check_square),
        "}": ("{", _check_braces),
    }
    inner: list[_Bracket] = []
    for index, char in _unescaped(prompt.text):
        if char in stacks:
            stacks[char].append(_Bracket(index))
            inner.append(stacks[char][-1])
        elif char in closers:
            opener, check = closers[char]
            if stacks[opener]:
                bracket = stacks[opener].pop()
                inner.remove(bracket)
                check(prompt, bracket, index, catalogue, findings)
        elif inner and char == ":":
            inner[-1].colons.append(index)
        elif inner and char in "|,":
            inner[-1].bars.append(index)
    for brace in stacks["{"]:
        place = (brace.start, brace.start + 1)
        _refuse(findings, prompt, place, code="unclosed_brace", message=wording.UNCLOSED_BRACE, text=" ")
    if unclosed := len(stacks["("]) + len(stacks["["]):
        findings.note("unclosed_brackets", wording.unclosed_brackets(unclosed))


def _unescaped(text: str) -> list[tuple[int, str]]:
    return [(match.start(), match[0]) for match in re.finditer(r"\\?.", text) if match[0][0] != "\\"]


def _check_weight(prompt: Prompt, bracket: _Bracket, end: int, _: Catalogue, findings: Findings) -> None:
    """`(x:1.2)`: the part after the last colon must be a number, unless it is plainly a sentence."""
    if not bracket.colons:
        return
    colon = bracket.colons[-1]
    typed = prompt.text[colon + 1 : end]
    if re.fullmatch(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)\s*", typed, re.ASCII):
        if not SANE_WEIGHTS[0] <= float(typed) <= SANE_WEIGHTS[1]:
            findings.note("strange_weight", wording.strange_weight(typed.strip()))
    elif UNPLAIN_WEIGHT.fullmatch(typed):
        number = decimal_of(typed.strip())
        text = "" if number is None else f":{number:g}"
        message = wording.bad_weight(typed.strip())
        _refuse(
            findings,
            prompt,
            (colon + 1, end),
            code="bad_weight",
            message=message,
            text=text,
            edit=(colon, end),
        )


def _check_square(
    prompt: Prompt, bracket: _Bracket, end: int, catalogue: Catalogue, findings: Findings
) -> None:
    place = (bracket.start, end + 1)
    inside = prompt.text[bracket.start + 1 : end]
    if any(prompt.text[bar] == "|" for bar in bracket.bars):
        construct, words = Construct.ALTERNATION, inside.split("|")[0]
    elif bracket.colons and decimal_of(prompt.text[bracket.colons[-1] + 1 : end].strip()) is not None:
        construct, words = Construct.EDITING, inside.split(":")[0]
    else:
        return
    if construct not in catalogue.constructs:
        _refuse(
            findings, prompt, place, code="unsupported", message=wording.CONSTRUCTS[construct], text=words
        )


def _check_braces(prompt: Prompt, bracket: _Bracket, end: int, _: Catalogue, findings: Findings) -> None:
    if bracket.bars:
        first = prompt.text[bracket.start + 1 : bracket.bars[0]].strip()
        place = (bracket.start, end + 1)
        _refuse(findings, prompt, place, code="permutation", message=wording.NO_PERMUTATIONS, text=first)


def _refuse(
    findings: Findings,
    prompt: Prompt,
    place: tuple[int, int],
    *,
    code: str,
    message: str,
    text: str,
    edit: tuple[int, int] | None = None,
) -> None:
    """Record a problem at a place in the prompt as one in the line, with `text` as the way out."""
    start, end = edit or place
    findings.refuse(code, message, _in_line(prompt, place), edit=(*_in_line(prompt, (start, end)), text))


def _in_line(prompt: Prompt, place: tuple[int, int]) -> tuple[int, int]:
    start, end = place
    return prompt.at[start], (prompt.at[end - 1] + 1 if end > start else prompt.at[start])


def _cut(prompt: Prompt, spans: Sequence[tuple[int, int]]) -> Prompt:
    """The prompt without `spans`, with single spaces where they stood."""
    cut = {index for start, end in spans for index in range(start, end)}
    kept: list[tuple[str, int]] = []
    blanked = (" " if index in cut else char for index, char in enumerate(prompt.text))
    for index, char in enumerate(blanked):
        if char != " " or (kept and kept[-1][0] != " "):
            kept.append((char, prompt.at[index]))
    if kept and kept[-1][0] == " ":
        kept.pop()
    return Prompt(
        text="".join(char for char, _ in kept), at=(*(position for _, position in kept), prompt.at[-1])
    )
