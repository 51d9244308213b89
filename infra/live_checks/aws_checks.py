"""The checks of AWS. What the stand-ins assume stands in infra/local/sagemaker/rules.py; a test holds both
together.
"""

import uuid
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

from infra.live_checks.aws_site import COLD, FOLDER, NONSENSE, AwsSite, refusal_of
from infra.live_checks.check import Check, NotNow, Verdict, failed, measured, passed

GUIDE = "SageMaker developer guide, silent on it"
STANDIN = "infra/local/sagemaker/rules.py"
TTL = 60
SCHEDULE = "at(%Y-%m-%dT%H:%M:%S)"

UNCHECKED: Mapping[str, str] = {
    "patience-for-machines": "a shortage of machines cannot be ordered; read the guide again",
    "interrupted-again": "AWS takes a spot machine when it likes; look at a long training's transitions",
    "missing-key-403": "our roles may list, so that a missing key reads as missing",
}
"""What no run can find out, and why."""


def known_members(site: AwsSite, undo: ExitStack) -> Verdict:
    client = site.clients["sagemaker"]
    event, name = "before-call.sagemaker.ListModels", "smoke"

    def colour(params: dict[str, Any], **_: Any) -> None:
        params["body"] = b'{"Colour": "red"}'

    client.meta.events.register(event, colour, unique_id=name)
    undo.callback(client.meta.events.unregister, event, unique_id=name)
    return _refused(refusal_of(client.list_models), "a member that the service does not know")


def wait_spot(site: AwsSite, undo: ExitStack) -> Verdict:
    sagemaker, name = site.clients["sagemaker"], f"{site.place.name}-{_unique()}"
    bucket = f"s3://{site.place.bucket}/in/{FOLDER}"
    said = refusal_of(
        lambda: sagemaker.create_training_job(
            TrainingJobName=name,
            AlgorithmSpecification={"TrainingImage": _image(site), "TrainingInputMode": "File"},
            RoleArn=_role(site),
            OutputDataConfig={"S3OutputPath": bucket},
            ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            StoppingCondition={"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 120},
            EnableManagedSpotTraining=False,
        )
    )
    if said is None:
        undo.callback(sagemaker.stop_training_job, TrainingJobName=name)
    return _refused(said, "MaxWaitTimeInSeconds without spot")


def type_or_pools(site: AwsSite, undo: ExitStack) -> Verdict:
    sagemaker, name, variant = site.clients["sagemaker"], f"{site.place.name}-{_unique()}", site.variant
    kind = variant.get("InstanceType") or variant["InstancePools"][0]["InstanceType"]
    both = {
        "VariantName": "AllTraffic",
        "ModelName": variant["ModelName"],
        "InitialInstanceCount": 1,
        "InstanceType": kind,
        "InstancePools": [{"InstanceType": kind, "Priority": 1}],
    }
    said = refusal_of(
        lambda: sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[both])
    )
    if said is None:
        undo.callback(sagemaker.delete_endpoint_config, EndpointConfigName=name)
    return _refused(said, "InstanceType and InstancePools together")


def new_config(site: AwsSite, undo: ExitStack) -> Verdict:
    config = site.endpoint()["EndpointConfigName"]
    undo.callback(site.settled)
    said = refusal_of(
        lambda: site.clients["sagemaker"].update_endpoint(
            EndpointName=site.place.name, EndpointConfigName=config
        )
    )
    return _refused(said, "an update with the config that serves already")


def schedule_ahead(site: AwsSite, undo: ExitStack) -> Verdict:
    scaling, name = site.clients["application-autoscaling"], f"{site.place.name}-{_unique()}"
    site.endpoint()
    said = refusal_of(
        lambda: scaling.put_scheduled_action(
            **site.target,
            ScheduledActionName=name,
            Schedule="at(2001-01-01T00:00:00)",
            ScalableTargetAction={"MinCapacity": 0},
        )
    )
    if said is None:
        undo.callback(scaling.delete_scheduled_action, **site.target, ScheduledActionName=name)
    return _refused(said, "a one-time action in the past")


def one_time_gone(site: AwsSite, undo: ExitStack) -> Verdict:
    scaling, name = site.clients["application-autoscaling"], f"{site.place.name}-{_unique()}"
    site.endpoint()
    moment = datetime.fromtimestamp(site.now() + 120, tz=UTC)
    action = {**site.target, "ScheduledActionName": name}
    scaling.put_scheduled_action(
        **action, Schedule=moment.strftime(SCHEDULE), ScalableTargetAction={"MinCapacity": 0}
    )

    def listed() -> bool:
        told = scaling.describe_scheduled_actions(ServiceNamespace="sagemaker", ScheduledActionNames=[name])
        return bool(told["ScheduledActions"])

    def remove() -> None:
        if listed():
            scaling.delete_scheduled_action(**action)

    undo.callback(remove)
    gone = site.until(lambda: not listed(), patience=900.0)
    return (
        failed("still listed a quarter of an hour later")
        if gone is None
        else passed(f"gone after {gone:.0f} s")
    )


