"""The requests themselves, field by field: much of what they ask for, moto would not miss."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.stub import ANY, Stubber

from bot.aws.clients import Clients
from bot.aws.dynamo_cells import DynamoCells
from bot.aws.dynamo_items import A_DAY
from bot.aws.dynamo_jobs import DynamoJobs
from bot.domain.job import Job
from bot.local.system import SequentialIds
from bot.ports import CounterChange, CounterRaise, Guard, Index, Page
from tests.aws.cloud import Cloud
from tests.aws.wire import Wire
from tests.contracts.rows import NOW, TENANT, USER, a_job, a_person, a_settlement, after

JOB_KEY = {"pk": {"S": f"job#{'a' * 26}"}}
ROW_NAMES = {"#row": "row", "#version": "version", "#write_token": "write_token"}
OPEN_AND_DUE = {"#due_shard": "due_shard", "#due_at": "due_at", "#open_tenant": "open_tenant"}
WAITING = {"#waiting": "waiting", "#waiting_tag": "waiting_tag"}
DUE_AT = {"S": f"00000000001800000060.0000000000#{'a' * 26}"}
ACCEPTED = {"S": f"00000000001800000000.0000000000#{'a' * 26}"}
REPLACED = {
    "TableName": "jobs",
    "Key": JOB_KEY,
    "UpdateExpression": (
        "SET #row = :row, #version = :version, #write_token = :write_token, #due_shard = :due_shard,"
        " #due_at = :due_at, #open_tenant = :open_tenant REMOVE #waiting, #waiting_tag"
    ),
    "ConditionExpression": "#version = :expected",
    "ExpressionAttributeNames": ROW_NAMES | OPEN_AND_DUE | WAITING,
    "ExpressionAttributeValues": {
        ":row": {"S": ANY},
        ":version": {"N": "1"},
        ":write_token": {"S": "next"},
        ":due_shard": {"S": ANY},
        ":due_at": DUE_AT,
        ":open_tenant": {"S": TENANT},
        ":expected": {"N": "0"},
    },
    "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
}


@pytest.fixture
def clients(cloud: Cloud) -> Clients:
    return cloud.new_clients()


@pytest.fixture
def expected(clients: Clients) -> Iterator[Stubber]:
    with Stubber(clients["dynamodb"]) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def jobs(clients: Clients) -> DynamoJobs:
    return DynamoJobs(clients, table="jobs", retention=90 * A_DAY)


@pytest.fixture
def cells(clients: Clients) -> DynamoCells:
    return DynamoCells(clients, table="jobs", ids=SequentialIds())


def test_a_create_is_one_transaction_with_a_token(expected: Stubber, jobs: DynamoJobs):
    """Rows, guard and person expire by themselves."""
    row = {
        **JOB_KEY,
        "row": {"S": ANY},
        "version": {"N": "0"},
        "write_token": {"S": a_job().write_token},
        "created_token": {"S": a_job().write_token},
        "due_shard": {"S": ANY},
        "due_at": DUE_AT,
        "open_tenant": {"S": TENANT},
        "person": {"S": f"{TENANT}/{USER}"},
        "accepted": ACCEPTED,
        "expires_at": {"N": str(int(NOW) + 90 * 86_400)},
    }
    guard = {
        "pk": {"S": "guard#click"},
        "until": {"N": "1800000010.0"},
        "job_id": {"S": a_job().id},
        "expires_at": {"N": str(int(NOW) + 10 + 86_400)},
    }
    hold = {
        "TableName": "jobs",
        "Key": {"pk": {"S": f"person#{TENANT}/{USER}"}},
        "UpdateExpression": (
            "SET #tag = :tag, #version = :version, #write_token = :token, #expires_at = :expires"
            " ADD #held :cost"
        ),
        "ConditionExpression": "#version = :expected AND #day = :day",
        "ExpressionAttributeNames": {
            f"#{name}": name for name in ("tag", "version", "write_token", "expires_at", "held", "day")
        },
        "ExpressionAttributeValues": {
            ":tag": {"N": "7"},
            ":version": {"N": "2"},
            ":token": {"S": "person-2"},
            ":expires": {"N": str(int(NOW) + 90 * 86_400)},
            ":cost": {"N": str(a_job().cost)},
            ":expected": {"N": "1"},
            ":day": {"S": "2027-01-15"},
        },
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    expected.add_response(
        "transact_write_items",
        {},
        {
            "TransactItems": [
                put(row, "attribute_not_exists(#pk)", names=["pk"]),
                put(
                    guard,
                    "attribute_not_exists(#pk) OR #until <= :now",
                    names=["pk", "until"],
                    values={":now": {"N": "1800000000.0"}},
                ),
                {"Update": hold},
            ],
            "ClientRequestToken": ANY,
        },
    )
    jobs.create(
        [a_job()], person=a_person(2, held=2000, tag=7), guard=Guard(key="click", until=NOW + 10), now=NOW
    )


def test_the_first_accept_of_a_person_puts_the_row(cloud: Cloud):
    wire = Wire(cloud)
    store = DynamoJobs(wire.clients, table=cloud.make_table(), retention=90 * A_DAY)
    store.create([a_job()], person=a_person(held=1000), now=NOW)
    person = sent(wire)["TransactItems"][-1]["Put"]
    assert person["Item"] == {
        "pk": {"S": f"person#{TENANT}/{USER}"},
        "tenant": {"S": TENANT},
        "user": {"S": USER},
        "day": {"S": "2027-01-15"},
        "held": {"N": "1000"},
        "spent": {"N": "0"},
        "tag": {"N": "0"},
        "version": {"N": "1"},
        "write_token": {"S": "person-1"},
        "expires_at": {"N": str(int(NOW) + 90 * 86_400)},
    }
    assert person["ConditionExpression"] == "attribute_not_exists(#pk)"
    assert person["ReturnValuesOnConditionCheckFailure"] == "ALL_OLD"


def test_a_plain_transition_is_one_update(expected: Stubber, jobs: DynamoJobs):
    expected.add_response("update_item", {}, REPLACED)
    jobs.transition(after(a_job()))


def test_a_counted_transition_is_one_transaction_with_a_token(expected: Stubber, jobs: DynamoJobs):
    updates: list[dict[str, Any]] = [
        REPLACED,
        {
            "TableName": "jobs",
            "Key": {"pk": {"S": f"person#{TENANT}/{USER}"}},
            "UpdateExpression": "ADD #held :held, #spent :spent",
            "ConditionExpression": "#day = :day",
            "ExpressionAttributeNames": {name: name[1:] for name in ("#held", "#spent", "#day")},
            "ExpressionAttributeValues": {
                ":held": {"N": "-5"},
                ":spent": {"N": "7"},
                ":day": {"S": "2027-01-15"},
            },
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        },
        {
            "TableName": "jobs",
            "Key": {"pk": {"S": "counter#month"}},
            "UpdateExpression": "ADD #value :delta",
            "ConditionExpression": "attribute_not_exists(#pk) OR #value <= :room",
            "ExpressionAttributeNames": {"#pk": "pk", "#value": "value"},
            "ExpressionAttributeValues": {":delta": {"N": "3"}, ":room": {"N": "7"}},
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        },
        {
            "TableName": "jobs",
            "Key": {"pk": {"S": "counter#virtual"}},
            "UpdateExpression": "SET #value = :least",
            "ConditionExpression": "attribute_not_exists(#pk) OR #value < :least",
            "ExpressionAttributeNames": {"#pk": "pk", "#value": "value"},
            "ExpressionAttributeValues": {":least": {"N": "9"}},
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        },
        {
            "TableName": "jobs",
            "Key": {"pk": {"S": "counter#flight"}},
            "UpdateExpression": "ADD #value :delta",
            "ExpressionAttributeNames": {"#value": "value"},
            "ExpressionAttributeValues": {":delta": {"N": "-1"}},
        },
    ]
    transaction = {"TransactItems": [{"Update": update} for update in updates], "ClientRequestToken": ANY}
    expected.add_response("transact_write_items", {}, transaction)
    jobs.transition(
        after(a_job()),
        settlement=a_settlement(held=-5, spent=7),
        counters=[
            CounterChange(key="month", delta=3, ceiling=10),
            CounterRaise(key="virtual", least=9),
            CounterChange(key="flight", delta=-1),
        ],
    )


def test_a_delta_beyond_its_ceiling_does_not_pass_where_there_is_no_counter(cloud: Cloud):
    wire = Wire(cloud)
    store = DynamoJobs(wire.clients, table=cloud.make_table(), retention=1)
    store.create([a_job()], person=a_person(), now=NOW)
    with pytest.raises(Exception, match="month"):
        store.transition(after(a_job()), counters=[CounterChange(key="month", delta=11, ceiling=10)])
    update = sent(wire)["TransactItems"][1]["Update"]
    assert update["ConditionExpression"] == "#value <= :room"


def test_reads_are_strongly_consistent(expected: Stubber, jobs: DynamoJobs, cells: DynamoCells):
    for key in (JOB_KEY["pk"]["S"], f"person#{TENANT}/{USER}", "counter#month", "cell#lease"):
        request = {"TableName": "jobs", "Key": {"pk": {"S": key}}, "ConsistentRead": True}
        expected.add_response("get_item", {}, request)
    keys = [{"pk": {"S": "cell#lease"}}, {"pk": {"S": "counter#month"}}]
    expected.add_response(
        "batch_get_item",
        {"Responses": {"jobs": []}},
        {"RequestItems": {"jobs": {"Keys": keys, "ConsistentRead": True}}},
    )
    assert jobs.get(a_job().id) is None
    assert jobs.person(TENANT, USER).version == 0
    assert jobs.counter("month") == 0
    assert cells.read("lease") is None
    assert cells.look(["lease"], counters=["month"]).counters == {"month": 0}


@pytest.mark.parametrize(
    ("version", "condition", "values"),
    [
        (0, "attribute_not_exists(#pk)", {}),
        (4, "#version = :expected", {"ExpressionAttributeValues": {":expected": {"N": "4"}}}),
    ],
)
def test_a_cell_is_one_put_that_tells_what_was_there(
    expected: Stubber, cells: DynamoCells, version: int, condition: str, values: dict[str, Any]
):
    name = "pk" if version == 0 else "version"
    expected.add_response(
        "put_item",
        {},
        {
            "TableName": "jobs",
            "Item": {
                "pk": {"S": "cell#lease"},
                "value": {"S": '{"owner": "me"}'},
                "version": {"N": str(version + 1)},
                "write_token": {"S": "t000000000000000000000001"},
            },
            "ConditionExpression": condition,
            "ExpressionAttributeNames": {f"#{name}": name},
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            **values,
        },
    )
    assert cells.write("lease", {"owner": "me"}, expected=version) == version + 1


@pytest.mark.parametrize(
    ("asked", "condition", "values", "forward"),
    [
        (
            {"index": Index.WAITING, "upto": 30},
            "#waiting = :partition AND #waiting_tag BETWEEN :low AND :high",
            {":partition": "waiting", ":low": "0", ":high": "00000000000000000030.0000000000#"},
            True,
        ),
        (
            {"index": Index.OPEN, "partition": TENANT},
            "#open_tenant = :partition AND #accepted BETWEEN :low AND :high",
            {":partition": TENANT, ":low": "0", ":high": ":"},
            True,
        ),
        (
            {"index": Index.PERSON, "partition": f"{TENANT}/{USER}"},
            "#person = :partition AND #accepted < :high",
            {":partition": f"{TENANT}/{USER}", ":high": ":"},
            False,
        ),
    ],
)
def test_a_query_reads_one_partition_of_one_index(
    clients: Clients, asked: dict[str, Any], condition: str, values: dict[str, str], forward: bool
):
    """One row more than asked for tells whether there are more."""
    request = {
        "TableName": "jobs",
        "IndexName": asked["index"].value,
        "KeyConditionExpression": condition,
        "ExpressionAttributeNames": {word: word[1:] for word in condition.split() if word.startswith("#")},
        "ExpressionAttributeValues": {name: {"S": value} for name, value in values.items()},
        "ScanIndexForward": forward,
        "Limit": 6,
    }
    with Stubber(clients["dynamodb"]) as expected:
        expected.add_response("query", {"Items": []}, request)
        page = DynamoJobs(clients, table="jobs", retention=1).query(**asked, limit=5)
        expected.assert_no_pending_responses()
    assert page == Page(jobs=(), cursor=None)


def test_the_same_request_has_the_same_token_and_a_changed_one_another(cloud: Cloud):
    wire = Wire(cloud)
    store = DynamoJobs(wire.clients, table=cloud.make_table(), retention=90 * A_DAY)

    def token_of(job: Job, version: int = 1) -> str:
        store.create([job], person=a_person(version), now=NOW)
        return str(sent(wire)["ClientRequestToken"])

    first, repeated = token_of(a_job()), token_of(a_job())
    changed = token_of(a_job(), version=2)
    assert first == repeated != changed
    assert len(first) == 36


def test_rows_without_a_token_are_never_the_same_request(cloud: Cloud):
    """DynamoDB answers a repeated token with success for ten minutes, and writes nothing."""
    wire = Wire(cloud)
    tokens = set()
    for _ in range(2):
        store = DynamoJobs(wire.clients, table=cloud.make_table(), retention=90 * A_DAY)
        store.create([a_job(write_token="")], person=a_person(), now=NOW)
        tokens.add(sent(wire)["ClientRequestToken"])
    assert len(tokens) == 2


def sent(wire: Wire) -> dict[str, Any]:
    """The body of the last request."""
    body = wire.requests[-1].body
    assert isinstance(body, bytes)
    found: dict[str, Any] = json.loads(body)
    return found


def put(
    item: dict[str, Any], condition: str, *, names: list[str], values: dict[str, Any] | None = None
) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "TableName": "jobs",
        "Item": item,
        "ConditionExpression": condition,
        "ExpressionAttributeNames": {f"#{name}": name for name in names},
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    return {"Put": fields if values is None else {**fields, "ExpressionAttributeValues": values}}
