"""Small shared rows in DynamoDB: the port Cells on AWS."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bot.aws.clients import Clients
from bot.aws.dynamo_items import (
    Item,
    cell_from,
    cell_key,
    counter_from,
    counter_key,
    text_of,
    version_of,
    write_cell,
)
from bot.aws.dynamo_table import DynamoTable
from bot.domain.errors import Ambiguous, CellMoved, PeerError
from bot.ports import Cell, Ids, Look


class DynamoCells:
    """The port Cells, in the table of the jobs. `ids` names each write, so that a lost reply can be told.

    `pause` waits between attempts at a cell that somebody else is writing, some 40 ms in all.
    """

    def __init__(
        self, clients: Clients, *, table: str, ids: Ids, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._table = DynamoTable(clients, name=table, pause=pause)
        self._ids = ids

    def look(self, keys: Sequence[str], *, counters: Sequence[str] = ()) -> Look:
        """See Cells.look. One BatchGetItem."""
        wanted = [*map(cell_key, keys), *map(counter_key, counters)]
        found = self._table.look(wanted)
        return Look(
            cells={key: cell_from(found[cell_key(key)]) for key in keys if cell_key(key) in found},
            counters={key: counter_from(found.get(counter_key(key))) for key in counters},
        )

    def read(self, key: str) -> Cell | None:
        """See Cells.read."""
        return _cell(self._table.get(cell_key(key)))

    def write(self, key: str, value: Mapping[str, Any], *, expected: int) -> int:
        """See Cells.write. Raises Ambiguous when the reply was lost and the write may still come."""
        token = self._ids.token()
        try:
            reasons = self._table.commit(
                [write_cell(key, value, expected=expected, token=token)], token=token
            )
        except Ambiguous as lost:
            if not self._has_landed(key, expected, token, lost):
                raise
            return expected + 1
        if reasons:
            raise CellMoved(key, current=_cell(reasons[0].item))
        return expected + 1

    def _has_landed(self, key: str, expected: int, token: str, lost: Ambiguous) -> bool:
        """Whether the cell is what this very write left. Raises CellMoved when it can no longer land."""
        try:
            found = self._table.get(cell_key(key))
        except PeerError as error:
            raise lost from error
        version = 0 if found is None else version_of(found)
        if found is not None and version == expected + 1 and text_of(found, "write_token") == token:
            return True
        if version != expected:
            raise CellMoved(key, current=_cell(found))
        return False


def _cell(found: Item | None) -> Cell | None:
    return None if found is None else cell_from(found)
