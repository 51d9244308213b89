"""Application Auto Scaling as the stand-in plays it: from zero, on a backlog, back to zero, by the clock."""

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from infra.local.sagemaker.schedules import read_schedule
from tests.contracts.inference_stub import InferenceStub
from tests.infra.sagemaker.standing_region import START, Stand

NAMED = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/imagine/variant/AllTraffic",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
BACKLOG = {
    "MetricName": "ApproximateBacklogSizePerInstance",
    "Namespace": "AWS/SageMaker",
    "Dimensions": [{"Name": "EndpointName", "Value": "imagine"}],
    "Statistic": "Average",
}


def register(stand: Stand, low: int, high: int, **changed: Any) -> None:
    stand.scaling.register_scalable_target(**NAMED, MinCapacity=low, MaxCapacity=high, **changed)


def track(stand: Stand, target: float = 3) -> dict[str, Any]:
    reply: dict[str, Any] = stand.scaling.put_scaling_policy(
        **NAMED,
        PolicyName="backlog",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": target,
            "CustomizedMetricSpecification": BACKLOG,
            "ScaleInCooldown": 60,
            "ScaleOutCooldown": 60,
        },
    )
    return reply


def wake_on_backlog(stand: Stand) -> None:
    """The step policy that the guide asks for beside target tracking, and its alarm."""
    policy = stand.scaling.put_scaling_policy(
        **NAMED,
        PolicyName="wake",
        PolicyType="StepScaling",
        StepScalingPolicyConfiguration={
            "AdjustmentType": "ChangeInCapacity",
            "MetricAggregationType": "Average",
            "Cooldown": 300,
            "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}],
        },
    )
    stand.cloud.session().create_client("cloudwatch").put_metric_alarm(
        AlarmName="imagine-wake",
        Namespace="AWS/SageMaker",
        MetricName="HasBacklogWithoutCapacity",
        Dimensions=BACKLOG["Dimensions"],
        Statistic="Average",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="missing",
        AlarmActions=[policy["PolicyARN"]],
    )


def asleep(stand: Stand) -> None:
    stand.make_endpoint()
    register(stand, 0, 2)
    stand.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName="imagine",
        DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": 0}],
    )
    stand.advance(10)
    assert stand.status() == ("InService", 0, 0)


def test_a_minimum_moves_capacity_at_once(stand: Stand):
    stand.make_endpoint()
    register(stand, 2, 3)
    assert stand.status() == ("Updating", 1, 2)

    stand.advance(240)
    assert stand.status() == ("InService", 2, 2)
    register(stand, 0, 1)
    stand.advance(10)
    assert stand.status() == ("InService", 1, 1)


def test_target_tracking_alone_leaves_one_job_waiting_for_ever(stand: Stand):
    asleep(stand)
    track(stand)
    stand.invoke()
    stand.advance(3600)

    assert stand.status() == ("InService", 0, 0)


def test_with_the_step_policy_one_job_wakes_it_and_idleness_ends_it(stand: Stand):
    asleep(stand)
    track(stand)
    wake_on_backlog(stand)
    stand.invoke()

    stand.advance(90)
    assert stand.status() == ("Updating", 0, 1)
    stand.advance(240)
    assert stand.status() == ("InService", 1, 1)
    stand.until(lambda: stand.region.runtime("imagine").tally.processed == 1)
    stand.advance(20 * 60)
    assert stand.status() == ("InService", 0, 0)


def test_a_long_queue_brings_a_second_instance(stand: Stand, container: InferenceStub):
    container.gate.clear()
    asleep(stand)
    track(stand)
    wake_on_backlog(stand)
    for number in range(7):
        stand.invoke(number)
    stand.advance(15 * 60)

    assert stand.status() == ("InService", 2, 2)
    container.gate.set()
    stand.until(lambda: stand.region.runtime("imagine").tally.processed == 7)


def test_the_alarm_tells_its_state_and_the_metrics_are_there(stand: Stand):
    asleep(stand)
    wake_on_backlog(stand)
    stand.invoke()
    stand.advance(60)

    cloudwatch = stand.cloud.session().create_client("cloudwatch")
    assert cloudwatch.describe_alarms(AlarmNames=["imagine-wake"])["MetricAlarms"][0]["StateValue"] == "ALARM"
    listed = {
        metric["MetricName"] for metric in cloudwatch.list_metrics(Namespace="AWS/SageMaker")["Metrics"]
    }
    assert {"ApproximateBacklogSize", "HasBacklogWithoutCapacity"} <= listed


def test_target_tracking_brings_two_alarms_that_go_with_it(stand: Stand):
    asleep(stand)
    alarms = [alarm["AlarmName"] for alarm in track(stand)["Alarms"]]
    cloudwatch = stand.cloud.session().create_client("cloudwatch")
    assert len(cloudwatch.describe_alarms(AlarmNames=alarms)["MetricAlarms"]) == 2

    stand.scaling.delete_scaling_policy(**NAMED, PolicyName="backlog")
    assert cloudwatch.describe_alarms(AlarmNames=alarms)["MetricAlarms"] == []


