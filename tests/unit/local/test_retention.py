import dataclasses

import pytest

from bot.domain.errors import Unavailable
from bot.domain.job import failure_prefix, output_key, picture_key
from bot.domain.person import Person
from bot.domain.times import DAY
from bot.local.database import MEMORY, Database
from bot.local.journal import ListJournal
from bot.local.memory_objects import MemoryObjects
from bot.local.retention import Retention
from bot.local.sqlite_jobs import SqliteJobs
from tests.factories import NOW, make_job, make_result

LATER = NOW + 91 * DAY


@pytest.fixture
def database():
    return Database(MEMORY)


@pytest.fixture
def objects():
    return MemoryObjects()


def keep(database, objects, job):
    """A job with everything the store ever holds for it."""
    SqliteJobs(database).create([job], person=Person(tenant="T1", user="U1", version=1), now=NOW)
    for key in (output_key(job), f"{failure_prefix(job)}-error.out", picture_key(job, "1")):
        objects.put(key, b"x")
    return job


def forget(database, objects, now=LATER):
    return Retention(database, objects, ListJournal(), seconds=90 * DAY).forget(now)


DONE = make_job(result=make_result(), done_at=NOW, audited_at=NOW, next_check_at=None)


def test_an_old_job_goes_with_its_prompt_and_pictures(database, objects):
    keep(database, objects, DONE)

    assert forget(database, objects) == 1
    assert SqliteJobs(database).get(DONE.id) is None
    assert objects.list("") == ()


@pytest.mark.parametrize(
    ("job", "now"),
    [(DONE, NOW + 89 * DAY), (dataclasses.replace(DONE, audited_at=None, next_check_at=NOW), LATER)],
    ids=["young", "unfinished"],
)
def test_young_and_unfinished_jobs_stay(database, objects, job, now):
    keep(database, objects, job)

    assert forget(database, objects, now) == 0
    assert SqliteJobs(database).get(job.id) == job
    assert len(objects.list("")) == 3


def test_what_could_not_be_removed_is_tried_again(database):
    class Stuck(MemoryObjects):
        stuck = True

        def delete(self, key):
            if self.stuck:
                raise Unavailable("EIO")
            super().delete(key)

    objects = Stuck()
    keep(database, objects, DONE)
    with pytest.raises(Unavailable):
        forget(database, objects)
    assert SqliteJobs(database).get(DONE.id) is not None, "the row goes last"

    objects.stuck = False
    assert forget(database, objects) == 1
