"""DynamoDB on a bad day: lost replies, conflicts, cut pages, lagging indexes, throttling, refused keys."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from moto.core.botocore_stubber import MockRawResponse

from bot.aws.dynamo_cells import DynamoCells
from bot.aws.dynamo_items import A_DAY
from bot.aws.dynamo_jobs import DynamoJobs
from bot.domain.errors import (
    AlreadyExists,
    Ambiguous,
    Busy,
    CeilingReached,
    CellMoved,
    GuardClosed,
    JobMoved,
    PersonMoved,
    Rejected,
    Unavailable,
)
from bot.domain.job import Job
from bot.local.system import SequentialIds
from bot.ports import Cell, CounterChange, CounterRaise, Guard, Index, Look
from tests.aws.cloud import Cloud
from tests.aws.wire import Answer, Fault, Wire, lost_reply, nobody_there, reset, says, silent
from tests.contracts.rows import NOW, TENANT, USER, a_job, a_person, a_settlement, after

LOSSES = [lost_reply, silent, reset, says(500, "InternalServerError"), says(503, "ServiceUnavailable")]
WITHOUT_EFFECT = [
    (says(400, "ThrottlingException"), Busy),
    (says(400, "ProvisionedThroughputExceededException"), Busy),
    (says(400, "RequestLimitExceeded"), Busy),
    (says(400, "ExpiredTokenException"), Unavailable),
    (says(400, "UnrecognizedClientException"), Unavailable),
    (nobody_there, Unavailable),
    (says(400, "AccessDeniedException"), Rejected),
    (says(400, "ResourceNotFoundException"), Rejected),
]


class Store:
    """Both ports over a wire that can be cut, and over a sound one for a look at what really is."""

    def __init__(self, cloud: Cloud) -> None:
        table = cloud.make_table()
        self.wire = Wire(cloud)
        self.pauses: list[float] = []
        self.jobs = DynamoJobs(self.wire.clients, table=table, retention=90 * A_DAY, pause=self.pauses.append)
        self.cells = DynamoCells(
            self.wire.clients, table=table, ids=SequentialIds("a"), pause=self.pauses.append
        )
        self.others_jobs = DynamoJobs(cloud.clients, table=table, retention=90 * A_DAY)
        self.others_cells = DynamoCells(cloud.clients, table=table, ids=SequentialIds("b"))


@pytest.fixture
def store(cloud: Cloud) -> Store:
    return Store(cloud)


@pytest.fixture
def row(store: Store) -> Job:
    """A job that is already there."""
    store.others_jobs.create([a_job()], person=a_person(), now=NOW)
    return a_job()


def then(fault: Fault, effect: Callable[[], object]) -> Fault:
    """What somebody else does right after `fault` was met."""

    def both(request: AWSPreparedRequest, answer: Answer) -> AWSResponse:
        try:
            return fault(request, answer)
        finally:
            effect()

    return both


def cancelled(*codes: str) -> Fault:
    """A transaction is stopped for one reason each of its writes, and does nothing."""
    return replies(
        400,
        {
            "__type": "TransactionCanceledException",
            "Message": "Transaction cancelled",
            "CancellationReasons": [{"Code": code} for code in codes],
        },
    )


def replies(status: int, reply: dict[str, Any]) -> Fault:
    def fault(request: AWSPreparedRequest, answer: Answer) -> AWSResponse:
        body = MockRawResponse(json.dumps(reply))
        return AWSResponse(request.url, status, HTTPHeaders(), body)

    return fault


class TestLostRepliesToCreate:
    @pytest.mark.parametrize("guard", [None, Guard(key="click", until=NOW + 10)])
    def test_a_create_that_landed_is_success(self, store: Store, guard: Guard | None):
        store.wire.faults.append(lost_reply)
        store.jobs.create([a_job()], person=a_person(), guard=guard, now=NOW)
        assert store.jobs.get(a_job().id) == a_job()

    def test_it_is_success_though_a_worker_went_on_with_the_row(self, store: Store):
        announced = after(a_job(), announced_ref="1")
        store.wire.faults.append(then(lost_reply, lambda: store.others_jobs.transition(announced)))
        store.jobs.create([a_job()], person=a_person(), now=NOW)
        assert store.jobs.get(a_job().id) == announced

    @pytest.mark.parametrize("loss", [silent, reset, says(500, "InternalServerError")])
    def test_one_that_did_not_land_stays_unknown_for_it_may_yet(self, store: Store, loss: Fault):
        store.wire.faults.append(loss)
        with pytest.raises(Ambiguous):
            store.jobs.create([a_job()], person=a_person(), now=NOW)
        store.jobs.create([a_job()], person=a_person(), now=NOW)
        assert store.jobs.person(TENANT, USER).version == 1

    def test_a_row_of_another_write_in_its_place_is_told(self, store: Store):
        theirs = a_job(write_token="theirs")
        came_first = then(reset, lambda: store.others_jobs.create([theirs], person=a_person(), now=NOW))
        store.wire.faults.append(came_first)
        with pytest.raises(AlreadyExists):
            store.jobs.create([a_job()], person=a_person(), now=NOW)

    def test_when_the_look_back_fails_too_it_stays_unknown(self, store: Store):
        store.wire.faults.extend([lost_reply, nobody_there, nobody_there])
        with pytest.raises(Ambiguous):
            store.jobs.create([a_job()], person=a_person(), now=NOW)
        store.jobs.create([a_job()], person=a_person(), now=NOW)
        assert store.jobs.person(TENANT, USER).version == 1

    def test_a_repeat_that_overtakes_the_first_is_not_known_to_have_had_no_effect(self, store: Store):
        store.wire.faults.append(says(400, "TransactionInProgressException"))
        with pytest.raises(Ambiguous):
            store.jobs.create([a_job()], person=a_person(), now=NOW)


class TestLostRepliesToTransition:
    @pytest.mark.parametrize("counted", [False, True])
    def test_one_that_landed_is_success_and_counts_once(self, store: Store, row: Job, counted: bool):
        counters = [CounterChange(key="month", delta=5)] if counted else []
        settlement = a_settlement(spent=5) if counted else None
        for _ in range(2):
            store.wire.faults.append(lost_reply)
            store.jobs.transition(after(row), counters=counters, settlement=settlement)
        assert store.jobs.get(row.id) == after(row)
        assert store.jobs.counter("month") == store.jobs.person(TENANT, USER).spent == (5 if counted else 0)

    def test_one_that_did_not_land_stays_unknown_for_it_may_yet(self, store: Store, row: Job):
        store.wire.faults.append(silent)
        with pytest.raises(Ambiguous):
            store.jobs.transition(after(row))
        assert store.jobs.get(row.id) == row

    @pytest.mark.parametrize("loss", [lost_reply, reset])
    def test_a_row_that_somebody_moved_on_has_moved(self, store: Store, row: Job, loss: Fault):
        """Whether ours came before theirs is past telling; the row as it is decides."""

        def move_on() -> None:
            current = store.others_jobs.get(row.id)
            assert current is not None
            store.others_jobs.transition(after(current, "theirs"))

        store.wire.faults.append(then(loss, move_on))
        with pytest.raises(JobMoved):
            store.jobs.transition(after(row, "ours"))

    def test_a_row_that_is_gone_has_moved(self, store: Store):
        store.wire.faults.append(lost_reply)
        with pytest.raises(JobMoved):
            store.jobs.transition(after(a_job()))

    def test_when_the_look_back_fails_too_it_stays_unknown(self, store: Store, row: Job):
        store.wire.faults.extend([lost_reply, says(400, "ThrottlingException")])
        with pytest.raises(Ambiguous):
            store.jobs.transition(after(row))


class TestLostRepliesToCells:
    def test_a_write_that_landed_is_success(self, store: Store):
        store.wire.faults.append(lost_reply)
        assert store.cells.write("lease", {"owner": "me"}, expected=0) == 1
        store.wire.faults.append(lost_reply)
        assert store.cells.write("lease", {"owner": "me", "until": 1}, expected=1) == 2
        assert store.cells.read("lease") == Cell(value={"owner": "me", "until": 1}, version=2)

    @pytest.mark.parametrize("loss", [silent, says(500, "InternalServerError")])
    def test_one_that_did_not_land_stays_unknown(self, store: Store, loss: Fault):
        store.wire.faults.append(loss)
        with pytest.raises(Ambiguous):
            store.cells.write("lease", {"owner": "me"}, expected=0)

    def test_the_same_value_from_somebody_else_is_not_taken_for_ours(self, store: Store):
        """Two workers that each take the last token from a budget write the same words."""
        rival = then(reset, lambda: store.others_cells.write("budget", {"left": 0}, expected=0))
        store.wire.faults.append(rival)
        with pytest.raises(CellMoved) as moved:
            store.cells.write("budget", {"left": 0}, expected=0)
        assert moved.value.current == Cell(value={"left": 0}, version=1)

    def test_when_the_look_back_fails_too_it_stays_unknown(self, store: Store):
        store.wire.faults.extend([lost_reply, nobody_there, nobody_there])
        with pytest.raises(Ambiguous):
            store.cells.write("lease", {"owner": "me"}, expected=0)


class TestConflicts:
    """A row that another transaction holds for a moment, which is no answer to what was asked."""

    def test_a_transaction_is_sent_again_at_once(self, store: Store, row: Job):
        store.wire.faults.extend([cancelled("None", "TransactionConflict")] * 3)
        store.jobs.transition(after(row), counters=[CounterChange(key="month", delta=1)])
        assert store.jobs.counter("month") == 1
        assert len(store.pauses) == 3

    def test_a_single_update_is_sent_again_at_once(self, store: Store, row: Job):
        store.wire.faults.append(says(400, "TransactionConflictException"))
        store.jobs.transition(after(row))
        assert store.jobs.get(row.id) == after(row)

    def test_a_row_that_stays_held_is_busy_and_nothing_was_written(self, store: Store):
        store.wire.always = cancelled("None", "TransactionConflict")
        with pytest.raises(Busy):
            store.jobs.create([a_job()], person=a_person(), now=NOW)
        assert store.others_jobs.get(a_job().id) is None
        assert len(store.wire.operations) == 4
        assert 0.02 <= sum(store.pauses) <= 0.05

    def test_rivals_do_not_wait_equally_long(self, cloud: Cloud):
        waits = []
        for number in range(8):
            store = Store(cloud)
            store.wire.always = cancelled("TransactionConflict", "None")
            with pytest.raises(Busy):
                store.jobs.create([a_job(f"{number:026d}")], person=a_person(), now=NOW)
            waits.append(tuple(store.pauses))
        assert len(set(waits)) == 8

    def test_a_condition_that_failed_is_told_beside_a_conflict(self, store: Store):
        store.wire.faults.append(cancelled("TransactionConflict", "ConditionalCheckFailed"))
        with pytest.raises(PersonMoved):
            store.jobs.create([a_job()], person=a_person(), now=NOW)
        assert store.pauses == []

    @pytest.mark.parametrize(
        ("code", "error"),
        [
            ("ThrottlingError", Busy),
            ("ProvisionedThroughputExceeded", Busy),
            ("ValidationError", Rejected),
            ("ItemCollectionSizeLimitExceeded", Rejected),
        ],
    )
    def test_other_reasons_of_a_transaction_keep_their_meaning(
        self, store: Store, row: Job, code: str, error: type[Exception]
    ):
        store.wire.faults.append(cancelled("None", code))
        with pytest.raises(error):
            store.jobs.transition(after(row), counters=[CounterChange(key="month", delta=1)])
        assert store.others_jobs.get(row.id) == row


class TestWhatChangesNothing:
    def test_a_raise_and_a_settlement_without_effect_are_left_out_of_the_second_attempt(
        self, store: Store, row: Job
    ):
        first = after(row, "first")
        store.jobs.transition(first, counters=[CounterRaise(key="virtual", least=5)])
        store.wire.operations.clear()
        store.jobs.transition(
            after(first, "second"),
            settlement=a_settlement(day="2026-01-01", held=-1000),
            counters=[CounterRaise(key="virtual", least=4)],
        )
        assert store.wire.operations == ["TransactWriteItems", "UpdateItem"]
        assert store.jobs.get(row.id) == after(first, "second")

    def test_a_conflict_leaves_nothing_out(self, store: Store, row: Job):
        store.wire.faults.append(cancelled("None", "TransactionConflict", "TransactionConflict"))
        store.jobs.transition(
            after(row), settlement=a_settlement(spent=5), counters=[CounterRaise(key="virtual", least=4)]
        )
        assert store.jobs.person(TENANT, USER).spent == 5
        assert store.jobs.counter("virtual") == 4

    def test_a_lost_reply_to_the_second_attempt_is_looked_up_too(self, store: Store, row: Job):
        first = after(row, "first")
        store.jobs.transition(first, counters=[CounterRaise(key="virtual", least=5)])
        store.wire.faults.extend([no_fault, lost_reply])
        store.jobs.transition(
            after(first, "second"),
            counters=[CounterRaise(key="virtual", least=4), CounterChange(key="month", delta=2)],
        )
        assert (store.jobs.counter("virtual"), store.jobs.counter("month")) == (5, 2)


class TestOrderOfReasons:
    def test_a_taken_id_is_told_before_a_closed_guard_before_a_moved_person(self, store: Store):
        guard = Guard(key="click", until=NOW + 10)
        store.jobs.create([a_job()], person=a_person(), guard=guard, now=NOW)
        other = a_job(write_token="other")
        with pytest.raises(AlreadyExists):
            store.jobs.create([other], person=a_person(7), guard=guard, now=NOW)
        with pytest.raises(GuardClosed):
            store.jobs.create([a_job("b" * 26)], person=a_person(7), guard=guard, now=NOW)

    def test_a_moved_row_is_told_before_a_ceiling(self, store: Store, row: Job):
        full = [CounterChange(key="month", delta=2, ceiling=1)]
        store.others_jobs.transition(after(row, "theirs"))
        with pytest.raises(JobMoved):
            store.jobs.transition(after(row, "ours"), counters=full)

    def test_the_first_of_several_ceilings_is_named(self, store: Store, row: Job):
        full = [CounterChange(key=key, delta=2, ceiling=1) for key in ("team", "month")]
        with pytest.raises(CeilingReached) as refusal:
            store.jobs.transition(after(row), counters=full)
        assert refusal.value.key == "team"


class TestNothingHappened:
    @pytest.mark.parametrize(("fault", "error"), WITHOUT_EFFECT)
    def test_every_call_says_so(self, store: Store, row: Job, fault: Fault, error: type[Exception]):
        calls: list[Callable[[], object]] = [
            lambda: store.jobs.create([a_job("b" * 26)], person=a_person(2), now=NOW),
            lambda: store.jobs.transition(after(row)),
            lambda: store.jobs.transition(after(row), counters=[CounterChange(key="month", delta=1)]),
            lambda: store.jobs.get(row.id),
            lambda: store.jobs.person(TENANT, USER),
            lambda: store.jobs.counter("month"),
            lambda: store.jobs.query(Index.DUE, limit=3),
            lambda: store.cells.write("lease", {}, expected=0),
            lambda: store.cells.read("lease"),
            lambda: store.cells.look(["lease"], counters=["month"]),
        ]
        store.wire.always = fault
        for call in calls:
            with pytest.raises(error):
                call()

    @pytest.mark.parametrize("loss", LOSSES)
    def test_a_read_whose_reply_was_lost_had_no_effect(self, store: Store, row: Job, loss: Fault):
        for read in (
            lambda: store.jobs.get(row.id),
            lambda: store.jobs.query(Index.DUE, limit=3),
            lambda: store.cells.look(["lease"]),
        ):
            store.wire.always = loss
            with pytest.raises(Unavailable):
                read()

    def test_a_read_that_was_lost_once_is_made_again(self, store: Store, row: Job):
        """As happens on a connection that died unseen while the process was frozen."""
        for read in (
            lambda: store.jobs.get(row.id),
            lambda: store.jobs.query(Index.OPEN, partition=TENANT, limit=3).jobs[0],
        ):
            store.wire.faults.append(reset)
            assert read() == row

    def test_a_row_too_large_for_the_table_is_refused(self, store: Store):
        with pytest.raises(Rejected):
            store.jobs.create([a_job(notes=("x" * 420_000,))], person=a_person(), now=NOW)


class TestQueries:
    def test_pages_cut_at_one_megabyte_are_read_to_their_end(self, store: Store):
        """Of rows this long, DynamoDB gives three or four at a time, whatever was asked for."""
        rows = [a_job(f"{number:026d}", notes=("x" * 300_000,)) for number in range(8)]
        for number, row in enumerate(rows, start=1):
            store.others_jobs.create([row], person=a_person(number), now=NOW)
        page = store.jobs.query(Index.OPEN, partition=TENANT, limit=8)
        assert page.jobs == tuple(rows)
        assert page.cursor is None
        assert store.wire.operations.count("Query") == 3

    @pytest.mark.parametrize(
        ("index", "partition"),
        [(Index.DUE, ""), (Index.WAITING, ""), (Index.OPEN, TENANT), (Index.PERSON, f"{TENANT}/{USER}")],
    )
    def test_pages_of_single_rows_make_the_same_answer(self, store: Store, index: Index, partition: str):
        rows = [
            a_job(f"{number:026d}", announced_ref="1", tag=number // 2, next_check_at=NOW + number // 2)
            for number in range(9)
        ]
        store.others_jobs.create(rows, person=a_person(), now=NOW)
        store.wire.always = shortened
        first = store.jobs.query(index, partition=partition, limit=5)
        second = store.jobs.query(index, partition=partition, limit=5, cursor=first.cursor)
        whole = store.others_jobs.query(index, partition=partition, limit=9)
        assert first.jobs + second.jobs == whole.jobs
        assert (len(first.jobs), second.cursor) == (5, None)

    def test_a_row_from_a_stale_index_loses_against_the_row_as_it_is(self, store: Store, row: Job):
        stale: list[bytes] = []
        store.wire.always = recorded(stale)
        store.jobs.query(Index.DUE, limit=5)
        store.others_jobs.transition(after(row, "theirs", next_check_at=None))
        store.wire.always = replayed(stale)
        (seen,) = store.jobs.query(Index.DUE, limit=5).jobs
        store.wire.always = None
        assert seen == row
        with pytest.raises(JobMoved):
            store.jobs.transition(after(seen, "ours"))
        assert store.jobs.get(row.id) == after(row, "theirs", next_check_at=None)


class TestLook:
    def test_keys_left_unread_are_asked_for_again(self, store: Store):
        for key in ("one", "two", "three"):
            store.others_cells.write(key, {"key": key}, expected=0)
        store.wire.faults.extend([first_key_only, first_key_only])
        look = store.cells.look(["one", "two", "three"])
        assert look.cells == {key: Cell(value={"key": key}, version=1) for key in ("one", "two", "three")}
        assert store.wire.operations == ["BatchGetItem"] * 3

    def test_keys_that_stay_unread_are_busy(self, store: Store):
        store.wire.always = no_key
        with pytest.raises(Busy):
            store.cells.look(["one"])
        assert store.wire.operations == ["BatchGetItem"] * 4

    def test_nothing_is_asked_for_nothing(self, store: Store):
        assert store.cells.look([]) == Look(cells={}, counters={})
        assert store.wire.operations == []

    def test_a_key_named_twice_is_read_once(self, store: Store):
        store.cells.write("one", {}, expected=0)
        assert store.cells.look(["one", "one"], counters=["one", "one"]).counters == {"one": 0}


def test_every_call_is_one_request(store: Store):
    """What the accept path and a delivered picture pay for."""
    store.jobs.create([a_job()], person=a_person(), guard=Guard(key="click", until=NOW + 10), now=NOW)
    store.jobs.transition(after(a_job(), announced_ref="1"))
    store.jobs.transition(after(after(a_job())), counters=[CounterChange(key="flight", delta=1, ceiling=9)])
    store.jobs.get(a_job().id)
    store.jobs.person(TENANT, USER)
    store.jobs.counter("flight")
    store.jobs.query(Index.WAITING, limit=9)
    store.jobs.query(Index.OPEN, partition=TENANT, limit=9)
    store.jobs.query(Index.PERSON, partition=f"{TENANT}/{USER}", limit=9)
    store.cells.write("lease", {}, expected=0)
    store.cells.read("lease")
    store.cells.look(["lease", "settings"], counters=["flight"])
    assert store.wire.operations == [
        "TransactWriteItems",
        "UpdateItem",
        "TransactWriteItems",
        "GetItem",
        "GetItem",
        "GetItem",
        "Query",
        "Query",
        "Query",
        "PutItem",
        "GetItem",
        "BatchGetItem",
    ]


def test_the_due_index_is_one_request_a_shard(store: Store):
    store.jobs.query(Index.DUE, upto=NOW, limit=9)
    assert store.wire.operations == ["Query"] * 4


def no_fault(request: AWSPreparedRequest, answer: Answer) -> AWSResponse:
    return answer(request)


def shortened(request: AWSPreparedRequest, answer: Answer) -> AWSResponse:
    """A page with a single row, and a key from which to go on."""
    return answer(_with_body(request, {**_asked(request), "Limit": 1}))


def first_key_only(request: AWSPreparedRequest, answer: Answer) -> AWSResponse:
    return _unprocessed(request, answer, read=1)


def no_key(request: AWSPreparedRequest, answer: Answer) -> AWSResponse:
    ((table, asked),) = _asked(request)["RequestItems"].items()
    return replies(200, {"Responses": {table: []}, "UnprocessedKeys": {table: asked}})(request, answer)


def _unprocessed(request: AWSPreparedRequest, answer: Answer, *, read: int) -> AWSResponse:
    ((table, asked),) = _asked(request)["RequestItems"].items()
    now, later = asked["Keys"][:read], asked["Keys"][read:]
    reply = answer(_with_body(request, {"RequestItems": {table: {**asked, "Keys": now}}}))
    told = json.loads(reply.content) | {"UnprocessedKeys": {table: {**asked, "Keys": later}}}
    return replies(200, told)(request, answer)


def recorded(replies_seen: list[bytes]) -> Fault:
    def fault(request: AWSPreparedRequest, answer: Answer) -> AWSResponse:
        reply = answer(request)
        replies_seen.append(reply.content)
        return reply

    return fault


def replayed(replies_seen: list[bytes]) -> Fault:
    def fault(request: AWSPreparedRequest, answer: Answer) -> AWSResponse:
        return replies(200, json.loads(replies_seen.pop(0)))(request, answer)

    return fault


def _asked(request: AWSPreparedRequest) -> dict[str, Any]:
    assert isinstance(request.body, bytes)
    asked: dict[str, Any] = json.loads(request.body)
    return asked


def _with_body(request: AWSPreparedRequest, body: dict[str, Any]) -> AWSPreparedRequest:
    text = json.dumps(body).encode()
    request.headers["Content-Length"] = str(len(text))
    return AWSPreparedRequest(request.method, request.url, request.headers, text, request.stream_output)
