"""Each thing an endpoint consists of: how it is read, made and changed. Nothing is written that is already
so.

`live` answers only what we decide about, in the same words as `wanted`, so that a difference is a change
somebody made.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from botocore.exceptions import ClientError

from bot.aws.clients import ServiceClients
from infra.endpoint.ownership import check_ours
from infra.endpoint.wanted import DIMENSION, Wanted
from infra.role_policies import Told

POLICY = "imagine-endpoint"
NOT_MADE = "(known once it is made)"
FAILED = "(the endpoint has failed)"
"""In place of a config's name: from there SageMaker only lets it be deleted."""


class Resource(Protocol):
    """One thing in the account. `billed`: whether it costs while it is there."""

    @property
    def kind(self) -> str: ...
    @property
    def name(self) -> str: ...

    def wanted(self) -> Told:
        """What it should be."""

    def live(self) -> Told | None:
        """What it is, None where it is not there."""

    def make(self) -> None: ...

    def change(self, live: Told) -> None:
        """From `live` to what is wanted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    goal: Wanted
    clients: ServiceClients
    kind: ClassVar[str]

    def _tags(self, key: str = "Key", value: str = "Value") -> list[dict[str, str]]:
        tags = {"service": "imagine", "stage": self.goal.place.stage, **self.goal.settings.tags}
        return [{key: name, value: text} for name, text in sorted(tags.items())]


class LogGroup(_Part):
    """Made first: SageMaker would make it itself, without an end to what it keeps."""

    kind = "log group"

    @property
    def name(self) -> str:
        return self.goal.place.log_group

    def wanted(self) -> Told:
        return {"retentionInDays": self.goal.settings.log_days}

    def live(self) -> Told | None:
        groups = self.clients["logs"].describe_log_groups(logGroupNamePrefix=self.name)["logGroups"]
        found = [group for group in groups if group["logGroupName"] == self.name]
        return {"retentionInDays": found[0].get("retentionInDays")} if found else None

    def make(self) -> None:
        tags = {tag["Key"]: tag["Value"] for tag in self._tags()}
        self.clients["logs"].create_log_group(logGroupName=self.name, tags=tags)
        self.change({})

    def change(self, live: Told) -> None:
        del live
        self.clients["logs"].put_retention_policy(logGroupName=self.name, **self.wanted())


class Role(_Part):
    """What SageMaker runs the endpoint as."""

    kind = "role"

    @property
    def name(self) -> str:
        return self.goal.role_name

    def wanted(self) -> Told:
        return {"trust": self.goal.trust, "rights": self.goal.rights}

    def live(self) -> Told | None:
        iam = self.clients["iam"]
        try:
            role = iam.get_role(RoleName=self.name)["Role"]
        except iam.exceptions.NoSuchEntityException:
            return None
        check_ours(self.kind, self.name, role.get("Tags", ()))
        try:
            rights = iam.get_role_policy(RoleName=self.name, PolicyName=POLICY)["PolicyDocument"]
        except iam.exceptions.NoSuchEntityException:
            rights = None
        return {"trust": role["AssumeRolePolicyDocument"], "rights": rights}

    def make(self) -> None:
        settings = self.goal.settings
        boundary = settings.permissions_boundary
        limited = {"PermissionsBoundary": boundary} if boundary else {}
        self.clients["iam"].create_role(
            RoleName=self.name,
            Path=settings.role_path,
            AssumeRolePolicyDocument=json.dumps(self.goal.trust),
            Tags=self._tags(),
            **limited,
        )
        self._write_rights()

    def change(self, live: Told) -> None:
        if live["trust"] != self.goal.trust:
            self.clients["iam"].update_assume_role_policy(
                RoleName=self.name, PolicyDocument=json.dumps(self.goal.trust)
            )
        if live["rights"] != self.goal.rights:
            self._write_rights()

    def _write_rights(self) -> None:
        self.clients["iam"].put_role_policy(
            RoleName=self.name, PolicyName=POLICY, PolicyDocument=json.dumps(self.goal.rights)
        )


class Model(_Part):
    kind = "model"

    @property
    def name(self) -> str:
        return self.goal.model_name

    def wanted(self) -> Told:
        return self.goal.model

    def live(self) -> Told | None:
        told = described(self.clients["sagemaker"].describe_model, ModelName=self.name)
        return None if told is None else {key: told.get(key) for key in self.goal.model}

    def make(self) -> None:
        self.clients["sagemaker"].create_model(ModelName=self.name, Tags=self._tags(), **self.goal.model)

    def change(self, live: Told) -> None:
        """Its name holds its digest: whatever a service adds to its answer is no change of ours."""


class EndpointConfig(_Part):
    kind = "endpoint config"

    @property
    def name(self) -> str:
        return self.goal.config_name

    def wanted(self) -> Told:
        return self.goal.config

    def live(self) -> Told | None:
        describe = self.clients["sagemaker"].describe_endpoint_config
        told = described(describe, EndpointConfigName=self.name)
        return None if told is None else {key: told.get(key) for key in self.goal.config}

    def make(self) -> None:
        self.clients["sagemaker"].create_endpoint_config(
            EndpointConfigName=self.name, Tags=self._tags(), **self.goal.config
        )

    def change(self, live: Told) -> None:
        """As with a model."""


class Endpoint(_Part):
    """What costs. An update keeps the number of instances that there are. Raises NotOurs."""

    kind = "endpoint"

    @property
    def name(self) -> str:
        return self.goal.place.name

    def wanted(self) -> Told:
        return {"config": self.goal.config_name}

    def live(self) -> Told | None:
        told = described(self.clients["sagemaker"].describe_endpoint, EndpointName=self.name)
        if told is None:
            return None
        tags = self.clients["sagemaker"].list_tags(ResourceArn=told["EndpointArn"])["Tags"]
        check_ours(self.kind, self.name, tags)
        if told["EndpointStatus"] == "Failed":
            return {"config": FAILED}
        pending = told.get("PendingDeploymentSummary", {}).get("EndpointConfigName")
        return {"config": pending or told["EndpointConfigName"]}

    def make(self) -> None:
        self.clients["sagemaker"].create_endpoint(
            EndpointName=self.name, EndpointConfigName=self.goal.config_name, Tags=self._tags()
        )

    def change(self, live: Told) -> None:
        del live
        self.clients["sagemaker"].update_endpoint(
            EndpointName=self.name,
            EndpointConfigName=self.goal.config_name,
            RetainAllVariantProperties=True,
        )

    def delete(self) -> None:
        """It takes a while; what waits in its queue is lost."""
        self.clients["sagemaker"].delete_endpoint(EndpointName=self.name)


class ScalingTarget(_Part):
    """Between which numbers of instances scaling moves. The minimum is left alone: it may be warm."""

    kind = "scaling target"

    @property
    def name(self) -> str:
        return self.goal.place.resource_id

    def wanted(self) -> Told:
        return {"MaxCapacity": self.goal.settings.max_instances}

    def live(self) -> Told | None:
        told = self.clients["application-autoscaling"].describe_scalable_targets(
            ServiceNamespace="sagemaker", ResourceIds=[self.name], ScalableDimension=DIMENSION
        )["ScalableTargets"]
        return {"MaxCapacity": told[0]["MaxCapacity"]} if told else None

    def make(self) -> None:
        self._register(MinCapacity=0)

    def change(self, live: Told) -> None:
        del live
        self._register()

    def _register(self, **low: int) -> None:
        self.clients["application-autoscaling"].register_scalable_target(
            ServiceNamespace="sagemaker",
            ResourceId=self.name,
            ScalableDimension=DIMENSION,
            **self.wanted(),
            **low,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy(_Part):
    """One scaling policy. `suffix` names it; `config` is what it does."""

    suffix: str
    config: Told
    tracking: bool = False

    kind = "scaling policy"

    @property
    def name(self) -> str:
        return f"{self.goal.place.name}-{self.suffix}"

    def wanted(self) -> Told:
        return self.config

    def live(self) -> Told | None:
        told = self._described()
        if told is None:
            return None
        found = told.get(self._key, {})
        return {key: found.get(key) for key in self.config}

    def make(self) -> None:
        self.clients["application-autoscaling"].put_scaling_policy(
            PolicyName=self.name,
            ServiceNamespace="sagemaker",
            ResourceId=self.goal.place.resource_id,
            ScalableDimension=DIMENSION,
            PolicyType="TargetTrackingScaling" if self.tracking else "StepScaling",
            **{self._key: self.config},
        )

    def change(self, live: Told) -> None:
        del live
        self.make()

    def arn(self) -> str:
        """For the alarm that calls it."""
        told = self._described()
        return NOT_MADE if told is None else str(told["PolicyARN"])

    @property
    def _key(self) -> str:
        return f"{'TargetTracking' if self.tracking else 'Step'}ScalingPolicyConfiguration"

    def _described(self) -> Mapping[str, Any] | None:
        reply = self.clients["application-autoscaling"].describe_scaling_policies(
            ServiceNamespace="sagemaker", PolicyNames=[self.name], ResourceId=self.goal.place.resource_id
        )
        return next(iter(reply["ScalingPolicies"]), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm(_Part):
    """The alarm that calls a step policy."""

    policy: Policy
    waking: bool

    kind = "alarm"

    @property
    def name(self) -> str:
        return self.policy.name

    def wanted(self) -> Told:
        return self._calling(self.policy.arn())

    def live(self) -> Told | None:
        told = self.clients["cloudwatch"].describe_alarms(AlarmNames=[self.name])["MetricAlarms"]
        return {key: told[0].get(key) for key in self._calling("")} if told else None

    def _calling(self, policy_arn: str) -> Told:
        make = self.goal.wake_alarm if self.waking else self.goal.idle_alarm
        return make(policy_arn)

    def make(self) -> None:
        tags = {"Tags": self._tags()}
        self.clients["cloudwatch"].put_metric_alarm(AlarmName=self.name, **self.wanted(), **tags)

    def change(self, live: Told) -> None:
        del live
        self.clients["cloudwatch"].put_metric_alarm(AlarmName=self.name, **self.wanted())


def resources_of(goal: Wanted, clients: ServiceClients) -> tuple[Resource, ...]:
    """Everything, in the order in which it is made."""
    wake = Policy(goal=goal, clients=clients, suffix="wake", config=goal.waking)
    idle = Policy(goal=goal, clients=clients, suffix="idle", config=goal.idling)
    resources: list[Resource] = [LogGroup(goal=goal, clients=clients)]
    if not goal.settings.role_arn:
        resources.append(Role(goal=goal, clients=clients))
    resources += [
        Model(goal=goal, clients=clients),
        EndpointConfig(goal=goal, clients=clients),
        Endpoint(goal=goal, clients=clients),
        ScalingTarget(goal=goal, clients=clients),
        Policy(goal=goal, clients=clients, suffix="backlog", config=goal.tracking, tracking=True),
        wake,
        Alarm(goal=goal, clients=clients, policy=wake, waking=True),
    ]
    if goal.settings.idle_minutes:
        resources += [idle, Alarm(goal=goal, clients=clients, policy=idle, waking=False)]
    return tuple(resources)


def described(describe: Any, **named: str) -> Mapping[str, Any] | None:
    """SageMaker has no error of its own for what is not there."""
    try:
        told: Mapping[str, Any] = describe(**named)
    except ClientError as error:
        if "Could not find" in error.response["Error"]["Message"]:
            return None
        raise
    return told
