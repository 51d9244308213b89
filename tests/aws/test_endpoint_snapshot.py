"""The look at the endpoint: what is asked, what it means, and when it is written."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.stub import Stubber

from bot.aws.clients import Clients
from bot.aws.endpoint_snapshot import EndpointLook, EndpointSnapshot, warmth_of
from bot.domain.errors import CellMoved
from bot.local.database import MEMORY, Database
from bot.local.journal import ListJournal
from bot.local.sqlite_cells import SqliteCells
from bot.ports import Cells, Warmth
from tests.aws.cloud import Cloud

NOW = 1_800_000_000.0
SERVICES = {
    "describe": ("sagemaker", "describe_endpoint"),
    "scaling": ("application-autoscaling", "describe_scalable_targets"),
    "metrics": ("cloudwatch", "get_metric_data"),
}


@pytest.mark.parametrize(
    ("look", "warmth"),
    [
        (EndpointLook(status="InService"), Warmth.ASLEEP),
        (EndpointLook(status="InService", backlog=1), Warmth.WAKING),
        (EndpointLook(status="InService", stranded=True), Warmth.WAKING),
        (EndpointLook(status="InService", desired=1), Warmth.WAKING),
        (EndpointLook(status="InService", instances=1), Warmth.AWAKE),
        (EndpointLook(status="InService", instances=1, backlog=7), Warmth.AWAKE),
        (EndpointLook(status="Creating"), Warmth.WAKING),
        (EndpointLook(status="Creating", desired=1), Warmth.WAKING),
        (EndpointLook(status="Updating", desired=1), Warmth.WAKING),
        (EndpointLook(status="Updating", instances=1, desired=2), Warmth.AWAKE),
        (EndpointLook(status="Updating", instances=1, desired=0), Warmth.AWAKE),
        (EndpointLook(status="Updating"), Warmth.ASLEEP),
        (EndpointLook(status="SystemUpdating", instances=1), Warmth.AWAKE),
        (EndpointLook(status="SystemUpdating"), Warmth.ASLEEP),
        (EndpointLook(status="RollingBack", instances=1), Warmth.AWAKE),
        (EndpointLook(status="UpdateRollbackFailed", instances=1), Warmth.AWAKE),
        (EndpointLook(status="Failed", instances=1), Warmth.DOWN),
        (EndpointLook(status="OutOfService", backlog=3), Warmth.DOWN),
        (EndpointLook(status="Deleting", instances=1), Warmth.DOWN),
        (EndpointLook(status="SomethingNew", instances=1), Warmth.DOWN),
    ],
    ids=lambda value: str(value) if isinstance(value, Warmth) else f"{value.status}-{value.instances}",
)
def test_what_aws_tells_becomes_what_people_are_told(look: EndpointLook, warmth: Warmth):
    assert warmth_of(look) is warmth


class Account:
    """What AWS answers to the three questions; an answer that is a text is an error code."""

    def __init__(self, cloud: Cloud) -> None:
        self.clients: Clients = cloud.new_clients()
        self.describe: Any = {"status": "InService", "variants": [variant()]}
        self.scaling: Any = [2]
        self.metrics: Any = {"backlog": [], "stranded": []}

    @contextmanager
    def answering(self, *questions: str) -> Iterator[None]:
        """Exactly these questions are asked, each once, with the arguments that are right."""
        with ExitStack() as stack:
            for question in questions:
                service, operation = SERVICES[question]
                stubber = stack.enter_context(Stubber(self.clients[service]))
                told = getattr(self, question)
                if isinstance(told, str):
                    stubber.add_client_error(
                        operation, told, http_status_code=400, expected_params=ASKED[question]
                    )
                else:
                    stubber.add_response(operation, ANSWERS[question](told), ASKED[question])
                stack.callback(stubber.assert_no_pending_responses)
            yield


ASKED: dict[str, dict[str, Any]] = {
    "describe": {"EndpointName": "imagine"},
    "scaling": {
        "ServiceNamespace": "sagemaker",
        "ResourceIds": ["endpoint/imagine/variant/AllTraffic"],
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    },
    "metrics": {
        "MetricDataQueries": [
            {
                "Id": key,
                "MetricStat": {
                    "Metric": {
                        "Namespace": "AWS/SageMaker",
                        "MetricName": name,
                        "Dimensions": [{"Name": "EndpointName", "Value": "imagine"}],
                    },
                    "Period": 60,
                    "Stat": "Maximum",
                },
            }
            for key, name in (
                ("backlog", "ApproximateBacklogSize"),
                ("stranded", "HasBacklogWithoutCapacity"),
            )
        ],
        "StartTime": datetime.fromtimestamp(NOW - 300, tz=UTC),
        "EndTime": datetime.fromtimestamp(NOW, tz=UTC),
        "ScanBy": "TimestampDescending",
    },
}
ANSWERS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "describe": lambda told: {
        "EndpointName": "imagine",
        "EndpointArn": "arn:aws:sagemaker:us-east-1:123456789012:endpoint/imagine",
        "EndpointStatus": told["status"],
        "ProductionVariants": told["variants"],
        "CreationTime": datetime.fromtimestamp(NOW, tz=UTC),
        "LastModifiedTime": datetime.fromtimestamp(NOW, tz=UTC),
    },
    "scaling": lambda told: {
        "ScalableTargets": [
            {
                "ServiceNamespace": "sagemaker",
                "ResourceId": "endpoint/imagine/variant/AllTraffic",
                "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
                "MinCapacity": 0,
                "MaxCapacity": most,
                "RoleARN": "arn:aws:iam::123456789012:role/x",
                "CreationTime": datetime.fromtimestamp(NOW, tz=UTC),
            }
            for most in told
        ]
    },
    "metrics": lambda told: {
        "MetricDataResults": [
            {"Id": key, "Values": [float(v) for v in values]} for key, values in told.items()
        ]
    },
}
ALL = ("describe", "metrics", "scaling")


def variant(name: str = "AllTraffic", *, current: int = 0, desired: int = 0) -> dict[str, Any]:
    return {"VariantName": name, "CurrentInstanceCount": current, "DesiredInstanceCount": desired}


@pytest.fixture
def account(cloud: Cloud) -> Account:
    return Account(cloud)


@pytest.fixture
def journal() -> ListJournal:
    return ListJournal()


@pytest.fixture
def snapshot(account: Account, journal: ListJournal) -> EndpointSnapshot:
    return EndpointSnapshot(account.clients, name="imagine", journal=journal, model="sdxl")


@pytest.fixture
def cells() -> Iterator[Cells]:
    with closing(Database(MEMORY)) as database:
        yield SqliteCells(database)


def test_three_calls_tell_everything(account: Account, snapshot: EndpointSnapshot):
    account.describe = {"status": "InService", "variants": [variant(current=1, desired=2)]}
    account.metrics = {"backlog": [4, 1], "stranded": [0]}
    with account.answering(*ALL):
        told = snapshot.take(now=NOW)
    assert told == {
        "name": "imagine",
        "warmth": "awake",
        "instances": 1,
        "desired": 2,
        "max_instances": 2,
        "backlog": 4,
        "model": "sdxl",
        "reason": None,
        "at": NOW,
        "config": None,
    }


def test_a_backlog_without_instances_is_waking(account: Account, snapshot: EndpointSnapshot):
    account.metrics = {"backlog": [], "stranded": [1]}
    with account.answering(*ALL):
        assert snapshot.take(now=NOW)["warmth"] == "waking"


def test_a_configured_maximum_saves_a_call(account: Account, journal: ListJournal):
    snapshot = EndpointSnapshot(account.clients, name="imagine", journal=journal, max_instances=3)
    with account.answering("describe", "metrics"):
        assert snapshot.take(now=NOW)["max_instances"] == 3


@pytest.mark.parametrize(
    ("scaling", "current", "most"), [([], 0, 1), ([], 2, 2), ([0], 0, 1), ("AccessDeniedException", 1, 1)]
)
def test_without_a_scaling_target_the_instances_there_are_count(
    account: Account, snapshot: EndpointSnapshot, scaling: Any, current: int, most: int
):
    account.describe = {"status": "InService", "variants": [variant(current=current, desired=current)]}
    account.scaling = scaling
    with account.answering(*ALL):
        assert snapshot.take(now=NOW)["max_instances"] == most


def test_metrics_we_may_not_read_leave_the_backlog_out(
    account: Account, snapshot: EndpointSnapshot, journal: ListJournal
):
    account.metrics = "AccessDenied"
    with account.answering(*ALL):
        told = snapshot.take(now=NOW)
    assert (told["warmth"], told["backlog"]) == ("asleep", 0)
    assert journal.named("endpoint_metrics_unread") == [{"code": "AccessDenied"}]


def test_a_variant_under_another_name_counts_when_it_is_the_only_one(
    account: Account, snapshot: EndpointSnapshot
):
    account.describe = {"status": "InService", "variants": [variant("blue", current=1)]}
    with account.answering(*ALL):
        assert snapshot.take(now=NOW)["instances"] == 1


@pytest.mark.parametrize(
    ("code", "reason"),
    [("ValidationException", "not_found"), ("AccessDeniedException", "AccessDeniedException")],
)
def test_an_endpoint_we_cannot_see_is_down_and_says_why(
    account: Account, snapshot: EndpointSnapshot, code: str, reason: str
):
    account.describe = code
    with account.answering("describe"):
        told = snapshot.take(now=NOW)
    assert (told["warmth"], told["reason"], told["max_instances"]) == ("down", reason, 1)


def test_a_failed_endpoint_is_down_and_says_why(account: Account, snapshot: EndpointSnapshot):
    account.describe = {"status": "Failed", "variants": [variant(current=1)]}
    with account.answering(*ALL):
        told = snapshot.take(now=NOW)
    assert (told["warmth"], told["reason"]) == ("down", "Failed")


@pytest.mark.parametrize("question", ALL)
def test_while_aws_is_busy_the_old_snapshot_stays(
    account: Account, snapshot: EndpointSnapshot, cells: Cells, journal: ListJournal, question: str
):
    with account.answering(*ALL):
        snapshot.refresh(cells, now=NOW)
    before = cells.read("endpoint")
    setattr(account, question, "ThrottlingException")
    with account.answering(*ALL[: ALL.index(question) + 1]):
        snapshot.refresh(cells, now=NOW)
    assert cells.read("endpoint") == before
    assert journal.named("endpoint_look_failed") == [{"code": "ThrottlingException"}]


def test_only_news_is_written(account: Account, snapshot: EndpointSnapshot, cells: Cells):
    for _ in range(3):
        with account.answering(*ALL):
            snapshot.refresh(cells, now=NOW)
    first = cells.read("endpoint")
    account.describe = {"status": "InService", "variants": [variant(desired=1)]}
    with account.answering(*ALL):
        snapshot.refresh(cells, now=NOW)
    second = cells.read("endpoint")
    assert first is not None
    assert second is not None
    assert (first.version, second.version) == (1, 2)
    assert (first.value["warmth"], second.value["warmth"]) == ("asleep", "waking")


@pytest.mark.parametrize(("seconds", "version"), [(0.0, 1), (299.0, 1), (300.0, 2), (-1.0, 2)])
def test_an_unchanged_snapshot_is_written_again_once_it_is_old(
    account: Account, snapshot: EndpointSnapshot, cells: Cells, seconds: float, version: int
):
    with account.answering(*ALL):
        told = snapshot.take(now=NOW)
    cells.write("endpoint", {**told, "at": NOW - seconds}, expected=0)
    with account.answering(*ALL):
        snapshot.refresh(cells, now=NOW)
    cell = cells.read("endpoint")
    assert cell is not None
    assert cell.version == version


class FasterOther(SqliteCells):
    """Another sweep writes between our reading and our writing."""

    def write(self, key: str, value: Any, *, expected: int) -> int:
        super().write(key, {"warmth": "awake", "at": NOW}, expected=expected)
        raise CellMoved(key)


def test_a_faster_sweep_is_fine(account: Account, snapshot: EndpointSnapshot, journal: ListJournal):
    with closing(Database(MEMORY)) as database, account.answering(*ALL):
        snapshot.refresh(FasterOther(database), now=NOW)
    assert journal.named("endpoint_look_overtaken") == [{}]