def test_suspended_scaling_in_holds_the_instances(stand: Stand):
    stand.make_endpoint()
    register(stand, 0, 2, SuspendedState={"DynamicScalingInSuspended": True})
    track(stand)
    stand.advance(3600)

    assert stand.status() == ("InService", 1, 1)


def test_a_scheduled_action_acts_without_anybody(stand: Stand):
    asleep(stand)
    at = datetime.fromtimestamp(START + 3600, tz=UTC).strftime("at(%Y-%m-%dT%H:%M:%S)")
    stand.scaling.put_scheduled_action(
        **NAMED,
        ScheduledActionName="warm-end",
        Schedule=at,
        ScalableTargetAction={"MinCapacity": 0},
    )
    register(stand, 1, 2)
    stand.advance(600)
    assert stand.status() == ("InService", 1, 1)
    track(stand)
    stand.advance(3600)

    target = stand.scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"][0]
    assert target["MinCapacity"] == 0
    stand.advance(1200)
    assert stand.status() == ("InService", 0, 0)
    actions = stand.scaling.describe_scheduled_actions(ServiceNamespace="sagemaker")["ScheduledActions"]
    assert actions == [], "a one-time action is gone once it has acted"


def test_activities_tell_what_happened(stand: Stand):
    stand.make_endpoint()
    register(stand, 2, 3)
    activities = stand.scaling.describe_scaling_activities(ServiceNamespace="sagemaker")["ScalingActivities"]

    assert activities[0]["Description"] == "Setting desired instance count to 2."
    assert activities[0]["StatusCode"] == "Successful"


@pytest.mark.parametrize(
    ("operation", "sent", "told"),
    [
        ("put_scaling_policy", {"PolicyName": "p", "PolicyType": "StepScaling"}, "ObjectNotFoundException"),
        ("deregister_scalable_target", {}, "ObjectNotFoundException"),
        ("delete_scaling_policy", {"PolicyName": "p"}, "ObjectNotFoundException"),
        ("delete_scheduled_action", {"ScheduledActionName": "p"}, "ObjectNotFoundException"),
        ("register_scalable_target", {"MinCapacity": 2, "MaxCapacity": 1}, "less than minimum"),
        ("register_scalable_target", {"MinCapacity": 2}, "are required for a new"),
        ("register_scalable_target", {"ResourceId": "endpoint/x/variant/y"}, "Could not find endpoint"),
        ("register_scalable_target", {"ResourceId": "endpoint/imagine/variant/y"}, "does not exist"),
        ("register_scalable_target", {"ResourceId": "service/x"}, "Unsupported resource"),
        ("register_scalable_target", {"ScalableDimension": "ecs:service:DesiredCount"}, "only sagemaker"),
    ],
)
def test_what_application_auto_scaling_refuses(stand: Stand, operation: str, sent: dict[str, Any], told: str):
    stand.make_endpoint()
    with pytest.raises(ClientError, match=told):
        getattr(stand.scaling, operation)(**{**NAMED, **sent})


@pytest.mark.parametrize(
    ("schedule", "zone"),
    [
        ("at(2001-01-01T00:00:00)", "UTC"),
        ("cron(0 9 * * * *)", "UTC"),
        ("cron(0 9 ? * MON-FRI)", "UTC"),
        ("cron(0 25 ? * MON-FRI *)", "UTC"),
        ("rate(0 minutes)", "UTC"),
        ("daily", "UTC"),
        ("cron(0 9 ? * MON-FRI *)", "Mars/Olympus"),
    ],
)
def test_a_schedule_that_is_none_is_refused(stand: Stand, schedule: str, zone: str):
    stand.make_endpoint()
    register(stand, 0, 1)
    with pytest.raises(ClientError, match="ValidationException"):
        stand.scaling.put_scheduled_action(**NAMED, ScheduledActionName="x", Schedule=schedule, Timezone=zone)


def test_office_hours_follow_summer_time():
    opens = read_schedule("cron(0 9 ? * MON-FRI *)", zone="Europe/Berlin")
    march = datetime(2027, 3, 26, tzinfo=UTC).timestamp()
    moments = [datetime.fromtimestamp(at, tz=UTC) for at in opens.between(march, march + 4 * 86_400, start=0)]

    assert moments == [datetime(2027, 3, 26, 8, tzinfo=UTC), datetime(2027, 3, 29, 7, tzinfo=UTC)]


@given(st.integers(1, 120), st.integers(0, 10**6), st.integers(0, 10**5))
def test_a_rate_misses_nothing_and_repeats_nothing(minutes: int, start: int, length: int):
    every = read_schedule(f"rate({minutes} minutes)")
    whole = list(every.between(start, start + 2 * length, start=start))
    halves = [
        *every.between(start, start + length, start=start),
        *every.between(start + length, start + 2 * length, start=start),
    ]

    assert whole == halves
    assert len(whole) == 2 * length // (60 * minutes)