def failure_name(site: AwsSite, undo: ExitStack) -> Verdict:
    told = site.invoke(undo, name=_unique(), body=NONSENSE)
    where, waited = told.get("FailureLocation", ""), site.answered(told)
    if waited is None or not where or not site.there(where):
        return failed(f"nothing lies at the FailureLocation that was told ({_tail(where) or 'none'})")
    said = passed if where.endswith("-error.out") else failed
    return said(f"it lies at FailureLocation after {waited:.0f} s; its name ends in {_tail(where)}")


def output_name(site: AwsSite, undo: ExitStack) -> Verdict:
    name, asleep = _unique(), site.instances() == 0
    told = site.invoke(undo, name=name)
    where, waited = told["OutputLocation"], site.answered(told)
    if waited is None or not site.there(where):
        return failed("no output, or a failure instead, within half an hour; imagine logs endpoint")
    wanted = f"{site.place.outputs}{FOLDER}/{name}.out"
    said = passed if where == wanted else failed
    return said(f"{_tail(where)} after {waited:.0f} s, {'from no instance' if asleep else 'awake'}")


def inference_id_twice(site: AwsSite, undo: ExitStack) -> Verdict:
    name = _unique()
    first = site.invoke(undo, name=name)
    second = site.invoke(undo, name=f"{name}b", InferenceId=f"{FOLDER}.{name}")
    if site.answered(first) is None:
        return failed("the first request brought nothing")
    drawn = site.answered(second, patience=300.0) is not None
    return measured(f"the same InferenceId twice is drawn {'twice' if drawn else 'once'}")


def backlog_at_zero(site: AwsSite, undo: ExitStack) -> Verdict:
    values: list[float] = []

    def shown() -> bool:
        values[:] = _metric(site, "ApproximateBacklogSizePerInstance")
        return max(values, default=0.0) >= 2

    with ExitStack() as sleep:
        site.asleep(sleep)
        waiting = [site.invoke(undo, name=_unique(), RequestTTLSeconds=3600) for _ in range(2)]
        counted = site.until(shown, patience=600.0) is not None
    site.until(lambda: _all_there(site, waiting), patience=COLD)  # or they would be drawn after the clean-up
    if not counted:
        return failed(f"with two waiting it shows {max(values, default=None)} without an instance")
    return passed("it counts the whole backlog without an instance")


def expiry_silent(site: AwsSite, undo: ExitStack) -> Verdict:
    site.asleep(undo)
    told = site.invoke(undo, name=_unique(), RequestTTLSeconds=TTL)
    found = site.answered(told, patience=TTL * 5.0)
    if found is None:
        return passed(f"nothing lies anywhere {TTL * 4} s after its time was over")
    return failed(f"an object lies there {found:.0f} s after the submission")


def queue_outlives_update(site: AwsSite, undo: ExitStack) -> Verdict:
    name, before = f"{site.place.name}-{_unique()}", site.endpoint()["EndpointConfigName"]
    sagemaker = site.clients["sagemaker"]
    copied = {key: site.config[key] for key in ("ProductionVariants", "AsyncInferenceConfig")}
    sagemaker.create_endpoint_config(EndpointConfigName=name, **copied)
    undo.callback(sagemaker.delete_endpoint_config, EndpointConfigName=name)
    undo.callback(_return_to, site, before)
    with ExitStack() as sleep:
        site.asleep(sleep)
        waiting = [site.invoke(undo, name=_unique(), RequestTTLSeconds=3600) for _ in range(2)]
        sagemaker.update_endpoint(EndpointName=site.place.name, EndpointConfigName=name)
        site.settled()
    site.until(lambda: _all_there(site, waiting), patience=COLD)
    drawn = sum(site.there(told["OutputLocation"]) for told in waiting)
    return (passed if drawn == len(waiting) else failed)(f"{drawn} of {len(waiting)} that waited were drawn")


