"""Small shared rows in SQLite: the port Cells on one machine and in the tests."""

import json
from collections.abc import Mapping
from typing import Any

from bot.domain.errors import CellMoved
from bot.local.database import Database
from bot.ports import Cell


class SqliteCells:
    """The port Cells."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self, key: str) -> Cell | None:
        """See Cells.read."""
        with self._database.reading() as connection:
            found = connection.execute("SELECT value, version FROM cells WHERE key = ?", (key,)).fetchone()
        return None if found is None else Cell(value=json.loads(found[0]), version=found[1])

    def write(self, key: str, value: Mapping[str, Any], *, expected: int) -> int:
        """See Cells.write."""
        with self._database.writing() as connection:
            found = connection.execute("SELECT version FROM cells WHERE key = ?", (key,)).fetchone()
            if (0 if found is None else found[0]) != expected:
                raise CellMoved(key)
            connection.execute(
                "INSERT OR REPLACE INTO cells (key, version, value) VALUES (?, ?, ?)",
                (key, expected + 1, json.dumps(dict(value))),
            )
        return expected + 1
