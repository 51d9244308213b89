"""What every use case is given: the ports, the rules and who is asking."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bot.domain.job import Job, SinkKind
from bot.domain.prices import Rate
from bot.domain.prompt.catalogue import Catalogue
from bot.domain.request import Caps, Defaults
from bot.domain.times import Times
from bot.ports import (
    Cells,
    Clock,
    Endpoint,
    Ids,
    Jobs,
    Journal,
    Moderation,
    Objects,
    Queue,
    Randomness,
    Sink,
    Steering,
)
from bot.services.people import People
from bot.services.settings import Bulletin, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The team's rules. `daily_limit` (a person, a UTC day) and `month_ceiling` are GPU-milliseconds."""

    times: Times = field(default_factory=Times)
    defaults: Defaults = field(default_factory=Defaults)
    caps: Caps = field(default_factory=Caps)
    catalogue: Catalogue = field(default_factory=Catalogue)
    rate: Rate = field(default_factory=Rate)
    daily_limit: int = 3_600_000
    month_ceiling: int | None = None
    vary_strength: float = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """Who holds a lease. `alone` means no other process works on these rows, so a foreign lease is dead."""

    boot: str
    alone: bool = False

    def outlived(self, owner: str) -> bool:
        """True when the owner's process provably no longer runs."""
        return self.alone and not owner.startswith(f"{self.boot}:")


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A verified person or API key: tenant and user come from the authorised context, never from a body.

    `daily_limit` is GPU-milliseconds a UTC day, None for what the team's rules give everybody.
    """

    tenant: str
    user: str
    is_admin: bool = False
    daily_limit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """The ports and rules that use cases take as their first argument.

    `steering` is None where the endpoint is this machine's own server, whose capacity nobody steers, and in
    functions that may not ask for it.
    """

    clock: Clock
    ids: Ids
    randomness: Randomness
    jobs: Jobs
    cells: Cells
    objects: Objects
    queue: Queue
    endpoint: Endpoint
    sinks: Mapping[SinkKind, Sink]
    moderation: Moderation
    journal: Journal
    policy: Policy
    process: Process

    steering: Steering | None = None
    bulletin: Bulletin = field(default_factory=Bulletin)
    people: People = field(default_factory=People)

    @property
    def settings(self) -> Settings:
        """What admins have set, at most `Times.settings_for` seconds old. Raises PeerError."""
        return self.bulletin.settings(self.cells, now=self.clock.now(), times=self.times)

    def sink(self, job: Job) -> Sink:
        """The adapter that shows this job's outcome."""
        return self.sinks[job.sink.kind]

    @property
    def times(self) -> Times:
        return self.policy.times


Refit = Callable[[Core], Core]
"""Changes the rules, or puts something in front of the ports, before anything runs: for tests and drills."""


def as_built(core: Core) -> Core:
    """The refit that changes nothing."""
    return core
