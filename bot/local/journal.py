"""Where events go on one machine: one JSON line each, or a list for tests."""

import json
import threading
from typing import TextIO

from bot.ports import Clock

Field = str | int | float | None
LONGEST = 200


class LineJournal:
    """Writes `{"at": …, "event": …, …}` lines; JSON escapes line ends.

    Fields are identifiers and codes: anything but text, numbers and None raises TypeError, and text is cut
    after 200 characters, so that no prompt or body slips in whole.
    """

    def __init__(self, stream: TextIO, clock: Clock) -> None:
        self._stream = stream
        self._clock = clock
        self._turn = threading.Lock()

    def event(self, name: str, **fields: Field) -> None:
        """See Journal.event."""
        told = {key: _checked(key, value) for key, value in fields.items()}
        line = json.dumps({"at": round(self._clock.now(), 3), "event": name, **told})
        with self._turn:
            self._stream.write(f"{line}\n")
            self._stream.flush()


class ListJournal:
    """Keeps events in `events`, for tests; as strict as the other."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Field]]] = []

    def event(self, name: str, **fields: Field) -> None:
        """See Journal.event."""
        self.events.append((name, {key: _checked(key, value) for key, value in fields.items()}))

    def named(self, name: str) -> list[dict[str, Field]]:
        """The fields of every event of that name."""
        return [fields for event, fields in self.events if event == name]


def _checked(key: str, value: object) -> Field:
    if value is not None and not isinstance(value, str | int | float):
        raise TypeError(f"{key} is {type(value).__name__}, no identifier or number")
    return value[:LONGEST] if isinstance(value, str) else value
