"""Small shared rows in SQLite: the port Cells on one machine and in the tests."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from bot.domain.errors import CellMoved
from bot.local.database import Database
from bot.local.sqlite_jobs import read_counter
from bot.ports import Cell, Look


class SqliteCells:
    """The port Cells."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def look(self, keys: Sequence[str], *, counters: Sequence[str] = ()) -> Look:
        """See Cells.look."""
        with self._database.reading() as connection:
            found = {key: _cell(connection, key) for key in keys}
            return Look(
                cells={key: cell for key, cell in found.items() if cell is not None},
                counters={key: read_counter(connection, key) for key in counters},
            )

    def read(self, key: str) -> Cell | None:
        """See Cells.read."""
        with self._database.reading() as connection:
            return _cell(connection, key)

    def write(self, key: str, value: Mapping[str, Any], *, expected: int) -> int:
        """See Cells.write."""
        with self._database.writing() as connection:
            current = _cell(connection, key)
            if (0 if current is None else current.version) != expected:
                raise CellMoved(key, current=current)
            connection.execute(
                "INSERT OR REPLACE INTO cells (key, version, value) VALUES (?, ?, ?)",
                (key, expected + 1, json.dumps(dict(value))),
            )
        return expected + 1


def _cell(connection: sqlite3.Connection, key: str) -> Cell | None:
    found = connection.execute("SELECT value, version FROM cells WHERE key = ?", (key,)).fetchone()
    return None if found is None else Cell(value=json.loads(found[0]), version=found[1])
