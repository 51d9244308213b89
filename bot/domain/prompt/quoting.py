"""Double quotes: where a quoted run ends, and how a text is wrapped so that nothing in it is a flag."""

import re
from bisect import bisect_right
from collections.abc import Sequence

OPENS_AFTER = " ([{,=:"


def closing_quotes(line: str) -> list[int]:
    """Positions of the quotes that may end a run: not escaped, and not followed by a letter or digit."""
    found = []
    for match in re.finditer(r'(\\*)"', line):
        position = match.end() - 1
        after = line[position + 1 : position + 2]
        if len(match[1]) % 2 == 0 and not after.isalnum():
            found.append(position)
    return found


def quoted_end(line: str, start: int, closing: Sequence[int]) -> int | None:
    """One past the run of quotes that opens at `start`; None when no such run opens or it never ends."""
    if line[start : start + 1] != '"' or (start and line[start - 1] not in OPENS_AFTER):
        return None
    index = bisect_right(closing, start)
    return closing[index] + 1 if index < len(closing) else None


def wrap(text: str) -> str:
    """The text in double quotes, so that a parser reads back exactly `text`."""
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


def unwrap(quoted: str) -> str:
    r"""The text that `wrap` quoted; other backslashes stay, as in `\(`."""
    return re.sub(r'\\(["\\])', r"\1", quoted[1:-1])
