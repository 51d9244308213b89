"""The job row: what was asked, and the facts that were written about it since.

A job has no stored status. Its state is derived from its facts (`state_of`), so a crash between an
effect and the write after it leaves an intent without a fact, which is exactly what happened.
"""

import base64
import dataclasses
import hashlib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

from bot.domain.request import Defaults, ImageRequest


class State(StrEnum):
    """Where a job stands; see `transitions.TRANSITIONS` for the ways between."""

    ACCEPTED = "accepted"
    ANNOUNCED = "announced"
    ADMITTED = "admitted"
    SUBMITTED = "submitted"
    HELD = "held"
    RESOLVED = "resolved"
    DELIVERING = "delivering"
    DONE = "done"
    AUDITED = "audited"

    @property
    def is_open(self) -> bool:
        """True while a person still waits for the outcome."""
        return self not in (State.DONE, State.AUDITED)


class Outcome(StrEnum):
    """The closed set of ways a job can end. What people read for each stands in `messages.OUTCOMES`."""

    OK = "ok"
    CANCELLED = "cancelled"
    PURGED = "purged"
    WAITED_TOO_LONG = "waited_too_long"
    TIMED_OUT = "timed_out"
    INTERRUPTED = "interrupted"
    ENGINE_FAILED = "engine_failed"
    ENGINE_REFUSED = "engine_refused"
    OUT_OF_MEMORY = "out_of_memory"
    UNKNOWN_MODEL = "unknown_model"
    BAD_PICTURE = "bad_picture"
    BLOCKED = "blocked"
    NOT_REVIEWED = "not_reviewed"
    ENDPOINT_DOWN = "endpoint_down"
    BUDGET_SPENT = "budget_spent"
    CANNOT_POST = "cannot_post"
    CANNOT_DELIVER = "cannot_deliver"


class SinkKind(StrEnum):
    """Where an outcome goes. Each kind is one adapter that passes the sink contract suite."""

    SLACK_THREAD = "slack_thread"
    FOLDER = "folder"
    POLL = "poll"
    CALLBACK = "callback"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where one job's outcome goes; `parts` means something to the sink of that kind only."""

    kind: SinkKind
    parts: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A verified picture in the object store. Sizes are pixels, `sha256` is of the stored bytes."""

    key: str
    seed: int
    width: int
    height: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of the drawing. `pictures` is empty unless the outcome is OK.

    `gpu_seconds` is the time the endpoint reported, or our estimate where it reported none.
    """

    outcome: Outcome
    at: float
    pictures: tuple[Picture, ...] = ()
    model: str | None = None
    unknown_words: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    gpu_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One row. Times are seconds since the epoch; `cost` and `tag` are GPU-milliseconds.

    `told` is what the person was told last about waiting, on the card or before there is one, so that it is
    said again only when that changed.
    `tag` is the start-time tag that orders people fairly: the place in the queue is the number of
    waiting jobs with a smaller one. `version` counts writes and is the fence of every transition;
    `write_token` names the write that made this version, so a lost reply can be told from a lost race.
    """

    id: str
    tenant: str
    person: str
    sink: Address
    request: ImageRequest
    cost: int
    tag: int
    accepted_at: float
    patience_until: float
    quota_day: str
    parent: str | None = None
    notes: tuple[str, ...] = ()

    announcements: int = 0
    announce_intent_at: float | None = None
    announced_ref: str | None = None
    admitted_at: float | None = None
    submissions: int = 0
    submitted_at: float | None = None
    held: Result | None = None
    hold_until: float | None = None
    result: Result | None = None
    delivery_refs: tuple[str, ...] = ()
    deliveries: int = 0
    deliver_intent_at: float | None = None
    delivered_at: float | None = None
    undelivered: Outcome | None = None
    done_at: float | None = None
    audited_at: float | None = None
    deleted_at: float | None = None
    removed_at: float | None = None
    originals_wanted: tuple[int, ...] = ()
    originals_shown: tuple[int, ...] = ()

    told: str = ""
    attempts: int = 0
    lease_owner: str | None = None
    lease_until: float = 0.0
    next_check_at: float | None = None
    version: int = 0
    write_token: str = ""

    @property
    def final_outcome(self) -> Outcome | None:
        """The one outcome a person sees, None while there is none."""
        if self.undelivered is not None:
            return self.undelivered
        return self.result.outcome if self.result is not None else None

    def to_json(self) -> dict[str, Any]:
        """The row as JSON-ready values; `from_json` is its inverse."""
        row = {name: getattr(self, name) for name in _FIELDS}
        row["request"] = self.request.to_json()
        row["sink"] = {"kind": self.sink.kind, "parts": self.sink.parts}
        row["held"] = None if self.held is None else dataclasses.asdict(self.held)
        row["result"] = None if self.result is None else dataclasses.asdict(self.result)
        return row

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> Self:
        """Read a row written by this version or an older or newer one: unknown keys are ignored."""
        values = {name: value for name, value in row.items() if name in _FIELDS}
        values["request"] = ImageRequest.from_json(row["request"], defaults=Defaults())
        values["sink"] = Address(kind=SinkKind(row["sink"]["kind"]), parts=dict(row["sink"]["parts"]))
        values["held"] = _result(row.get("held"))
        values["result"] = _result(row.get("result"))
        for name in ("notes", "delivery_refs", "originals_wanted", "originals_shown"):
            values[name] = tuple(row.get(name, ()))
        undelivered = row.get("undelivered")
        values["undelivered"] = Outcome(undelivered) if undelivered else None
        return cls(**values)


_FIELDS = frozenset(f.name for f in dataclasses.fields(Job))


def state_of(job: Job) -> State:
    """Derive the state from the facts, latest fact first."""
    if job.audited_at is not None:
        return State.AUDITED
    if job.done_at is not None:
        return State.DONE
    if job.result is not None:
        return State.RESOLVED if job.deliver_intent_at is None else State.DELIVERING
    if job.held is not None:
        return State.HELD
    if job.submissions > 0:
        return State.SUBMITTED
    if job.admitted_at is not None:
        return State.ADMITTED
    return State.ACCEPTED if job.announced_ref is None else State.ANNOUNCED


def job_id(tenant: str, source_key: str, ordinal: int = 0) -> str:
    """26 characters of lower-case base32 SHA-256: the same command always names the same job.

    26 characters fit SageMaker's `Filename` (at most 32 characters, `<job>.out`).
    """
    digest = hashlib.sha256(f"{tenant}\x00{source_key}\x00{ordinal}".encode()).digest()
    return base64.b32encode(digest).decode().lower()[:26]


def output_key(job: Job) -> str:
    """Where the endpoint writes the success object, known from the job alone."""
    return f"out/{job.tenant}/{job.id}.out"


def failure_prefix(job: Job) -> str:
    """Failure objects are matched by prefix and job id, never by a guessed name."""
    return f"failed/{job.tenant}/{job.id}"


def picture_key(job: Job, name: str) -> str:
    """Pictures lie beside each other, one folder a job."""
    return f"images/{job.tenant}/{job.id}/{name}.png"


def _result(row: dict[str, Any] | None) -> Result | None:
    if row is None:
        return None
    known = {f.name for f in dataclasses.fields(Result)}
    values = {name: value for name, value in row.items() if name in known}
    values["outcome"] = Outcome(row["outcome"])
    values["pictures"] = tuple(Picture(**picture) for picture in row["pictures"])
    values["unknown_words"] = tuple(row.get("unknown_words", ()))
    values["notes"] = tuple(row.get("notes", ()))
    return Result(**values)
