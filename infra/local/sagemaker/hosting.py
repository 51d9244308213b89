"""SageMaker's hosting control plane: models, endpoint configs and endpoints, with the states an endpoint goes
through.

Operations take the members of a request that `shapes.py` has checked and return those of the reply. Nothing
happens by itself: `settle(now)` takes every endpoint on to where it should be at that time. Sentences are
AWS's where they are public (issue threads, the guide); the table in docs/local-sagemaker.md says how sure
each rule is.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from infra.local.sagemaker.capacity import Capacity
from infra.local.sagemaker.endpoint import AsyncEndpoint, EndpointConfig
from infra.local.sagemaker.errors import Refusal
from infra.local.sagemaker.fleet import Fleet

Members = Mapping[str, Any]
Thing = TypeVar("Thing")
IN_PROGRESS = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"})
NO_CAPACITY = (
    "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error. Please "
    "retry using a different ML instance type or after some time."
)
NOT_HEALTHY = (
    "The primary container for production variant {variant} did not pass the ping health check. Please check "
    "CloudWatch logs for this endpoint."
)
NO_MODEL_FILES = (
    "Failed to download model data for container from URL: {url}. Please ensure that there is an "
    "object located at the URL."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long things take, in seconds. `launch` is a machine's cold start: image, model files, first
    ping.
    """

    launch: float = 240.0
    delete: float = 30.0


@dataclass(slots=True, kw_only=True)
class Troubles:
    """Switches for what goes wrong; counts are used up."""

    unhealthy_starts: int = 0
    """The next new fleets never pass their first ping."""


@dataclass(slots=True, kw_only=True)
class HostedEndpoint:
    """One endpoint. `fleets` serve; `coming` are those of a config it is being updated to."""

    name: str
    config: Members
    created: float
    status: str = "Creating"
    reason: str | None = None
    modified: float = 0.0
    fleets: list[Fleet] = field(default_factory=list)
    coming: tuple[Members, list[Fleet]] | None = None
    began: float = 0.0
    doomed: bool = False
    tags: Sequence[Mapping[str, str]] = ()
    runtime: AsyncEndpoint | None = None

    def ready(self, now: float) -> int:
        return sum(fleet.ready(now) for fleet in self.fleets)


OpenRuntime = Callable[[EndpointConfig, Members], AsyncEndpoint]
"""Makes the queue and workers of an endpoint from its config and its first variant's model."""

HasFiles = Callable[[str], bool]
"""Whether there is an object at an s3:// address, or below it where it ends in a slash."""


