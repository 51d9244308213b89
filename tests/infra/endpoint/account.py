"""An AWS account to apply endpoints in: the stand-in region for SageMaker and scaling, moto for the rest."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from infra.endpoint.place import Place
from infra.endpoint.plan import Step, apply, clean
from infra.endpoint.settings import GPU_TYPES, TRIAL_TYPES, EndpointSettings
from infra.endpoint.waiting import EndpointWaits
from infra.endpoint.wanted import Wanted
from tests.infra.endpoint.price_api import PriceApi
from tests.infra.plain_account import Answer, answering
from tests.infra.quota.service_quotas import ServiceQuotas
from tests.infra.sagemaker.standing_region import Stand

IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/imagine@sha256:" + "0" * 64


ENOUGH = {f"{kind} for endpoint usage": 4.0 for kind in (*GPU_TYPES, *TRIAL_TYPES)}
"""Quotas of an account that may run everything."""


class Interrupted(BaseException):
    """The command was killed."""


@dataclass(kw_only=True)
class Account:
    """Stands in for `AwsClients`. `calls` lists "service.Operation" of every call; the one numbered
    `killed_at` ends the command, after its effect.
    """

    stand: Stand
    calls: list[str] = field(default_factory=list)
    region: str = "us-east-1"
    quotas: ServiceQuotas = field(default_factory=lambda: ServiceQuotas(applied=ENOUGH))
    prices: PriceApi = field(default_factory=PriceApi)
    killed_at: int | None = None
    _made: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, service: str) -> Any:
        if service not in self._made:
            self._made[service] = self._watched(self._client(service))
        return self._made[service]

    def goal(self, **changed: Any) -> Wanted:
        """A small endpoint with one model file, unless told otherwise."""
        self.stand.cloud.clients["s3"].put_object(
            Bucket=self.stand.bucket, Key="releases/1/Stable-diffusion/x.safetensors", Body=b"x"
        )
        model = f"s3://{self.stand.bucket}/releases/1/"
        return Wanted(place=self.place, settings=EndpointSettings(**{"model": model, **changed}), image=IMAGE)

    @property
    def place(self) -> Place:
        return Place(
            stage="dev",
            account="123456789012",
            region="us-east-1",
            partition="aws",
            bucket=self.stand.bucket,
            error_topic=self.stand.topic,
        )

    @property
    def waits(self) -> EndpointWaits:
        return EndpointWaits(self["sagemaker"], name=self.place.name, pause=self.stand.advance)

    def deploy(self, stage: str = "dev") -> None:
        """The stack of a stage with its outputs."""
        outputs = {"PicturesBucket": {"Value": self.stand.bucket}, "ErrorTopic": {"Value": self.stand.topic}}
        template = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}, "Outputs": outputs}
        self["cloudformation"].create_stack(StackName=f"imagine-{stage}", TemplateBody=json.dumps(template))

    def apply(self, goal: Wanted | None = None) -> tuple[Step, ...]:
        """As the command does: make it so, then remove what is left over."""
        wanted = goal or self.goal()
        return apply(wanted, self, waits=self.waits) + clean(wanted, self)

    def interrupted(self, number: int, act: Callable[[], object]) -> bool:
        """Act, killed after the effect of call `number` (from 0); whether there was such a call."""
        self.calls.clear()
        self.killed_at = number
        try:
            act()
        except Interrupted:
            return True
        finally:
            self.killed_at = None
        return False

    def state(self) -> dict[str, Any]:
        """Everything that a person could see of the endpoint, without times and random ids."""
        region = self.stand.region
        described = self.stand.sagemaker.describe_endpoint(EndpointName="imagine-dev")
        policies = self.stand.scaling.describe_scaling_policies(ServiceNamespace="sagemaker")
        alarms = self["cloudwatch"].describe_alarms()["MetricAlarms"]
        return {
            "endpoint": (described["EndpointConfigName"], described["EndpointStatus"]),
            "configs": sorted(_names(self.stand.sagemaker.list_endpoint_configs(), "EndpointConfigName")),
            "models": sorted(_names(self.stand.sagemaker.list_models(), "ModelName")),
            "instances": region.hosting.endpoint("imagine-dev").ready(region.now()),
            "policies": sorted(policy["PolicyName"] for policy in policies["ScalingPolicies"]),
            "alarms": sorted(alarm["AlarmName"].rsplit("-", 5)[0] for alarm in alarms),
            "roles": [role["RoleName"] for role in self["iam"].list_roles()["Roles"]],
            "logs": [
                (group["logGroupName"], group.get("retentionInDays"))
                for group in self["logs"].describe_log_groups()["logGroups"]
            ],
        }

    def _client(self, service: str) -> Any:
        own = {"sagemaker": "sagemaker", "application-autoscaling": "scaling", "sagemaker-runtime": "runtime"}
        if service in own:
            stand = replace(self.stand)  # clients of its own, for their events
            return getattr(stand, own[service])
        answers: dict[str, Answer] = {"service-quotas": self.quotas, "pricing": self.prices}
        return answering(self.stand.cloud, answers.get(service)).create_client(service)

    def _watched(self, client: Any) -> Any:
        client.meta.events.register("before-call", self._before)
        client.meta.events.register("after-call", self._after)
        return client

    def _before(self, model: Any, **_: Any) -> None:
        self.calls.append(f"{model.service_model.service_name}.{model.name}")

    def _after(self, **_: Any) -> None:
        if self.killed_at == len(self.calls) - 1:
            raise Interrupted


def reads(call: str) -> bool:
    return call.partition(".")[2].startswith(("Describe", "Get", "Head", "List"))


def moments(calls: Sequence[str]) -> list[int]:
    """The calls after which a kill leaves something of its own, in their order.

    A kill before a call leaves what a kill after the one before it leaves, and so does one after a call that
    only reads; but while SageMaker works, each look is a later moment.
    """
    return [
        number
        for number, call in enumerate(calls)
        if number == 0 or not reads(call) or (call == calls[number - 1] and call in LOOKS)
    ]


LOOKS = frozenset({"sagemaker.DescribeEndpoint", "sagemaker.DescribeTrainingJob"})


def _names(told: Any, key: str) -> list[str]:
    listed = next(value for value in told.values() if isinstance(value, list))
    return [item[key] for item in listed]
