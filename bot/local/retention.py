"""Forgetting: rows, prompts and pictures go together once their time is over.

On AWS the table's time-to-live and the bucket's lifecycle rules do this; here somebody has to.
"""

import json

from bot.domain.job import Job, failure_prefix, output_key
from bot.local.database import Database
from bot.ports import Journal, Objects

BATCH = 100


class Retention:
    """Removes finished jobs older than `seconds`, with everything that was stored for them."""

    def __init__(self, database: Database, objects: Objects, journal: Journal, *, seconds: float) -> None:
        self._database = database
        self._objects = objects
        self._journal = journal
        self._seconds = seconds

    def forget(self, now: float) -> int:
        """Objects first, then the row: what is interrupted is found again. Raises PeerError.

        Returns how many jobs went; those that still have a timer are left alone, however old.
        """
        old = self._finished(before=now - self._seconds)
        for job in old:
            self._forget_objects(job)
            with self._database.writing() as connection:
                connection.execute("DELETE FROM jobs WHERE id = ? AND next_check_at IS NULL", (job.id,))
        if old:
            self._journal.event("forgotten", jobs=len(old))
        return len(old)

    def _finished(self, *, before: float) -> list[Job]:
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT row FROM jobs WHERE accepted_at < ? AND next_check_at IS NULL LIMIT ?",
                (before, BATCH),
            ).fetchall()
        return [Job.from_json(json.loads(row)) for (row,) in rows]

    def _forget_objects(self, job: Job) -> None:
        keys = [output_key(job), *self._objects.list(failure_prefix(job))]
        for key in (*keys, *self._objects.list(f"images/{job.tenant}/{job.id}/")):
            self._objects.delete(key)