def artifacts_early(site: AwsSite, undo: ExitStack) -> Verdict:
    del undo
    sagemaker = site.clients["sagemaker"]
    running = sagemaker.list_training_jobs(NameContains=site.place.name, StatusEquals="InProgress")
    for told in running["TrainingJobSummaries"]:
        described = sagemaker.describe_training_job(TrainingJobName=told["TrainingJobName"])
        where = described.get("ModelArtifacts", {}).get("S3ModelArtifacts", "")
        return passed(f"told: {_tail(where)}") if where else failed("not told while it trains")
    raise NotNow("no training of this stage runs; begin one with imagine train, then run this check")


def create_once(site: AwsSite, undo: ExitStack) -> Verdict:
    s3, place = site.clients["s3"], {"Bucket": site.place.bucket, "Key": f"in/{FOLDER}/{_unique()}"}
    undo.callback(s3.delete_object, **place)
    s3.put_object(**place, Body=b"1", IfNoneMatch="*")
    return _refused(refusal_of(lambda: s3.put_object(**place, Body=b"2", IfNoneMatch="*")), "a second PUT")


def presign_expiry(site: AwsSite, undo: ExitStack) -> Verdict:
    s3, place = site.clients["s3"], {"Bucket": site.place.bucket, "Key": f"in/{FOLDER}/{_unique()}"}
    undo.callback(s3.delete_object, **place)
    s3.put_object(**place, Body=b"1")
    url = site.links.link(place["Key"], seconds=20)
    early, _ = site.fetch(url, None, {})
    site.pause(30.0)
    late, _ = site.fetch(url, None, {})
    good = (early, late) == (200, 403)
    return (passed if good else failed)(f"{early} in time, {late} ten seconds late")


def functions_start(site: AwsSite, undo: ExitStack) -> Verdict:
    """A foreign event does nothing but prove that the wheels of Lambda's machine load."""
    del undo
    names = {"slack": b"{}", "sweep": b'{"smoke": true}', "admin": b'{"smoke": true}'}
    crashed = [name for name, event in names.items() if _crashes(site, name, event)]
    if crashed:
        return failed(f"{', '.join(crashed)} failed at a foreign event; imagine logs {crashed[0]}")
    return passed(f"{', '.join(names)} start and refuse a foreign event")


def counts_arrive(site: AwsSite, undo: ExitStack) -> Verdict:
    """Our journal's counts become metrics without a call."""
    del undo
    _crashes(site, "sweep", b'{"smoke": true}')

    def listed() -> bool:
        told = site.clients["cloudwatch"].list_metrics(Namespace="imagine", MetricName="foreign_event")
        return bool(told["Metrics"])

    waited = site.until(listed, patience=900.0)
    return (
        failed("no metric after a quarter of an hour") if waited is None else passed(f"after {waited:.0f} s")
    )


def gateway_refuses(site: AwsSite, undo: ExitStack) -> Verdict:
    """The gateway hands over headers and bodies as our reading expects them."""
    del undo
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answers = {
        "unsigned": site.fetch(_slack(site), b"command=%2Fimagine", form)[0],
        "two MiB": site.fetch(_slack(site), b"x" * (2 << 20), form)[0],
    }
    good = answers["unsigned"] in (401, 503) and answers["two MiB"] in (413, 503)
    told = ", ".join(f"{name} {status}" for name, status in answers.items())
    return (passed if good else failed)(told)


