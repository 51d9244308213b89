"""The table of what was driven: a line for each step, printed as it ends."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum


class Ended(StrEnum):
    """How a row ended."""

    DRIVEN = "driven"
    NOT_HERE = "not reachable here"
    FAILED = "failed"


class NotHere(Exception):
    """The emulator cannot do this; the text says why. The story goes on."""


@dataclass(slots=True, kw_only=True)
class Row:
    """One step. `fact` is what was seen, for the table."""

    what: str
    fact: str = ""
    ended: Ended = Ended.DRIVEN
    seconds: float = 0.0


@dataclass(slots=True)
class Rows:
    """The steps so far."""

    told: list[Row] = field(default_factory=list)

    @contextmanager
    def __call__(self, what: str) -> Iterator[Row]:
        """One step, timed. NotHere ends it alone; any other exception ends the story."""
        row, began = Row(what=what), time.monotonic()
        self.told.append(row)
        try:
            yield row
        except NotHere as reason:
            row.ended, row.fact = Ended.NOT_HERE, str(reason)
        except BaseException:
            row.ended = Ended.FAILED
            raise
        finally:
            row.seconds = time.monotonic() - began
            print(line_of(row), flush=True)

    @property
    def summary(self) -> str:
        counts = {ended: sum(row.ended is ended for row in self.told) for ended in Ended}
        told = ", ".join(f"{count} {ended}" for ended, count in counts.items() if count)
        return f"{told}, {sum(row.seconds for row in self.told):.0f} s"


def line_of(row: Row) -> str:
    """Such as ` 12.3 s  driven  a picture in the thread   512x512`."""
    return f"{row.seconds:6.1f} s  {row.ended:<18}  {row.what:<52}  {row.fact}".rstrip()
