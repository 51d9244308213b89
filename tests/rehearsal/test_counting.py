"""Metrics come from what our journal counts, as CloudWatch reads it, and from nothing else in a log."""

import io
from datetime import UTC, datetime

import boto3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moto import mock_aws

from bot.aws.journal import LambdaJournal
from infra.rehearsal.counting import Counting, data_of

GROUP = "/aws/lambda/imagine-local-sweep"


def written(event: str, **fields: str) -> list[str]:
    stream = io.StringIO()
    LambdaJournal(service="imagine-local", function="sweep", stream=stream).event(event, **fields)
    return stream.getvalue().splitlines()


@settings(max_examples=20)
@given(reason=st.text(min_size=1, max_size=20))
def test_a_count_has_a_metric_for_each_set_of_dimensions_that_it_names(reason: str):
    told = [datum for line in written("foreign_event", reason=reason) for datum in data_of(line)]

    assert [(namespace, datum["MetricName"], datum["Values"]) for namespace, datum in told] == [
        ("imagine", "foreign_event", [1.0])
    ]
    dimensions = {each["Name"]: each["Value"] for each in told[0][1]["Dimensions"]}
    assert dimensions == {"service": "imagine-local", "reason": reason}
    assert datetime.now(UTC) >= told[0][1]["Timestamp"]


@pytest.mark.parametrize("line", ["START RequestId: 1", "", "[]", "7", '{"level": "INFO", "message": "x"}'])
def test_other_lines_count_nothing(line: str):
    assert list(data_of(line)) == []


def test_each_line_is_counted_once_however_often_the_log_is_read():
    with mock_aws():
        logs, cloudwatch = (boto3.client(name, region_name="us-east-1") for name in ("logs", "cloudwatch"))
        logs.create_log_group(logGroupName=GROUP)
        logs.create_log_stream(logGroupName=GROUP, logStreamName="a")
        now = int(datetime.now(UTC).timestamp() * 1000)
        events = [{"timestamp": now, "message": line} for line in written("foreign_event", reason="shape")]
        logs.put_log_events(logGroupName=GROUP, logStreamName="a", logEvents=events)
        counting = Counting(logs=logs, cloudwatch=cloudwatch, prefix=GROUP, since=now - 1000)
        counting.go_on()
        counting.go_on()

        (metric,) = cloudwatch.list_metrics(Namespace="imagine", MetricName="foreign_event")["Metrics"]
        told = cloudwatch.get_metric_statistics(
            Namespace="imagine",
            MetricName="foreign_event",
            Dimensions=metric["Dimensions"],
            StartTime=datetime.fromtimestamp(now / 1000 - 600, tz=UTC),
            EndTime=datetime.fromtimestamp(now / 1000 + 600, tz=UTC),
            Period=3600,
            Statistics=["Sum"],
        )["Datapoints"]
    assert sum(point["Sum"] for point in told) == 1.0
