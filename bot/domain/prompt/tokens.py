"""Cutting a tidy line into flags with their values and the prompt between them. Judges nothing."""

import re
from dataclasses import dataclass
from enum import StrEnum

from bot.domain.prompt.catalogue import Catalogue, plain_name
from bot.domain.prompt.catalogue import Kind as FileKind
from bot.domain.prompt.quoting import closing_quotes, quoted_end, unwrap
from bot.domain.prompt.schema import Flag, Kind, find_flag

FLAG_START = re.compile(r"--(?=[^\W\d_])((?:[^\W\d]|-)+)")
QUOTE_OR_DASH = re.compile('["-]')
NUMBER = re.compile(r"[-−–—]?\d*[.,]?\d+%?[,;.]?(?!\S)")
REFERENCE = re.compile(r"(?:https?://\S+|random|[a-z]*\d[a-z0-9]*)(?:::-?[\d.]+)?[,;]?(?!\S)", re.IGNORECASE)
LONGEST_NAME_WORDS = 5


class Slip(StrEnum):
    """A typing slip with one meaning: `cat--seed 5`, `--seed5`."""

    NO_SPACE_BEFORE = "no space before"
    GLUED_VALUE = "glued value"


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagUse:
    """A flag as typed: `start`-`end` is all of it, `name_end` ends its name, `value` may be missing.

    `quoted` tells a value in quotes from a bare one; `slip` is set when the typing needed mending.
    """

    flag: Flag | None
    name: str
    start: int
    name_end: int
    value: str | None = None
    value_start: int
    end: int
    quoted: bool = False
    slip: Slip | None = None

    def typed(self, line: str) -> str:
        return line[self.start : self.end]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """The words that are no flags. `at[i]` is where character i stands in the line; one more for the end."""

    text: str
    at: tuple[int, ...]

    def part(self, start: int, end: int) -> "Prompt":
        return Prompt(text=self.text[start:end], at=self.at[start : end + 1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    flags: tuple[FlagUse, ...]
    prompt: Prompt


@dataclass(frozen=True, slots=True)
class _Value:
    text: str | None
    start: int
    end: int
    quoted: bool = False


def split(line: str, *, catalogue: Catalogue) -> Split:
    """Cut `line`; the catalogue tells how many words a name such as `Euler a` has."""
    uses = _find_flags(line, catalogue)
    return Split(flags=tuple(uses), prompt=_rest(line, uses))


def value_as_prompt(line: str, use: FlagUse) -> Prompt:
    """The value of a flag with the places of its characters."""
    if use.quoted:
        return _unwrapped(line[use.value_start : use.end], use.value_start)
    places = range(use.value_start, use.value_start + len(use.value or "") + 1)
    return Prompt(text=use.value or "", at=tuple(places))


def _find_flags(line: str, catalogue: Catalogue) -> list[FlagUse]:
    closing = closing_quotes(line)
    uses: list[FlagUse] = []
    position = 0
    while opening := QUOTE_OR_DASH.search(line, position):
        position = opening.start()
        if (end := quoted_end(line, position, closing)) is not None:
            position = end
        elif match := _flag_at(line, position):
            uses.append(_read_flag(line, match, closing, catalogue))
            position = max(uses[-1].end, match.end())
        else:
            position += 1
    return uses


def _flag_at(line: str, position: int) -> re.Match[str] | None:
    """A flag stands at the start of a word, or glued to one (`cat--ar 16:9`) when its name is exact."""
    if line[position] != "-":
        return None
    match = FLAG_START.match(line, position)
    if not match or not position or line[position - 1] == " ":
        return match
    glued = len(match[1]) > 1 and find_flag(match[1]) is not None and line[position - 1] != "-"
    return match if glued and line[match.end() : match.end() + 1] in ("", " ", "=") else None


def _read_flag(line: str, match: re.Match[str], closing: list[int], catalogue: Catalogue) -> FlagUse:
    name = match[1].rstrip("-_")
    name_end = match.start() + 2 + len(name)
    flag = find_flag(name)
    value = _value(line, name_end, flag, closing, catalogue)
    return FlagUse(
        flag=flag,
        name=name,
        start=match.start(),
        name_end=name_end,
        value=value.text,
        value_start=value.start,
        end=value.end,
        quoted=value.quoted,
        slip=_slip(line, match.start(), name_end),
    )


def _slip(line: str, start: int, name_end: int) -> Slip | None:
    if start and line[start - 1] != " ":
        return Slip.NO_SPACE_BEFORE
    after = line[name_end : name_end + 1]
    return Slip.GLUED_VALUE if after.isdigit() or after in tuple(".-:") else None


def _value(line: str, name_end: int, flag: Flag | None, closing: list[int], catalogue: Catalogue) -> _Value:
    after = line[name_end : name_end + 1]
    if after in ("=", ":"):
        return _value_at(line, name_end + 1, flag, closing, catalogue) or _bare(line, name_end + 1)
    if re.match(r"-?\.?\d", line[name_end : name_end + 3]):
        return _bare(line, name_end)
    nothing = _Value(None, name_end, name_end + (after in (",", ";")))
    if after != " " or _starts_flag(line, name_end + 1):
        return nothing
    return _value_at(line, name_end + 1, flag, closing, catalogue) or nothing


def _value_at(
    line: str, start: int, flag: Flag | None, closing: list[int], catalogue: Catalogue
) -> _Value | None:
    """The value that begins at `start`, None when what stands there cannot be one."""
    kind = flag.kind if flag else Kind.OPTIONAL
    if kind is Kind.SWITCH or start >= len(line):
        return None
    if kind is Kind.OPTIONAL:
        return _bare(line, start) if NUMBER.match(line, start) else None
    if kind is Kind.REFERENCE:
        return _references(line, start)
    if kind is Kind.PHRASES:
        return _phrases(line, start, closing)
    if kind is Kind.NAME and flag is not None and line[start] not in "\"'":
        return _name(line, start, _names(flag, catalogue))
    return _bare_or_quoted(line, start, closing)


def _names(flag: Flag, catalogue: Catalogue) -> tuple[str, ...]:
    if flag.name == "model":
        return catalogue.names(FileKind.MODEL)
    named = {"sampler": catalogue.samplers, "style": catalogue.styles}
    return named.get(flag.name, ())


def _starts_flag(line: str, position: int) -> bool:
    return FLAG_START.match(line, position) is not None


def _bare(line: str, start: int) -> _Value:
    """One word. Punctuation after it belongs to the sentence around the flag."""
    found = re.compile(r"\S*").match(line, start)
    end = found.end() if found else start
    word = line[start:end]
    glued = re.search(r"(?<=[^-])--[^\W\d_]", word)
    if glued:
        end = start + glued.start()
        word = line[start:end]
    return _Value(word.rstrip(",;.") or None, start, end)


def _bare_or_quoted(line: str, start: int, closing: list[int]) -> _Value:
    if (end := quoted_end(line, start, closing)) is not None:
        return _Value(unwrap(line[start:end]).strip(), start, end, quoted=True)
    if single := re.compile(r"'([^']*)'(?=\s|$)").match(line, start):
        return _Value(single[1].strip(), start, single.end(), quoted=True)
    return _bare(line, start)


def _references(line: str, start: int) -> _Value | None:
    end = start
    while found := REFERENCE.match(line, end):
        end = found.end()
        if line[end : end + 1] != " " or not REFERENCE.match(line, end + 1):
            break
        end += 1
    return _Value(line[start:end], start, end) if end > start else None


def _phrases(line: str, start: int, closing: list[int]) -> _Value:
    """A quoted text, or everything up to the next flag; a comma after quotes means that the list goes on."""
    end = quoted_end(line, start, closing)
    if end is not None and line[end : end + 1] != ",":
        return _Value(unwrap(line[start:end]).strip(), start, end, quoted=True)
    position = start
    while position < len(line):
        if (end := quoted_end(line, position, closing)) is not None:
            position = end
        elif _flag_at(line, position):
            break
        else:
            position += 1
    return _Value(line[start:position].strip(), start, position)


def _name(line: str, start: int, names: tuple[str, ...]) -> _Value:
    """The longest run of words that is a known name; one word when none is."""
    known = {plain_name(name) for name in names}
    words = list(re.compile(r"\S+").finditer(line, start, start + 200))[:LONGEST_NAME_WORDS]
    for word in reversed(words):
        candidate = line[start : word.end()].rstrip(",;")
        if plain_name(candidate) in known:
            return _Value(candidate, start, word.end())
    return _bare(line, start)


def _rest(line: str, uses: list[FlagUse]) -> Prompt:
    """The line without its flags; one pair of quotes around all of it is taken off."""
    chars = list(line)
    for use in uses:
        chars[use.start : use.end] = " " * (use.end - use.start)
    spaced = "".join(chars)
    stripped = spaced.strip()
    start = len(spaced) - len(spaced.lstrip())
    if quoted_end(stripped, 0, closing_quotes(stripped)) == len(stripped) and stripped:
        return _unwrapped(stripped, start)
    return _squeezed([(char, start + index) for index, char in enumerate(stripped)], start + len(stripped))


def _unwrapped(quoted: str, start: int) -> Prompt:
    chars = []
    index = 1
    while index < len(quoted) - 1:
        if quoted[index] == "\\" and quoted[index + 1] in '"\\':
            index += 1
        chars.append((quoted[index], start + index))
        index += 1
    return _squeezed(chars, start + len(quoted) - 1)


def _squeezed(chars: list[tuple[str, int]], end: int) -> Prompt:
    kept: list[tuple[str, int]] = []
    for char, position in chars:
        if char != " " or (kept and kept[-1][0] != " "):
            kept.append((char, position))
    if kept and kept[-1][0] == " ":
        kept.pop()
    return Prompt(text="".join(char for char, _ in kept), at=(*(position for _, position in kept), end))
