"""What every implementation of the port Cells promises. Another one adds a parameter to `cells`."""

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bot.aws.dynamo_cells import DynamoCells
from bot.domain.errors import CellMoved
from bot.local.database import MEMORY, Database
from bot.local.sqlite_cells import SqliteCells
from bot.local.system import SequentialIds
from bot.ports import Cell, Cells, Look
from tests.aws.cloud import Cloud


@pytest.fixture(params=["sqlite_file", "sqlite_memory", "dynamodb"])
def cells(request) -> Cells:
    store: Cells = request.getfixturevalue(request.param)
    return store


@pytest.fixture
def sqlite_file(tmp_path: Path) -> Iterator[Cells]:
    with closing(Database(tmp_path / "jobs.db")) as database:
        yield SqliteCells(database)


@pytest.fixture
def sqlite_memory() -> Iterator[Cells]:
    with closing(Database(MEMORY)) as database:
        yield SqliteCells(database)


@pytest.fixture
def dynamodb(cloud: Cloud) -> Cells:
    return DynamoCells(cloud.clients, table=cloud.make_table(), ids=SequentialIds())


def test_a_cell_nobody_wrote_is_none(cells: Cells):
    assert cells.read("lease") is None


def test_a_written_cell_is_read_back_with_its_version(cells: Cells):
    value = {"owner": "boot-1", "until": 12.5, "names": ["ä", "\ud800"], "none": None}
    assert cells.write("lease", value, expected=0) == 1
    assert cells.read("lease") == Cell(value=value, version=1)


def test_every_write_makes_the_next_version(cells: Cells):
    version = 0
    for number in range(3):
        version = cells.write("lease", {"number": number}, expected=version)
    assert cells.read("lease") == Cell(value={"number": 2}, version=3)


@pytest.mark.parametrize("expected", [0, 2])
def test_a_cell_that_moved_is_left_alone(cells: Cells, expected: int):
    cells.write("lease", {"owner": "one"}, expected=0)
    with pytest.raises(CellMoved) as moved:
        cells.write("lease", {"owner": "two"}, expected=expected)
    assert moved.value.current == Cell(value={"owner": "one"}, version=1)
    assert cells.read("lease") == Cell(value={"owner": "one"}, version=1)


def test_a_cell_expected_but_absent_has_moved(cells: Cells):
    with pytest.raises(CellMoved) as moved:
        cells.write("lease", {"owner": "one"}, expected=1)
    assert moved.value.current is None


def test_one_look_brings_cells_and_counters(cells: Cells):
    cells.write("lease", {"owner": "one"}, expected=0)
    cells.write("budget", {"left": 3}, expected=0)
    look = cells.look(("lease", "nobody"), counters=("never",))
    assert look == Look(cells={"lease": Cell(value={"owner": "one"}, version=1)}, counters={"never": 0})


def test_cells_do_not_touch_each_other(cells: Cells):
    cells.write("lease", {"owner": "one"}, expected=0)
    cells.write("budget", {"left": 3}, expected=0)
    assert cells.read("lease") == Cell(value={"owner": "one"}, version=1)


def test_of_many_at_once_exactly_one_takes_the_lease(cells: Cells):
    start = threading.Barrier(8)
    winners: list[int] = []

    def take(owner: int) -> None:
        start.wait()
        try:
            cells.write("lease", {"owner": owner}, expected=0)
        except CellMoved:
            return
        winners.append(owner)

    threads = [threading.Thread(target=take, args=(owner,)) for owner in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cells.read("lease") == Cell(value={"owner": winners[0]}, version=1)
    assert len(winners) == 1
