"""What the services need from the world, as Protocols.

Every port has an implementation in `bot/local` (and later one in `bot/aws`) that passes the same
contract suite in `tests/contracts`. Errors are those of `bot.domain.errors`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from bot.domain.job import Address, Job, Outcome
from bot.domain.person import Person, Settlement
from bot.domain.steering import Asked


class Clock(Protocol):
    def now(self) -> float:
        """Seconds since the epoch."""
        ...


class Ids(Protocol):
    def token(self) -> str:
        """A fresh token (at least 96 bits, [a-z0-9]) that names one attempt to write."""
        ...


class Randomness(Protocol):
    def seed(self) -> int:
        """A picture seed, 0..4294967295."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterChange:
    """Add `delta` to counter `key`, unless the sum would pass `ceiling` (then CeilingReached)."""

    key: str
    delta: int
    ceiling: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterRaise:
    """Lift counter `key` to `least`; one that is there or higher stays."""

    key: str
    least: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """A key that may be used once until `until` (seconds since the epoch)."""

    key: str
    until: float


class Index(StrEnum):
    """The documented queries. Rows come back whole, in index order, eventually consistent.

    DUE      every row with `next_check_at` <= upto, oldest first; no partition.
    WAITING  announced rows that are not admitted, by `tag`; `upto` limits the tag (exclusive).
    OPEN     unfinished rows of a tenant, oldest first; partition = tenant.
    PERSON   all rows of a person, newest first; partition = "tenant/user".
    """

    DUE = "due"
    WAITING = "waiting"
    OPEN = "open"
    PERSON = "person"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """`cursor` continues the query, None at its end."""

    jobs: tuple[Job, ...]
    cursor: str | None


class Jobs(Protocol):
    """Job rows, person rows and counters: everything that must change together.

    A write whose reply was lost is read back by its `write_token`: if it landed, the call succeeds.
    Raises Unavailable when nothing was written and Ambiguous when that cannot be known.
    """

    def create(self, jobs: Sequence[Job], *, person: Person, guard: Guard | None = None, now: float) -> None:
        """Write new rows, the person's row and the guard in one transaction, or nothing.

        `person` is the row after the hold, `person.version` its version then. What was settled since the
        caller looked stays settled (`Person.holding`). Raises AlreadyExists, PersonMoved (with the row as it
        is), GuardClosed.
        """
        ...

    def transition(
        self,
        after: Job,
        *,
        settlement: Settlement | None = None,
        counters: Sequence[CounterChange | CounterRaise] = (),
    ) -> None:
        """Replace the row whose version is `after.version - 1`, with settlement and counters, or nothing.

        A settlement changes the person's row as `Person.settled` does, whatever its version. Every counter
        is named at most once. Raises JobMoved, CeilingReached.
        """
        ...

    def get(self, job_id: str) -> Job | None:
        """The row, strongly consistent."""
        ...

    def person(self, tenant: str, user: str) -> Person:
        """The person's row, strongly consistent; a fresh one (version 0) when there is none."""
        ...

    def query(
        self,
        index: Index,
        *,
        partition: str = "",
        upto: float | None = None,
        limit: int,
        cursor: str | None = None,
    ) -> Page:
        """At most `limit` rows of an index, see Index."""
        ...

    def counter(self, key: str) -> int:
        """A counter's value, 0 when it was never changed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A small shared row: leases, rate budgets, settings, the queue's virtual time."""

    value: Mapping[str, Any]
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Several shared rows read at once. Cells that do not exist are left out; counters then are 0."""

    cells: Mapping[str, Cell]
    counters: Mapping[str, int]


class Cells(Protocol):
    """Versioned key-value rows for what workers share."""

    def look(self, keys: Sequence[str], *, counters: Sequence[str] = ()) -> Look:
        """Cells and counters in one read, strongly consistent each, not together; at most 50 in all."""
        ...

    def read(self, key: str) -> Cell | None:
        """The cell, strongly consistent."""
        ...

    def write(self, key: str, value: Mapping[str, Any], *, expected: int) -> int:
        """Write when the version is still `expected` (0 = absent); returns the new version.

        Raises CellMoved (which holds the cell as it is).
        """
        ...


class Objects(Protocol):
    """Immutable bytes under keys such as `out/<tenant>/<job>.out`."""

    def put(self, key: str, body: bytes) -> None:
        """Write whole or not at all; the same key with the same bytes again is fine."""
        ...

    def get(self, key: str) -> bytes | None:
        """The bytes, None when there is no such object."""
        ...

    def list(self, prefix: str) -> tuple[str, ...]:
        """Keys under a prefix, sorted; at most 100."""
        ...

    def delete(self, key: str) -> None:
        """Remove the object; a missing one is fine."""
        ...


class Queue(Protocol):
    """Hints that a job wants attention. Losing every one of them loses nothing: the sweep finds all."""

    def nudge(self, job_id: str, *, delay: float = 0.0) -> None:
        """Ask a worker to look at the job in `delay` seconds (at most 900). Raises PeerError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """One asynchronous invocation. `ordinal` is 1 or 2; `body` is the `/invocations` JSON.

    The endpoint writes to `output_key`, or to a key under `failure_prefix` that holds the job id.
    `ttl` and `timeout` are seconds from now.
    """

    job_id: str
    tenant: str
    ordinal: int
    body: bytes
    output_key: str
    failure_prefix: str
    ttl: float
    timeout: float

    @property
    def inference_id(self) -> str:
        """SageMaker's InferenceId (at most 64 characters)."""
        return f"{self.tenant}.{self.job_id}.{self.ordinal}"


