"""A deterministic world around the real services: one clock, one heap of events, faults at every call.

The services, the job table and the transition table are the product's own; the store is the SQLite
adapter in memory. The chat and the endpoint are models that remember every visible effect, so that the
checker can count them.
"""

import base64
import heapq
import io
import itertools
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from bot.domain.errors import Conflict, PeerError, Refused, Rejected, Unauthorized
from bot.domain.job import Address, Job, Outcome, SinkKind, State, state_of
from bot.domain.request import ImageRequest
from bot.domain.times import Times
from bot.http_api.callback_post import Answer
from bot.http_api.callback_sink import CallbackSink
from bot.http_api.generations import KEY, URL
from bot.http_api.keys import Keys, create
from bot.http_api.links import SignedLinks
from bot.http_api.poll_sink import PollSink
from bot.local.database import MEMORY, Database
from bot.local.journal import ListJournal
from bot.local.memory_objects import MemoryObjects
from bot.local.sqlite_cells import SqliteCells
from bot.local.sqlite_jobs import SqliteJobs
from bot.local.system import ManualClock, SeededRandomness, SequentialIds
from bot.local.word_rules import WordRules
from bot.ports import Cell, EndpointState, Fate, Index, Look, Page, Stage, Submission, Warmth
from bot.services import control
from bot.services.core import Caller, Core, Policy, Process
from bot.services.intake import Order, accept
from bot.services.rows import IN_FLIGHT, Overtaken
from bot.services.sweep import sweep
from bot.services.work import advance, take_result
from tests.simulation.faults import EFFECT, IDEMPOTENT, READ, STORE, Crash, Fault, Plan, around

TENANT = "T1"
HOOK = "https://hooks.example.com/"
TIMES = Times(queue_patience=7200.0)
SWEEP_EVERY = 33.0  # so that one falls between GRACE and the end of a stalled call
DRAW_TIME = 20.0
LATEST = 72.0  # inside GRACE
STALL = 110.0  # longer than GRACE, shorter than a lease


def _picture() -> bytes:
    held = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 30, 30)).save(held, "PNG")
    return held.getvalue()


PICTURE = _picture()
OUTPUT = json.dumps({"images": [base64.b64encode(PICTURE).decode()], "parameters": {}, "info": "{}"}).encode()
FAILURE = json.dumps({"error": {"code": "engine_error", "message": "x"}}).encode()


@dataclass(kw_only=True)
class Behaviour:
    """What the outside does on its own, beside faults at our calls."""

    lose_nudges: bool = False
    lose_events: bool = False
    repeat_events: int = 1
    vanish: frozenset[int] = frozenset()  # submissions (counted from 0) that leave no object at all
    fail: frozenset[int] = frozenset()  # submissions that leave a failure object
    share_delay: float = 0.0
    shares_lost: frozenset[int] = frozenset()  # deliveries that answer ok and never become visible
    locked_out: tuple[float, float] = (0.0, 0.0)  # seconds from the start on for which no token is taken


