"""Faults on the wire between the deployed functions and AWS: each accepted job has one visible outcome."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from infra.rehearsal.microburst import Met, Rule, Wire
from infra.rehearsal.outages import nudges_again_at_once, variables
from infra.rehearsal.rows import Rows
from infra.rehearsal.stage import STAGE, NotSeen, Stage
from infra.rehearsal.story.opening import until_opened
from infra.rehearsal.wire import wired

ON_THE_WAY = ("slack", "worker", "result")
"""The functions that a drawing needs."""

SWEPT = 240.0
"""Seconds until the sweep has found whatever a lost nudge has left."""

NUDGE: Met = ("sqs", "SendMessage")
REPLY_LOST = {"response": {"abort_bytes": 0}}
BROKEN_OFF = {"response": {"truncate_frac": 0.5}}
HANGS = {"timeout_ms": 3000}
"""Longer than a function waits."""

HANDING_OVER: Sequence[Rule] = (
    {"service": "dynamodb", "operation": "TransactWriteItems", "times": 1, **REPLY_LOST},
    {"service": "s3", "operation": "PutObject", "times": 1, **HANGS},
    {"service": "s3", "operation": "GetObject", "times": 1, **BROKEN_OFF},
    {"service": "sagemaker", "times": 1, **REPLY_LOST},
)
TURNED_AWAY: Sequence[Rule] = (
    {"service": "sqs", "operation": "SendMessage", "times": 1, "reset": True},
    {
        "service": "dynamodb",
        "operation": "UpdateItem",
        "times": 1,
        "error": {"code": "ThrottlingException", "status": 400},
    },
    {"service": "s3", "operation": "PutObject", "times": 1, "error": {"code": "SlowDown", "status": 503}},
)


def play(stage: Stage, rows: Rows) -> None:
    """Raises what a step raises."""
    with ExitStack() as wires:
        with rows("microburst between the functions and AWS"):
            wire = wires.enter_context(wired(stage.region, log=stage.report.parent / "microburst.log"))
            wires.enter_context(_through(stage, wire))
            until_opened(stage, stage.signing.secret)
        with rows("replies lost, an upload that hangs, a body cut short") as row:
            row.fact = _ends_well(stage, wire, HANDING_OVER, seed=71)
        with rows("a reset, a throttle, a 503") as row:
            row.fact = _ends_well(stage, wire, TURNED_AWAY, seed=72)


@contextmanager
def _through(stage: Stage, wire: Wire) -> Iterator[None]:
    """Functions find AWS behind the wire."""
    with ExitStack() as changed:
        for function in ON_THE_WAY:
            changed.enter_context(
                variables(stage, function, lambda deployed: {**deployed, "AWS_ENDPOINT_URL": wire.url})
            )
        changed.enter_context(nudges_again_at_once(stage))
        yield


def _ends_well(stage: Stage, wire: Wire, rules: Sequence[Rule], *, seed: int) -> str:
    """Each fault has happened, and the one job has one card with one picture. Raises NotSeen."""
    number, before = len(stage.slack.messages()), stage.job_ids()
    wanted: set[Met] = {(rule["service"], rule.get("operation")) for rule in rules}
    wire.rules(rules)
    try:
        job = stage.accept(f"a red apple --steps 10 --seed {seed}")
        _nudge_where_lost(stage, wire, wanted, job)
        stage.until(lambda: wanted <= set(wire.fired()), what=f"all of {wanted}", patience=SWEPT)
    finally:
        wire.rules([])
    card = stage.ended(stage.card(number))
    jobs, cards, pictures = stage.job_ids() - before, stage.slack.messages()[number:], stage.files(card)
    if not len(jobs) == len(cards) == len(pictures) == 1:
        raise NotSeen(f"{len(jobs)} jobs, {len(cards)} cards, {len(pictures)} pictures")
    return "each happened: " + ", ".join(
        sorted(f"{service} {operation or ''}".rstrip() for service, operation in wanted)
    )


def _nudge_where_lost(stage: Stage, wire: Wire, wanted: set[Met], job: str) -> None:
    """Without its nudge the job waits for the sweep, a minute; whoever looks after the stage need not."""
    if NUDGE in wanted:
        stage.until(lambda: NUDGE in wire.fired(), what="a nudge that is lost")
        stage.imagine("jobs", "retry", job, "--stage", STAGE, "--yes")
