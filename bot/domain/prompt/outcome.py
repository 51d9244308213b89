"""What parsing leads to: a request with notes, or a refusal that shows the place and a line that works."""

import unicodedata
from dataclasses import dataclass, field

from bot.domain.request import Defaults, ImageRequest

CARET_COLUMNS = 72
"""A phone in landscape and a desktop thread show about this many monospaced columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something done or ignored that the person should know; the job runs."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why a line is not run; `start`-`end` is the place in `Refusal.typed`."""

    code: str
    message: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """`defaults` are those of the model asked for: what `canonical.render` leaves out of a line."""

    request: ImageRequest
    notes: tuple[Note, ...] = ()
    defaults: Defaults


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Nothing runs. `typed` is the tidy line; `corrected`, when there is one, is known to parse."""

    problems: tuple[Problem, ...]
    typed: str
    corrected: str | None = None


@dataclass(slots=True)
class Findings:
    """Collects what one parse has to say, and the edits that would make the line work."""

    problems: list[Problem] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    edits: list[tuple[int, int, str]] = field(default_factory=list)
    hopeless: bool = False

    def note(self, code: str, message: str) -> None:
        found = Note(code=code, message=message)
        if found not in self.notes:
            self.notes.append(found)

    def refuse(
        self, code: str, message: str, place: tuple[int, int], *, edit: tuple[int, int, str] | None = None
    ) -> None:
        """Record a problem at `place`. Without an edit no corrected line can be offered."""
        self.problems.append(Problem(code=code, message=message, start=place[0], end=place[1]))
        if edit is None:
            self.hopeless = True
        else:
            self.edits.append(edit)

    def edited(self, line: str) -> str | None:
        """The line with every edit made, None when one problem has no known way out."""
        if self.hopeless:
            return None
        limit = len(line)
        for start, end, text in sorted(self.edits, reverse=True):
            if end <= limit:
                line = f"{line[:start]}{text}{line[end:]}"
                limit = start
        return line


def caret_line(refusal: Refusal) -> str:
    """Two lines for a monospaced font: the line around the first problem, and carets under every problem."""
    if not refusal.problems:
        return refusal.typed
    first = min(problem.start for problem in refusal.problems)
    start = max(0, first - CARET_COLUMNS // 3) if len(refusal.typed) > CARET_COLUMNS else 0
    end = min(len(refusal.typed), start + CARET_COLUMNS)
    marked = {
        index
        for problem in refusal.problems
        for index in range(problem.start, max(problem.end, problem.start + 1))
    }
    carets = "".join(
        ("^" if index in marked else " ") * _columns(refusal.typed[index : index + 1])
        for index in range(start, end + 1)
    )
    before, after = "…" if start else "", "…" if end < len(refusal.typed) else ""
    return f"{before}{refusal.typed[start:end]}{after}\n{' ' * len(before)}{carets.rstrip()}"


def _columns(char: str) -> int:
    """Columns of a monospaced font: CJK takes two, a combining mark none."""
    if char and unicodedata.combining(char):
        return 0
    return 2 if char and unicodedata.east_asian_width(char) in "WF" else 1