class World:
    """Build it with a plan, `run` it, then ask `tests.simulation.check`."""

    def __init__(self, plan: Plan, behaviour: Behaviour | None = None, *, times: Times = TIMES) -> None:
        self.plan = plan
        self.behaviour = behaviour or Behaviour()
        self.clock = ManualClock()
        self.began = self.clock.now()
        self.heap: list[tuple[float, int, Callable[[], None]]] = []
        self.order = itertools.count()
        self.boots = itertools.count()
        self.random = random.Random(plan.seed + 1)
        self.journal = ListJournal()
        database = Database(MEMORY)
        self.store = SqliteJobs(database)
        self.cell_store = SqliteCells(database)
        self.object_store = MemoryObjects()
        self.chat = Chat(self)
        self.gpu = Gpu(self)
        self.hooks: list[tuple[str, Outcome]] = []
        self.results_seen: dict[str, Outcome] = {}
        self.written: dict[str, Job] = {}
        self.changed: list[str] = []
        self._stalled = False
        self.accepted: list[str] = []
        self.unconfirmed: list[str] = []
        self.ids = SequentialIds()
        self.randomness = SeededRandomness(plan.seed)
        self.policy = Policy(times=times)
        self.key = create(self.cell_store, name="simulated", now=self.clock.now()).key
        self.core = self._core()

    def _core(self) -> Core:
        return Core(
            clock=self.clock,
            ids=self.ids,
            randomness=self.randomness,
            jobs=FaultyJobs(self),
            cells=FaultyCells(self),
            objects=FaultyObjects(self),
            queue=FaultyQueue(self),
            endpoint=self.gpu,
            sinks={
                SinkKind.SLACK_THREAD: self.chat,
                SinkKind.POLL: PollSink(),
                SinkKind.CALLBACK: self._callbacks(),
            },
            moderation=WordRules(()),
            journal=self.journal,
            policy=self.policy,
            process=Process(boot=f"b{next(self.boots)}"),
        )

    def _callbacks(self) -> CallbackSink:
        """The product's own sink; the client's address is a model that remembers what it was told."""
        links = SignedLinks(self.object_store, base="http://127.0.0.1", clock=self.clock)
        keys = Keys(FaultyCells(self), clock=self.clock, max_age=60.0)
        return CallbackSink(keys=keys, post=self._post, links=links, clock=self.clock)

    def _post(self, _url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        def hear() -> Answer:
            self.hooks.append((headers["webhook-id"], Outcome(json.loads(body)["outcome"])))
            return Answer(status=204)

        return self.call("hook.post", EFFECT, hear)

    def at(self, moment: float, action: Callable[[], None]) -> None:
        heapq.heappush(self.heap, (moment, next(self.order), action))

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        self.at(self.clock.now() + seconds, action)

    def later(self, effect: Callable[[], Any]) -> None:
        """An effect that the other side applies after the caller gave up, within GRACE."""
        self.after(self.random.uniform(5, LATEST), effect)

    def stall(self) -> None:
        """A slow call, well inside the lease: everything else that is due meanwhile happens first."""
        if self._stalled:
            return
        self._stalled = True
        end = self.clock.now() + STALL
        while self.heap and self.heap[0][0] <= end:
            moment, _, action = heapq.heappop(self.heap)
            self.clock.move_to(moment)
            action()
        self.clock.move_to(end)
        self._stalled = False

    def call(self, site: str, kinds: tuple[Any, ...], effect: Callable[[], Any]) -> Any:
        return around(self.plan, site, kinds, effect, later=self.later, stall=self.stall)

    def process(self, work: Callable[[], object]) -> None:
        """One invocation of our code; a crash ends it and the next one is a new process."""
        core = self.core
        try:
            work()
        except Crash:
            self.core = self._core() if self.core is core else self.core
        except (PeerError, Conflict, Overtaken) as error:
            self.journal.event("invocation_failed", kind=type(error).__name__)

    def imagine(
        self,
        name: str,
        *,
        user: str = "U1",
        at: float = 0.0,
        n: int = 1,
        kind: SinkKind = SinkKind.SLACK_THREAD,
    ) -> None:
        def ask() -> None:
            request = ImageRequest(
                prompt=name, width=512, height=512, n=n, steps=20, guidance=7.0, sampler="Euler"
            )
            sink = Address(
                kind=kind, parts={"channel_id": "C1", "user_id": user, URL: HOOK, KEY: self.key.id}
            )
            order = Order(request=request, source_key=name, sink=sink, guard=f"line/{name}")
            try:
                accepted = accept(self.core, Caller(tenant=TENANT, user=user), order)
            except (Refused, PeerError):
                self.unconfirmed.append(name)
            else:
                self.accepted.append(accepted.job.id)

        self.after(at, lambda: self.process(ask))

    def cancel(self, *, at: float) -> None:
        self._press(lambda me, job: control.cancel(self.core, me, job_ref=job), at=at)

    def want_original(self, *, at: float) -> None:
        self._press(lambda me, job: control.want_original(self.core, me, job_ref=job, index=0), at=at)

    def delete(self, *, at: float) -> None:
        self._press(lambda me, job: control.delete(self.core, me, job_ref=job), at=at)

    def _press(self, use: Callable[[Caller, str], object], *, at: float) -> None:
        """The person uses a control of their first job; a refusal is an answer too."""

        def ask() -> None:
            if self.accepted:
                try:
                    use(Caller(tenant=TENANT, user="U1"), self.accepted[0])
                except Refused as no:
                    self.journal.event("press_refused", code=no.code)

        self.after(at, lambda: self.process(ask))

    def run(self, *, until: float = 4 * 3600.0, faults_end: float | None = None) -> None:
        """Let time pass; faults stop at `faults_end`, sweeps never do."""
        start = self.clock.now()
        end = start + until
        self._sweep_at(start + SWEEP_EVERY)
        if faults_end is not None:
            self.at(start + faults_end, self._quiesce)
        while self.heap and self.heap[0][0] <= end:
            moment, _, action = heapq.heappop(self.heap)
            self.clock.move_to(moment)
            action()
            if _is_sweep(action) and self._is_settled():
                return

    def rows(self) -> tuple[Job, ...]:
        return (
            self.store.query(Index.PERSON, partition=f"{TENANT}/U1", limit=100).jobs
            + self.store.query(Index.PERSON, partition=f"{TENANT}/U2", limit=100).jobs
        )

    def _quiesce(self) -> None:
        self.plan.quiet = True

    def _sweep_at(self, moment: float) -> None:
        def turn() -> None:
            self.process(lambda: sweep(self.core))
            self._sweep_at(self.clock.now() + SWEEP_EVERY)

        self.at(moment, turn)

    def is_locked_out(self) -> bool:
        begins, ends = self.behaviour.locked_out
        return begins <= self.clock.now() - self.began < ends

    def watch(self, job: Job) -> None:
        """A result, once written, never changes. Here is every row as it was written last."""
        self.written[job.id] = job
        if job.result is not None:
            seen = self.results_seen.setdefault(job.id, job.result.outcome)
            if seen is not job.result.outcome:
                self.changed.append(f"{job.id}: {seen} became {job.result.outcome}")

    def _is_settled(self) -> bool:
        waiting = any(not _is_sweep(action) for _, _, action in self.heap)
        return not waiting and all(state_of(job) is State.AUDITED for job in self.written.values())


def _is_sweep(action: Callable[[], None]) -> bool:
    return action.__name__ == "turn"


class FaultyJobs:
    """The port Jobs over SQLite; a lost reply is read back by the adapter, as the port demands."""

    def __init__(self, world: World) -> None:
        self._world = world

    def create(self, jobs: Sequence[Job], **rest: Any) -> None:
        def write() -> None:
            self._world.store.create(jobs, **rest)
            for job in jobs:
                self._world.watch(job)

        self._world.call("jobs.create", STORE, write)

    def transition(self, after: Job, **rest: Any) -> None:
        def write() -> None:
            self._world.store.transition(after, **rest)
            self._world.watch(after)

        self._world.call("jobs.transition", STORE, write)

    def get(self, job_id: str) -> Job | None:
        return self._world.call("jobs.get", READ, lambda: self._world.store.get(job_id))

    def person(self, tenant: str, user: str) -> Any:
        return self._world.call("jobs.person", READ, lambda: self._world.store.person(tenant, user))

    def query(self, index: Index, **rest: Any) -> Page:
        return self._world.call("jobs.query", READ, lambda: self._world.store.query(index, **rest))

    def counter(self, key: str) -> int:
        return self._world.store.counter(key)


class FaultyCells:
    def __init__(self, world: World) -> None:
        self._world = world

    def read(self, key: str) -> Cell | None:
        return self._world.call("cells.read", READ, lambda: self._world.cell_store.read(key))

    def look(self, keys: Sequence[str], *, counters: Sequence[str] = ()) -> Look:
        return self._world.call(
            "cells.look", READ, lambda: self._world.cell_store.look(keys, counters=counters)
        )

    def write(self, key: str, value: Mapping[str, Any], *, expected: int) -> int:
        return self._world.call(
            "cells.write", STORE, lambda: self._world.cell_store.write(key, value, expected=expected)
        )


class FaultyObjects:
    def __init__(self, world: World) -> None:
        self._world = world

    def put(self, key: str, body: bytes) -> None:
        self._world.call("objects.put", IDEMPOTENT, lambda: self._world.object_store.put(key, body))

    def get(self, key: str) -> bytes | None:
        return self._world.call("objects.get", READ, lambda: self._world.object_store.get(key))

    def list(self, prefix: str) -> tuple[str, ...]:
        return self._world.call("objects.list", READ, lambda: self._world.object_store.list(prefix))

    def delete(self, key: str) -> None:
        self._world.object_store.delete(key)


class FaultyQueue:
    def __init__(self, world: World) -> None:
        self._world = world

    def nudge(self, job_id: str, *, delay: float = 0.0) -> None:
        world = self._world

        def send() -> None:
            if not world.behaviour.lose_nudges:
                world.after(delay + 0.1, lambda: world.process(lambda: advance(world.core, job_id)))

        world.call("queue.nudge", STORE, send)


@dataclass(kw_only=True)
class Card:
    job: str
    shows: list[Outcome | None] = field(default_factory=list)


class Chat:
    """A chat that keeps every card and every delivered file, and applies late what was sent late."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.cards: dict[str, Card] = {}
        self.uploads: dict[str, str] = {}
        self.deliveries: list[tuple[str, str, float]] = []
        self.whispers: list[str] = []
        self.originals: set[tuple[str, int]] = set()
        self.refusals = 0
        self._refs = itertools.count()
        self._deliver_calls = itertools.count()

    def _call(self, site: str, kinds: tuple[Fault, ...], effect: Callable[[], Any]) -> Any:
        if self._world.is_locked_out():
            self.refusals += 1
            raise Unauthorized("simulated")
        return self._world.call(site, (*kinds, Fault.UNAUTHORIZED), effect)

    def announce(self, stage: Stage) -> str:
        def post() -> str:
            ref = f"card{next(self._refs)}"
            self.cards[ref] = Card(job=stage.job.id, shows=[stage.job.final_outcome])
            return ref

        return self._call("chat.announce", EFFECT, post)

    def find_announcement(self, job: Job) -> str | None:
        def find() -> str | None:
            return next((ref for ref, card in self.cards.items() if card.job == job.id), None)

        return self._call("chat.find", READ, find)

    def show(self, stage: Stage) -> None:
        def edit() -> None:
            if stage.job.announced_ref in self.cards:
                self.cards[stage.job.announced_ref].shows.append(stage.job.final_outcome)

        self._call("chat.show", IDEMPOTENT, edit)

    def prepare(self, job: Job, pictures: Sequence[bytes]) -> tuple[str, ...]:
        def upload() -> tuple[str, ...]:
            ref = f"file{next(self._refs)}"
            self.uploads[ref] = job.id
            return (ref,)

        return self._call("chat.prepare", IDEMPOTENT, upload)

    def deliver(self, job: Job) -> None:
        number = next(self._deliver_calls)

        def complete() -> None:
            if number not in self._world.behaviour.shares_lost:
                visible_at = self._world.clock.now() + self._world.behaviour.share_delay
                self.deliveries.append((job.id, job.delivery_refs[0], visible_at))

        self._call("chat.deliver", EFFECT, complete)

    def delivered(self, job: Job) -> bool:
        def look() -> bool:
            now = self._world.clock.now()
            return any(ref in job.delivery_refs and at <= now for _, ref, at in self.deliveries)

        return self._call("chat.delivered", READ, look)

    def finish(self, stage: Stage) -> None:
        if stage.job.announced_ref is None:
            self.whispers.append(stage.job.id)
            return
        self._call("chat.finish", IDEMPOTENT, lambda: self._finish(stage))

    def _finish(self, stage: Stage) -> None:
        self.cards[stage.job.announced_ref or ""].shows.append(stage.job.final_outcome)

    def show_original(self, job: Job, index: int, picture: bytes) -> None:
        self._call("chat.original", IDEMPOTENT, lambda: self.originals.add((job.id, index)))

    def audit(self, job: Job) -> None:
        raise Rejected("cannot_look")

    def remove(self, job: Job) -> None:
        self._call("chat.remove", IDEMPOTENT, lambda: self._remove(job))

    def _remove(self, job: Job) -> None:
        self.deliveries = [item for item in self.deliveries if item[0] != job.id]
        self.originals = {item for item in self.originals if item[0] != job.id}


class Gpu:
    """SageMaker's promises: objects under known keys or none at all, events that may be lost or repeated."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.ran: dict[str, int] = {}
        self._submissions = itertools.count()

    def submit(self, submission: Submission) -> None:
        self._world.call("endpoint.submit", EFFECT, lambda: self._enqueue(submission))

    def _enqueue(self, submission: Submission) -> None:
        number = next(self._submissions)
        if number not in self._world.behaviour.vanish:
            self._world.after(DRAW_TIME, lambda: self._draw(submission, number))

    def _draw(self, submission: Submission, number: int) -> None:
        self.ran[submission.job_id] = self.ran.get(submission.job_id, 0) + 1
        store = self._world.object_store
        if number in self._world.behaviour.fail:
            store.put(f"{submission.failure_prefix}-error.out", FAILURE)
        elif store.get(submission.output_key) is None:
            store.put(submission.output_key, OUTPUT)
        if not self._world.behaviour.lose_events:
            for copy in range(self._world.behaviour.repeat_events):
                self._world.after(1.0 + 40.0 * copy, lambda: self._event(submission.job_id))

    def _event(self, job_id: str) -> None:
        self._world.process(lambda: take_result(self._world.core, job_id))

    def fate(self, inference_id: str) -> Fate:
        return Fate.UNKNOWN

    def cancel(self, inference_id: str) -> bool:
        return False

    def state(self) -> EndpointState:
        return EndpointState(name="sim", warmth=Warmth.AWAKE, window=2)


def in_flight(world: World) -> int:
    return world.store.counter(IN_FLIGHT)
