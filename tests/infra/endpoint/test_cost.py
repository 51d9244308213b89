"""What an idle month is said to cost rests on what the sweep really asks for."""

from collections.abc import Iterator

import pytest

from bot.aws.dynamo_cells import DynamoCells
from bot.aws.dynamo_jobs import DynamoJobs
from bot.local.system import SequentialIds
from bot.ports import Cells, Jobs
from infra.endpoint.cost import SCALING_ALARMS, SWEEP_READS, idle_month, total
from tests.aws.cloud import Cloud
from tests.contracts.inference_stub import InferenceStub
from tests.infra.endpoint.account import Account
from tests.infra.sagemaker.standing_region import Stand, standing_region
from tests.infra.sagemaker.test_auto_scaling import asleep, track, wake_on_backlog
from tests.infra.sagemaker.test_from_zero import Zero

A_DAY = 86_400


class TableZero(Zero):
    """The functions over the table; `reads` counts what is asked of it."""

    def stores(self) -> tuple[Jobs, Cells]:
        self.reads = 0
        clients, table = self.stand.cloud.new_clients(), self.stand.cloud.make_table()
        for operation in ("GetItem", "Query"):
            clients["dynamodb"].meta.events.register(f"before-call.dynamodb.{operation}", self._count)
        jobs = DynamoJobs(clients, table=table, retention=90 * A_DAY)
        return jobs, DynamoCells(clients, table=table, ids=SequentialIds())

    def _count(self, **_: object) -> None:
        self.reads += 1


@pytest.fixture
def stand(container: InferenceStub) -> Iterator[Stand]:
    with standing_region(Cloud(), container_url=container.url) as stand:
        yield stand


def test_a_sweep_in_which_nothing_is_due_reads_as_often_as_its_price_says(stand: Stand):
    asleep(stand)
    track(stand)
    wake_on_backlog(stand)
    zero = TableZero(stand)
    zero.minute(2)
    zero.reads = 0
    zero.minute(10)

    assert zero.reads == 10 * SWEEP_READS


def test_the_endpoints_alarms_are_as_many_as_are_priced(account: Account):
    account.apply()

    assert len(account["cloudwatch"].describe_alarms()["MetricAlarms"]) == SCALING_ALARMS


def test_an_idle_month_is_two_dollars_at_most_with_ten_gigabytes_of_models():
    month = idle_month(models_gb=10)
    lines = {line.what: line.dollars for line in month}

    assert total(month) <= 2
    assert "alarms, 11" in lines
    assert lines["models in S3, 10 GB"] == pytest.approx(0.23)
