"""One person's row: today's quota and their place in the fair order."""

import dataclasses
from dataclasses import dataclass
from typing import Any, Self

from bot.domain.errors import Refused
from bot.domain.job import Job, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What is added to a person's row when a job of `day` ends, in GPU-milliseconds of either sign."""

    tenant: str
    user: str
    day: str
    held: int
    spent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """`held` and `spent` are GPU-milliseconds of `day` (UTC date); `tag` is the last job's tag.

    `version` counts holds, and 0 means the row does not exist yet. Settlements do not count: they only ever
    make room, so whoever holds next need not have seen them.
    """

    tenant: str
    user: str
    day: str = ""
    held: int = 0
    spent: int = 0
    tag: int = 0
    version: int = 0
    write_token: str = ""

    @property
    def used(self) -> int:
        """What counts against today's limit."""
        return self.held + self.spent

    def settled(self, settlement: Settlement) -> Self:
        """The row after a settlement; one of another day stays: its hold went with that day."""
        if self.version == 0 or self.day != settlement.day:
            return self
        held, spent = self.held + settlement.held, self.spent + settlement.spent
        return dataclasses.replace(self, held=held, spent=spent)

    def holding(self, wanted: Self, *, cost: int) -> Self:
        """The row after a hold of `cost` that was worked out as `wanted` before the latest settlements."""
        if self.version == 0 or self.day != wanted.day:
            return wanted
        return dataclasses.replace(wanted, held=self.held + cost, spent=self.spent)

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _FIELDS}

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> Self:
        return cls(**{name: value for name, value in row.items() if name in _FIELDS})


_FIELDS = tuple(field.name for field in dataclasses.fields(Person))


def hold(person: Person, *, cost: int, day: str, limit: int, virtual_time: int) -> Person:
    """The row after a job of `cost` was accepted.

    The new tag is max(virtual time of the queue, the person's last tag) + cost: somebody who asked for
    much waits behind somebody who asked for little, and nobody saves up a claim while away.
    Raises Refused("quota_spent") when the day's limit would be passed.
    """
    today = person if person.day == day else dataclasses.replace(person, day=day, held=0, spent=0)
    if today.used + cost > limit:
        raise Refused("quota_spent", used=today.used, limit=limit, cost=cost)
    tag = max(virtual_time, today.tag) + cost
    return dataclasses.replace(today, held=today.held + cost, tag=tag, version=person.version + 1)


def settlement_of(job: Job) -> Settlement:
    """What the end of `job` changes: a delivered picture is spent, anything else is given back."""
    spent = job.cost if job.final_outcome is Outcome.OK else 0
    return Settlement(tenant=job.tenant, user=job.person, day=job.quota_day, held=-job.cost, spent=spent)