class Hosting:
    """One account's models, configs and endpoints in one region. `clock` tells seconds since 1970."""

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        open_runtime: OpenRuntime,
        has_files: HasFiles = lambda _url: True,
        capacity: Capacity | None = None,
        pace: Pace | None = None,
        region: str = "us-east-1",
        account: str = "123456789012",
        partition: str = "aws",
    ) -> None:
        self.capacity = capacity or Capacity()
        self.pace = pace or Pace()
        self.troubles = Troubles()
        self.endpoints: dict[str, HostedEndpoint] = {}
        self._clock = clock
        self._open_runtime = open_runtime
        self._has_files = has_files
        self._region = region
        self._prefix = f"arn:{partition}:sagemaker:{region}:{account}"
        self._models: dict[str, Members] = {}
        self._configs: dict[str, Members] = {}

    # models

    def create_model(self, sent: Members) -> Members:
        """Refuses a name that is taken and a container without an image."""
        arn = self._new("model", sent["ModelName"], self._models)
        container = sent.get("PrimaryContainer") or next(iter(sent.get("Containers", [])), None)
        if container is None or not container.get("Image"):
            raise _invalid("Model must have a PrimaryContainer with an Image")
        if not sent.get("ExecutionRoleArn"):
            raise _invalid("ExecutionRoleArn is required")
        _check_source(container)
        self._models[sent["ModelName"]] = {**sent, "CreationTime": self._clock(), "ModelArn": arn}
        return {"ModelArn": arn}

    def describe_model(self, sent: Members) -> Members:
        return _without(self._found("model", sent["ModelName"], self._models), "Tags")

    def delete_model(self, sent: Members) -> Members:
        self._found("model", sent["ModelName"], self._models)
        del self._models[sent["ModelName"]]
        return {}

    def list_models(self, sent: Members) -> Members:
        shown = [
            {"ModelName": name, "ModelArn": model["ModelArn"], "CreationTime": model["CreationTime"]}
            for name, model in self._models.items()
            if sent.get("NameContains", "") in name
        ]
        return {"Models": shown}

    # endpoint configs

    def create_endpoint_config(self, sent: Members) -> Members:
        """Refuses a taken name, a missing model, a first count of 0, and a type given beside pools."""
        arn = self._new("endpoint-config", sent["EndpointConfigName"], self._configs)
        for variant in sent["ProductionVariants"]:
            self._found("model", variant.get("ModelName", ""), self._models)
            if variant.get("InitialInstanceCount", 0) < 1:
                raise _invalid("InitialInstanceCount must be at least 1")
            if bool(variant.get("InstanceType")) == bool(variant.get("InstancePools")):
                raise _invalid("Exactly one of InstanceType and InstancePools must be specified")
        self._configs[sent["EndpointConfigName"]] = {
            **sent,
            "CreationTime": self._clock(),
            "EndpointConfigArn": arn,
        }
        return {"EndpointConfigArn": arn}

    def describe_endpoint_config(self, sent: Members) -> Members:
        return _without(self._found("endpoint-config", sent["EndpointConfigName"], self._configs), "Tags")

    def delete_endpoint_config(self, sent: Members) -> Members:
        self._found("endpoint-config", sent["EndpointConfigName"], self._configs)
        del self._configs[sent["EndpointConfigName"]]
        return {}

    def list_endpoint_configs(self, sent: Members) -> Members:
        shown = [
            {
                "EndpointConfigName": name,
                "EndpointConfigArn": config["EndpointConfigArn"],
                "CreationTime": config["CreationTime"],
            }
            for name, config in self._configs.items()
            if sent.get("NameContains", "") in name
        ]
        return {"EndpointConfigs": shown if sent.get("SortOrder") == "Ascending" else shown[::-1]}

    # endpoints

    def create_endpoint(self, sent: Members) -> Members:
        """Refuses a taken name, a missing config, and what the account's quota does not hold."""
        arn = self._new("endpoint", sent["EndpointName"], self.endpoints)
        config = self._found("endpoint-config", sent["EndpointConfigName"], self._configs)
        now = self._clock()
        self._check_quotas(config)
        endpoint = HostedEndpoint(
            name=sent["EndpointName"],
            config=config,
            created=now,
            modified=now,
            fleets=self._fleets(config),
            began=now,
            doomed=self._take_trouble(),
            tags=sent.get("Tags", ()),
        )
        self.endpoints[endpoint.name] = endpoint
        self.settle(now)
        return {"EndpointArn": arn}

    def describe_endpoint(self, sent: Members) -> Members:
        endpoint, now = self.endpoint(sent["EndpointName"]), self._clock()
        told: dict[str, Any] = {
            **self._summary(endpoint),
            "EndpointConfigName": endpoint.config["EndpointConfigName"],
            "ProductionVariants": [fleet.told(now) for fleet in endpoint.fleets],
        }
        if endpoint.reason:
            told["FailureReason"] = endpoint.reason
        if "AsyncInferenceConfig" in endpoint.config:
            told["AsyncInferenceConfig"] = endpoint.config["AsyncInferenceConfig"]
        if endpoint.coming:
            told["PendingDeploymentSummary"] = {
                "EndpointConfigName": endpoint.coming[0]["EndpointConfigName"],
                "ProductionVariants": [{"VariantName": fleet.name} for fleet in endpoint.coming[1]],
            }
        return told

    def list_endpoints(self, sent: Members) -> Members:
        wanted = sent.get("StatusEquals")
        return {
            "Endpoints": [
                self._summary(endpoint)
                for endpoint in self.endpoints.values()
                if sent.get("NameContains", "") in endpoint.name and wanted in (None, endpoint.status)
            ]
        }

    def list_tags(self, sent: Members) -> Members:
        """Of a model, a config or an endpoint; of nothing else here."""
        kept = {
            **{self._arn("model", name): told.get("Tags") for name, told in self._models.items()},
            **{self._arn("endpoint-config", name): told.get("Tags") for name, told in self._configs.items()},
            **{self._arn("endpoint", name): told.tags for name, told in self.endpoints.items()},
        }
        if sent["ResourceArn"] in kept:
            return {"Tags": list(kept[sent["ResourceArn"]] or ())}
        raise _invalid(f'Could not find resource "{sent["ResourceArn"]}".')

    def update_endpoint(self, sent: Members) -> Members:
        """Blue/green: a new fleet starts beside the old one, which serves until the new one is ready."""
        endpoint = self._changeable(sent["EndpointName"])
        config = self._found("endpoint-config", sent["EndpointConfigName"], self._configs)
        if config["EndpointConfigName"] == endpoint.config["EndpointConfigName"]:
            raise _invalid(f'Endpoint config "{config["EndpointConfigArn"]}" is in use by this endpoint')
        self._check_quotas(config)
        counts = {fleet.name: fleet.desired for fleet in endpoint.fleets}
        kept = counts if sent.get("RetainAllVariantProperties") else {}
        endpoint.coming = (config, self._fleets(config, counts=kept))
        endpoint.doomed = self._take_trouble()
        self._enter(endpoint, "Updating")
        self.settle(self._clock())
        return {"EndpointArn": self._arn("endpoint", endpoint.name)}

    def update_endpoint_weights_and_capacities(self, sent: Members) -> Members:
        endpoint = self._changeable(sent["EndpointName"])
        for change in sent["DesiredWeightsAndCapacities"]:
            self.scale(endpoint.name, change["VariantName"], change.get("DesiredInstanceCount"))
        return {"EndpointArn": self._arn("endpoint", endpoint.name)}

    def delete_endpoint(self, sent: Members) -> Members:
        """What waits in the queue is lost. Refused while something else is going on."""
        endpoint = self.endpoint(sent["EndpointName"])
        if endpoint.status in IN_PROGRESS:
            raise _invalid(f'Cannot update in-progress endpoint "{self._arn("endpoint", endpoint.name)}".')
        self._enter(endpoint, "Deleting")
        self._tell_runtime(endpoint)
        return {}

    # what others need

    def endpoint(self, name: str) -> HostedEndpoint:
        """Raises Refusal, as every operation does for a name that is not there."""
        return self._found("endpoint", name, self.endpoints)

    def scale(self, name: str, variant: str, count: int | None) -> None:
        """Want `count` instances, as Application Auto Scaling does. Raises Refusal while the endpoint
        changes.
        """
        endpoint = self._changeable(name)
        fleet = next((fleet for fleet in endpoint.fleets if fleet.name == variant), None)
        if fleet is None:
            raise _invalid(f"Variant {variant} does not exist")
        if count is not None and count != fleet.desired:
            fleet.desired = count
            self._enter(endpoint, "Updating")
            self.settle(self._clock())

    def settle(self, now: float) -> None:
        """Take every endpoint on to where it should be at `now`."""
        for endpoint in list(self.endpoints.values()):
            self._settle(endpoint, now)

    def close(self) -> None:
        """End every endpoint's threads."""
        for endpoint in self.endpoints.values():
            if endpoint.runtime:
                endpoint.runtime.close()

    # states

    def _settle(self, endpoint: HostedEndpoint, now: float) -> None:
        if endpoint.status == "Deleting":
            if now - endpoint.began >= self.pace.delete:
                self._remove(endpoint)
            return
        if endpoint.status == "Failed":
            return
        fleets = endpoint.coming[1] if endpoint.coming else endpoint.fleets
        for fleet in fleets:
            fleet.adjust(now)
        if endpoint.status in IN_PROGRESS:
            self._progress(endpoint, fleets, now)
        self._tell_runtime(endpoint)

    def _progress(self, endpoint: HostedEndpoint, fleets: list[Fleet], now: float) -> None:
        problem = self._problem(endpoint, fleets, now)
        if problem is None:
            if all(fleet.settled(now) for fleet in fleets):
                self._arrive(endpoint)
        elif endpoint.status == "Creating":
            self._fail(endpoint, problem)
        elif endpoint.coming:
            self._roll_back(endpoint, problem)
        else:
            for fleet in fleets:
                fleet.settle_for_less()
            endpoint.reason = problem
            self._enter(endpoint, "InService")

    def _problem(self, endpoint: HostedEndpoint, fleets: list[Fleet], now: float) -> str | None:
        if any(fleet.given_up(now) for fleet in fleets):
            return NO_CAPACITY
        config = endpoint.coming[0] if endpoint.coming else endpoint.config
        new = endpoint.status == "Creating" or endpoint.coming is not None
        for variant in config["ProductionVariants"] if new else ():
            url = _source(self._models.get(variant["ModelName"], {}))
            if url and not self._has_files(url):
                return NO_MODEL_FILES.format(url=url)
        patience = fleets[0].config.get("ContainerStartupHealthCheckTimeoutInSeconds", 600)
        if endpoint.doomed and now - endpoint.began >= self.pace.launch + patience:
            return NOT_HEALTHY.format(variant=fleets[0].name)
        return None

    def _arrive(self, endpoint: HostedEndpoint) -> None:
        if endpoint.doomed:
            return
        if endpoint.coming:
            for fleet in endpoint.fleets:
                fleet.close()
            endpoint.config, endpoint.fleets = endpoint.coming
            endpoint.coming = endpoint.reason = None
        self._open(endpoint)
        self._enter(endpoint, "InService")

    def _open(self, endpoint: HostedEndpoint) -> None:
        """The queue outlives an update; only what it writes where is new."""
        if "AsyncInferenceConfig" not in endpoint.config:
            return
        config = _runtime_config(endpoint, self._region)
        if endpoint.runtime is None:
            model = self._models.get(endpoint.config["ProductionVariants"][0]["ModelName"], {})
            endpoint.runtime = self._open_runtime(config, model)
        endpoint.runtime.config = config

    def _fail(self, endpoint: HostedEndpoint, reason: str) -> None:
        for fleet in endpoint.fleets:
            fleet.close()
        endpoint.reason = reason
        self._enter(endpoint, "Failed")

    def _roll_back(self, endpoint: HostedEndpoint, reason: str) -> None:
        for fleet in endpoint.coming[1] if endpoint.coming else ():
            fleet.close()
        endpoint.coming, endpoint.doomed, endpoint.reason = None, False, reason
        self._enter(endpoint, "InService")

    def _remove(self, endpoint: HostedEndpoint) -> None:
        for fleet in endpoint.fleets:
            fleet.close()
        if endpoint.runtime:
            endpoint.runtime.close()
        with suppress(KeyError):
            del self.endpoints[endpoint.name]

    def _tell_runtime(self, endpoint: HostedEndpoint) -> None:
        if endpoint.runtime:
            endpoint.runtime.scale(instances=endpoint.ready(self._clock()), status=endpoint.status)

    def _enter(self, endpoint: HostedEndpoint, status: str) -> None:
        endpoint.status = status
        endpoint.modified = endpoint.began = self._clock()

    # names, quotas, fleets

    def _fleets(self, config: Members, *, counts: Mapping[str, int] | None = None) -> list[Fleet]:
        return [
            Fleet(
                config=variant,
                capacity=self.capacity,
                launch_seconds=self.pace.launch,
                desired=(counts or {}).get(variant["VariantName"], variant["InitialInstanceCount"]),
            )
            for variant in config["ProductionVariants"]
        ]

    def _check_quotas(self, config: Members) -> None:
        """A variant of several types needs one type whose quota holds it."""
        for variant in config["ProductionVariants"]:
            pools = [pool["InstanceType"] for pool in variant.get("InstancePools", [])]
            refusals = list(self._over_quota(pools or [variant["InstanceType"]], variant))
            if len(refusals) == len(pools or [1]):
                raise refusals[0]

    def _over_quota(self, kinds: list[str], variant: Members) -> Iterator[Refusal]:
        for kind in kinds:
            used = sum(
                machine.kind == kind
                for endpoint in self.endpoints.values()
                for fleet in endpoint.fleets
                for machine in fleet.machines
            )
            try:
                self.capacity.check_quota(kind, used=used, wanted=variant["InitialInstanceCount"])
            except Refusal as refusal:
                yield refusal

    def _take_trouble(self) -> bool:
        doomed = self.troubles.unhealthy_starts > 0
        self.troubles.unhealthy_starts = max(self.troubles.unhealthy_starts - 1, 0)
        return doomed

    def _changeable(self, name: str) -> HostedEndpoint:
        endpoint = self.endpoint(name)
        if endpoint.status != "InService":
            arn = self._arn("endpoint", name)
            raise _invalid(f'Cannot update in-progress endpoint "{arn}".')
        return endpoint

    def _summary(self, endpoint: HostedEndpoint) -> dict[str, Any]:
        return {
            "EndpointName": endpoint.name,
            "EndpointArn": self._arn("endpoint", endpoint.name),
            "CreationTime": endpoint.created,
            "LastModifiedTime": endpoint.modified,
            "EndpointStatus": endpoint.status,
        }

    def _arn(self, kind: str, name: str) -> str:
        return f"{self._prefix}:{kind}/{name}"

    def _new(self, kind: str, name: str, there: Mapping[str, Any]) -> str:
        arn = self._arn(kind, name)
        if name in there:
            raise _invalid(f'Cannot create already existing {kind.replace("-", " ")} "{arn}".')
        return arn

    def _found(self, kind: str, name: str, there: Mapping[str, Thing]) -> Thing:
        if name not in there:
            raise _invalid(f'Could not find {kind.replace("-", " ")} "{self._arn(kind, name)}".')
        return there[name]


