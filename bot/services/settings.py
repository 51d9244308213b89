"""Settings that admins change while the service runs.

They live in one cell, so the accept path reads one small row; `paused` holds the reason people are told.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bot.domain.errors import CellMoved
from bot.ports import Cell, Cells

SETTINGS = "settings"
QUEUE = "queue"
_TRIES = 8

Edit = Callable[[Mapping[str, Any]], Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`virtual_time` is the tag of the job admitted last, in GPU-milliseconds."""

    paused: str | None = None
    virtual_time: int = 0


def read_settings(cells: Cells) -> Settings:
    """Settings as they are now."""
    return Settings(
        paused=_value(cells.read(SETTINGS)).get("paused"),
        virtual_time=int(_value(cells.read(QUEUE)).get("virtual_time", 0)),
    )


def set_paused(cells: Cells, reason: str | None) -> None:
    """Pause new jobs with a reason, or resume with None."""
    change(cells, SETTINGS, lambda value: {**value, "paused": reason})


def pass_virtual_time(cells: Cells, tag: int) -> None:
    """Move the queue's virtual time forward to `tag`; it never goes back."""
    current = cells.read(QUEUE)
    if int(_value(current).get("virtual_time", 0)) < tag:
        change(cells, QUEUE, lambda value: {"virtual_time": max(tag, int(value.get("virtual_time", 0)))})


def change(cells: Cells, key: str, edit: Edit) -> None:
    """Read, edit and write a cell until no other writer was faster. Raises CellMoved after 8 tries."""
    for attempt in range(_TRIES):
        cell = cells.read(key)
        try:
            cells.write(key, edit(_value(cell)), expected=cell.version if cell else 0)
        except CellMoved:
            if attempt == _TRIES - 1:
                raise
        else:
            return


def _value(cell: Cell | None) -> Mapping[str, Any]:
    return cell.value if cell is not None else {}