AWS_CHECKS: tuple[Check[AwsSite], ...] = (
    Check(
        id="functions-start",
        claim="The functions load and start on Lambda's arm64",
        source="wheels were never run there",
        run=functions_start,
    ),
    Check(
        id="gateway-refuses",
        claim="HTTP API hands requests over as payload 2.0 says",
        source="API Gateway guide",
        run=gateway_refuses,
    ),
    Check(
        id="counts-arrive",
        claim="Counts in the log become metrics",
        source="CloudWatch guide, embedded metric format",
        run=counts_arrive,
    ),
    Check(
        id="create-once",
        claim="A PUT with If-None-Match does not replace an object",
        source="S3 API reference",
        run=create_once,
    ),
    Check(
        id="presign-expiry",
        claim="A presigned link ends when it says",
        source="S3 user guide; stand-ins do not check it",
        run=presign_expiry,
    ),
    Check(
        id="known-members",
        claim="A request with a member that the service does not know is refused",
        source=STANDIN,
        run=known_members,
        settles=("known-members",),
    ),
    Check(
        id="type-or-pools",
        claim="A variant has an InstanceType or InstancePools, one of them",
        source=STANDIN,
        run=type_or_pools,
        settles=("type-or-pools",),
    ),
    Check(
        id="wait-spot",
        claim="MaxWaitTimeInSeconds is for spot only",
        source=STANDIN,
        run=wait_spot,
        minutes=1,
        settles=("wait-spot",),
    ),
    Check(
        id="schedule-ahead",
        claim="A one-time action lies ahead",
        source=STANDIN,
        run=schedule_ahead,
        settles=("schedule-ahead",),
    ),
    Check(
        id="one-time-gone",
        claim="A one-time scheduled action is gone once it has acted",
        source=STANDIN,
        run=one_time_gone,
        settles=("one-time-gone",),
    ),
    Check(
        id="artifacts-early",
        claim="A job that is not over tells where its model will lie",
        source=STANDIN,
        run=artifacts_early,
        settles=("artifacts-early",),
    ),
    Check(
        id="output-name",
        claim="The output lies where Filename and S3OutputPathExtension say; from no instance too",
        source="botocore; names were never seen",
        run=output_name,
        minutes=15,
    ),
    Check(
        id="failure-name",
        claim="A failure lies at FailureLocation, whose name ends in -error.out",
        source=STANDIN,
        run=failure_name,
        minutes=5,
        settles=("failure-name",),
    ),
    Check(
        id="inference-id-twice",
        claim="What SageMaker does with an InferenceId that it had before",
        source=GUIDE,
        run=inference_id_twice,
        minutes=5,
    ),
    Check(
        id="new-config",
        claim="An update needs a config that does not serve already",
        source=STANDIN,
        run=new_config,
        minutes=10,
        settles=("new-config",),
    ),
    Check(
        id="expiry-silent",
        claim="A request that expires in the queue leaves neither object nor notice",
        source=STANDIN,
        run=expiry_silent,
        settles=("expiry-silent",),
    ),
    Check(
        id="backlog-at-zero",
        claim="Without an instance, ApproximateBacklogSizePerInstance counts the whole backlog",
        source=STANDIN,
        run=backlog_at_zero,
        minutes=15,
        settles=("backlog-at-zero",),
    ),
    Check(
        id="queue-outlives-update",
        claim="What waits in the queue outlives an update of the endpoint",
        source=STANDIN,
        run=queue_outlives_update,
        minutes=30,
        settles=("queue-outlives-update",),
    ),
)
"""Cheap ones first; those that put the endpoint to sleep last."""


def _refused(said: str | None, what: str) -> Verdict:
    return failed(f"{what} was taken") if said is None else passed(said)


def _return_to(site: AwsSite, config: str) -> None:
    if site.endpoint()["EndpointConfigName"] != config:
        site.settled()
        site.clients["sagemaker"].update_endpoint(EndpointName=site.place.name, EndpointConfigName=config)
        site.settled()


def _all_there(site: AwsSite, waiting: Sequence[Mapping[str, Any]]) -> bool:
    return all(site.there(told["OutputLocation"]) for told in waiting)


def _metric(site: AwsSite, name: str) -> list[float]:
    told = site.clients["cloudwatch"].get_metric_data(
        MetricDataQueries=[
            {
                "Id": "m",
                "MetricStat": {
                    "Metric": {
                        "Namespace": "AWS/SageMaker",
                        "MetricName": name,
                        "Dimensions": [{"Name": "EndpointName", "Value": site.place.name}],
                    },
                    "Period": 60,
                    "Stat": "Maximum",
                },
            }
        ],
        StartTime=datetime.fromtimestamp(site.now() - 900, tz=UTC),
        EndTime=datetime.fromtimestamp(site.now() + 60, tz=UTC),
    )
    return [float(value) for value in told["MetricDataResults"][0]["Values"]]


def _crashes(site: AwsSite, function: str, event: bytes) -> bool:
    told = site.clients["lambda"].invoke(FunctionName=f"{site.place.name}-{function}", Payload=event)
    return bool(told.get("FunctionError"))


def _slack(site: AwsSite) -> str:
    if not site.url:
        raise NotNow(f"no gateway is deployed; imagine deploy --stage {site.place.stage}")
    return f"{site.url}/slack/events"


def _model(site: AwsSite) -> Mapping[str, Any]:
    told: Mapping[str, Any] = site.clients["sagemaker"].describe_model(ModelName=site.variant["ModelName"])
    return told


def _image(site: AwsSite) -> str:
    return str(_model(site)["PrimaryContainer"]["Image"])


def _role(site: AwsSite) -> str:
    return str(_model(site)["ExecutionRoleArn"])


def _tail(location: str) -> str:
    return location.rpartition("/")[2]


def _unique() -> str:
    return f"{FOLDER}-{uuid.uuid4().hex[:12]}"