class Fate(StrEnum):
    """What the endpoint knows of a submission: SageMaker never knows, one machine does."""

    UNKNOWN = "unknown"
    PENDING = "pending"
    LOST = "lost"


class Warmth(StrEnum):
    """What a waiting person should be told about the endpoint."""

    ASLEEP = "asleep"
    WAKING = "waking"
    AWAKE = "awake"
    DOWN = "down"


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointState:
    """`window` submissions may be in flight: max instances x (concurrency + backlog target + 1)."""

    name: str
    warmth: Warmth
    window: int
    model: str | None = None
    instances: int = 0
    backlog: int = 0


class Endpoint(Protocol):
    """SageMaker asynchronous inference, or what stands in for it on one machine."""

    def submit(self, submission: Submission) -> None:
        """Enqueue. Raises Busy, Unavailable (provably not enqueued), Ambiguous, Rejected."""
        ...

    def fate(self, inference_id: str) -> Fate:
        """What became of a submission without an object so far."""
        ...

    def cancel(self, inference_id: str) -> bool:
        """Stop the drawing between steps; False where that cannot be done."""
        ...

    def state(self) -> EndpointState:
        """A cached look; never raises."""
        ...


class Steering(Protocol):
    """The way to the admin function, which alone may change the endpoint's capacity."""

    def ask(self, asked: Asked) -> None:
        """Hand a command over, durably; what comes of it is told by the admin function.

        It may arrive twice, or late: its `id` and `at` tell. Raises Busy, Unavailable, Ambiguous, Rejected.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What a card says while a job is open. `place` counts people's jobs ahead (0 = next)."""

    job: Job
    endpoint: EndpointState
    place: int | None = None
    step: int | None = None
    steps: int | None = None


class Sink(Protocol):
    """Where one kind of outcome goes. The machine knows none of them; facts in the row are sink-neutral.

    All calls may raise Busy, Unavailable, Unauthorized, Ambiguous or Rejected.
    """

    def announce(self, stage: Stage) -> str:
        """Make the job visible once; returns the reference that later calls find in `announced_ref`.

        Before it raises Unauthorized it may tell the person, if it can, that the job waits; then the error's
        code is in `told` at the next try.
        """
        ...

    def find_announcement(self, job: Job) -> str | None:
        """The reference of an announcement whose reply was lost, None when there is none.

        Raises Rejected("cannot_look") where the sink has no way to know.
        """
        ...

    def show(self, stage: Stage) -> None:
        """Edit the announcement; may be skipped to stay within a rate budget."""
        ...

    def prepare(self, job: Job, pictures: Sequence[bytes]) -> tuple[str, ...]:
        """Bring the bytes near, still invisible, and return references; repeating is harmless."""
        ...

    def deliver(self, job: Job) -> None:
        """Make `job.delivery_refs` visible: the one effect that must not happen twice."""
        ...

    def delivered(self, job: Job) -> bool:
        """Whether the delivery is visible. Raises Rejected("cannot_look")."""
        ...

    def finish(self, stage: Stage) -> None:
        """Show the final outcome on the announcement; idempotent."""
        ...

    def show_original(self, job: Job, index: int, picture: bytes) -> None:
        """Show picture `index` (from 0) by itself, as it was drawn; a sink that has done so does nothing."""
        ...

    def audit(self, job: Job) -> None:
        """Look once for extra copies and remove them. Raises Rejected("cannot_look")."""
        ...

    def remove(self, job: Job) -> None:
        """Take the outcome out of sight at its owner's wish; idempotent."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A moderation decision: allowed, held for review, or refused with the rule's name."""

    allowed: bool
    held: bool = False
    rule: str | None = None


class Moderation(Protocol):
    """Rules about text and pictures. One that cannot decide raises PeerError; callers fail closed."""

    def check_prompt(self, text: str) -> Verdict: ...

    def check_picture(self, picture: bytes) -> Verdict: ...


class Journal(Protocol):
    """Structured log and counts. Fields are identifiers and codes, never prompts, names or tokens."""

    def event(self, name: str, **fields: str | float | None) -> None: ...


__all__ = [
    "Address",
    "Cell",
    "Cells",
    "Clock",
    "CounterChange",
    "CounterRaise",
    "Endpoint",
    "EndpointState",
    "Fate",
    "Guard",
    "Ids",
    "Index",
    "Jobs",
    "Journal",
    "Look",
    "Moderation",
    "Objects",
    "Outcome",
    "Page",
    "Queue",
    "Randomness",
    "Settlement",
    "Sink",
    "Stage",
    "Steering",
    "Submission",
    "Verdict",
    "Warmth",
]
