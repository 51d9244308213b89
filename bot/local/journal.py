"""Where events go on one machine: one JSON line each, or a list for tests."""

import json
import threading
from typing import TextIO

from bot.ports import Clock

Field = str | int | float | None


class LineJournal:
    """Writes `{"at": …, "event": …, …}` lines. Fields are identifiers and codes; JSON escapes line ends."""

    def __init__(self, stream: TextIO, clock: Clock) -> None:
        self._stream = stream
        self._clock = clock
        self._turn = threading.Lock()

    def event(self, name: str, **fields: Field) -> None:
        """See Journal.event."""
        line = json.dumps({"at": round(self._clock.now(), 3), "event": name, **fields})
        with self._turn:
            self._stream.write(f"{line}\n")
            self._stream.flush()


class ListJournal:
    """Keeps events in `events`, for tests."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Field]]] = []

    def event(self, name: str, **fields: Field) -> None:
        """See Journal.event."""
        self.events.append((name, dict(fields)))

    def named(self, name: str) -> list[dict[str, Field]]:
        """The fields of every event of that name."""
        return [fields for event, fields in self.events if event == name]
