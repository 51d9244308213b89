"""What a scenario sees of a world through its ports; the same for every adapter set."""

from bot.domain.job import Job
from bot.ports import Index
from bot.services.core import Core
from tests.scenarios.stack import YOU

TEAM = "T0000000001"


class Looking:
    """`_looking` is a Core to look through."""

    _looking: Core

    def jobs(self, user: str = YOU) -> list[Job]:
        """A person's rows, oldest first."""
        page = self._looking.jobs.query(Index.PERSON, partition=f"{TEAM}/{user}", limit=50)
        return list(reversed(page.jobs))

    def object_bytes(self, key: str) -> bytes | None:
        return self._looking.objects.get(key)

    def put_object(self, key: str, body: bytes) -> None:
        self._looking.objects.put(key, body)

    def gpu_time_used(self, user: str = YOU) -> int:
        """GPU-milliseconds that count against the person's day."""
        return self._looking.jobs.person(TEAM, user).used

    def in_flight(self) -> int:
        """Places of the endpoint's window that are taken."""
        return self._looking.jobs.counter("in_flight")
