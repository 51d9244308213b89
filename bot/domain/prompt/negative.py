"""What --no lists: phrases split on commas, from one list or several."""

import re
from collections.abc import Iterable

from bot.domain.prompt import values
from bot.domain.prompt.outcome import Findings
from bot.domain.prompt.schema import flag_named
from bot.domain.prompt.tokens import FlagUse, Prompt, value_as_prompt

PHRASE = re.compile(r"[^,\s](?:[^,]*[^,\s])?")


def listed_phrases(line: str, uses: Iterable[FlagUse], *, findings: Findings) -> Prompt:
    """All --no lists of a line as one text, with the places of its characters."""
    phrases: list[Prompt] = []
    for use in uses:
        if values.present(use, flag_named("no"), findings) is not None:
            phrases += _phrases(value_as_prompt(line, use), use)
    return _joined(phrases, end=len(line))


def split_phrases(text: str) -> list[str]:
    return PHRASE.findall(text)


def _phrases(listed: Prompt, use: FlagUse) -> list[Prompt]:
    phrases = [listed.part(*match.span()) for match in PHRASE.finditer(listed.text)]
    return phrases if use.quoted else [_unquoted(phrase) for phrase in phrases]


def _unquoted(phrase: Prompt) -> Prompt:
    """`--no "red cars", people`: here quotes only hold a phrase together."""
    text = phrase.text
    return phrase.part(1, len(text) - 1) if len(text) > 2 and text[0] == text[-1] == '"' else phrase


def _joined(phrases: list[Prompt], *, end: int) -> Prompt:
    at: list[int] = []
    for phrase in phrases:
        at += [*phrase.at, phrase.at[-1]]
    return Prompt(text=", ".join(phrase.text for phrase in phrases), at=tuple(at[:-1]) or (end,))
