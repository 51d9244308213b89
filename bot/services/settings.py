"""Settings that admins change while the service runs, and what else every worker looks at now and then.

They live in shared rows that one read brings together. A process remembers them for `Times.settings_for`
seconds, so the accept path seldom reads at all; a pause is seen everywhere within that time.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bot.domain.errors import CellMoved
from bot.domain.prompt.catalogue import Release
from bot.domain.prompt.release_file import read_release
from bot.domain.times import Times
from bot.ports import Cell, Cells, Look

SETTINGS = "settings"
ENDPOINT = "endpoint"
CATALOGUE = "catalogue"
VIRTUAL_TIME = "virtual_time"
"""The counter that holds the highest tag admitted so far, in GPU-milliseconds."""

_TRIES = 8

Edit = Callable[[Mapping[str, Any]], Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`paused` holds the reason people are told; `virtual_time` is the highest tag admitted so far."""

    paused: str | None = None
    virtual_time: int = 0


class Bulletin:
    """The shared rows as this process saw them last."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._look: Look | None = None
        self._seen_at = 0.0
        self._release: tuple[Cell, Release] | None = None

    def look(self, cells: Cells, *, now: float, times: Times) -> Look:
        """The rows, at most `times.settings_for` seconds old. Raises PeerError."""
        with self._turn:
            if self._look is None or not 0 <= now - self._seen_at < times.settings_for:
                self._look = cells.look((SETTINGS, ENDPOINT, CATALOGUE), counters=(VIRTUAL_TIME,))
                self._seen_at = now
            return self._look

    def settings(self, cells: Cells, *, now: float, times: Times) -> Settings:
        """What admins have set. Raises PeerError."""
        look = self.look(cells, now=now, times=times)
        paused = _value(look.cells.get(SETTINGS)).get("paused")
        return Settings(paused=paused, virtual_time=look.counters.get(VIRTUAL_TIME, 0))

    def endpoint(self, cells: Cells, *, now: float, times: Times) -> Mapping[str, Any] | None:
        """What was last written about the endpoint, None when nothing was. Raises PeerError."""
        cell = self.look(cells, now=now, times=times).cells.get(ENDPOINT)
        return None if cell is None else cell.value

    def release(self, cells: Cells, *, now: float, times: Times) -> Release | None:
        """The model files behind the endpoint, None while nobody has told. Raises PeerError."""
        cell = self.look(cells, now=now, times=times).cells.get(CATALOGUE)
        if cell is None or "files" not in cell.value:
            return None
        read = self._release
        if read is None or read[0].version != cell.version:
            self._release = read = cell, read_release(cell.value)
        return read[1]

    def forget(self) -> None:
        """Look again the next time: this process has changed something."""
        with self._turn:
            self._look = None


def change(cells: Cells, key: str, edit: Edit) -> None:
    """Read, edit and write a cell until no other writer was faster. Raises CellMoved after 8 tries."""
    cell = cells.read(key)
    for attempt in range(_TRIES):
        try:
            cells.write(key, edit(_value(cell)), expected=cell.version if cell else 0)
        except CellMoved as moved:
            if attempt == _TRIES - 1:
                raise
            cell = moved.current
        else:
            return


def _value(cell: Cell | None) -> Mapping[str, Any]:
    return cell.value if cell is not None else {}