def _runtime_config(endpoint: HostedEndpoint, region: str) -> EndpointConfig:
    asynchronous = endpoint.config["AsyncInferenceConfig"]
    output = asynchronous["OutputConfig"]
    topics = output.get("NotificationConfig", {})
    limits = asynchronous.get("ClientConfig", {})
    return EndpointConfig(
        name=endpoint.name,
        output_path=_folder(output.get("S3OutputPath", "")),
        failure_path=_folder(output.get("S3FailurePath", "")),
        success_topic=topics.get("SuccessTopic"),
        error_topic=topics.get("ErrorTopic"),
        include_in=frozenset(topics.get("IncludeInferenceResponseIn", ())),
        concurrency=limits.get("MaxConcurrentInvocationsPerInstance", 1),
        region=region,
    )


def _folder(path: str) -> str:
    return path if path.endswith("/") else f"{path}/"


def _source(model: Members) -> str | None:
    """Where the model's files lie, if it has any."""
    container = model.get("PrimaryContainer", {})
    source: str | None = container.get("ModelDataSource", {}).get("S3DataSource", {}).get("S3Uri")
    return source or container.get("ModelDataUrl")


def _check_source(container: Members) -> None:
    source = container.get("ModelDataSource", {}).get("S3DataSource")
    if source and container.get("ModelDataUrl"):
        raise _invalid("Only one of ModelDataUrl and ModelDataSource may be specified")
    if source and source["S3DataType"] == "S3Prefix" and not source["S3Uri"].endswith("/"):
        raise _invalid("S3Uri of an S3Prefix must end with a forward slash")
    if source and (source["S3DataType"], source["CompressionType"]) == ("S3Prefix", "Gzip"):
        raise _invalid("CompressionType Gzip is not supported with S3DataType S3Prefix")


def _without(told: Members, *names: str) -> Members:
    return {name: value for name, value in told.items() if name not in names}


def _invalid(sentence: str) -> Refusal:
    return Refusal("ValidationException", sentence)
