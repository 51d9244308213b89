"""What should be in the account for an endpoint: pure, from settings and place to what AWS is told.

A model and an endpoint config cannot be changed once they are made, so their names end in a digest of what
they hold: the same settings give the same names, and a config of another name is all that an endpoint needs
to be updated.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from infra.endpoint.place import VARIANT, Place
from infra.endpoint.settings import EndpointSettings
from infra.role_policies import Told, allow, rights, trust

DIMENSION = "sagemaker:variant:DesiredInstanceCount"
QUIET_MINUTES = 15
"""After which target tracking ends instances (Application Auto Scaling guide)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Everything one endpoint consists of. `image` is a reference by digest."""

    place: Place
    settings: EndpointSettings
    image: str

    @property
    def role_name(self) -> str:
        return f"{self.place.name}-endpoint"

    @property
    def role_arn(self) -> str:
        """The given role, or ours, whose ARN follows from its name."""
        if self.settings.role_arn:
            return self.settings.role_arn
        where = f"arn:{self.place.partition}:iam::{self.place.account}:role"
        return f"{where}{self.settings.role_path}{self.role_name}"

    @property
    def trust(self) -> Told:
        """Who may take the role: SageMaker, for this account only."""
        return trust("sagemaker.amazonaws.com", account=self.place.account)

    @property
    def rights(self) -> Told:
        """What the endpoint may do, and nothing else. The container itself has no network."""
        bucket = f"arn:{self.place.partition}:s3:::{self.place.bucket}"
        ours = f"{bucket}/{self.place.prefix}"
        statements: list[Told] = [
            allow(["s3:GetObject"], [f"{ours}in/*"]),
            allow(["s3:PutObject", "s3:AbortMultipartUpload"], [f"{ours}out/*", f"{ours}failed/*"]),
            allow(["s3:ListBucket"], [bucket]),
            allow(["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"], [self._logs]),
            allow(["ecr:GetAuthorizationToken"], ["*"]),
            allow(
                ["ecr:BatchGetImage", "ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer"],
                [self._repository],
            ),
        ]
        if self.place.error_topic:
            statements.append(allow(["sns:Publish"], [self.place.error_topic]))
        if self.settings.model:
            models, _, prefix = self.settings.model.removeprefix("s3://").partition("/")
            source = f"arn:{self.place.partition}:s3:::{models}"
            files = f"{source}/{prefix}*" if prefix.endswith("/") else f"{source}/{prefix}"
            statements += [allow(["s3:GetObject"], [files]), allow(["s3:ListBucket"], [source])]
        if self.settings.kms_key.startswith("arn:"):
            statements.append(allow(["kms:Decrypt", "kms:GenerateDataKey"], [self.settings.kms_key]))
        return rights(*statements)

    @property
    def model(self) -> Told:
        """CreateModel, without its name and tags."""
        container: dict[str, Any] = {"Image": self.image}
        environment = {"IMAGINE_ENGINE": self.settings.engine, **self.settings.environment}
        container["Environment"] = environment
        if self.settings.model:
            container["ModelDataSource"] = {"S3DataSource": _source(self.settings.model)}
        return {
            "PrimaryContainer": container,
            "ExecutionRoleArn": self.role_arn,
            "EnableNetworkIsolation": True,
        }

    @property
    def model_name(self) -> str:
        return f"{self.place.name}-{_digest(self.model)}"

    @property
    def config(self) -> Told:
        """CreateEndpointConfig, without its name and tags."""
        output: dict[str, Any] = {
            "S3OutputPath": self.place.outputs,
            "S3FailurePath": self.place.failures,
        }
        if self.place.error_topic:
            output["NotificationConfig"] = {"ErrorTopic": self.place.error_topic}
        if self.settings.kms_key:
            output["KmsKeyId"] = self.settings.kms_key
        return {
            "ProductionVariants": [self._variant],
            "AsyncInferenceConfig": {
                "OutputConfig": output,
                "ClientConfig": {"MaxConcurrentInvocationsPerInstance": self.settings.concurrency},
            },
        }

    @property
    def config_name(self) -> str:
        return f"{self.place.name}-{_digest(self.config)}"

    @property
    def tracking(self) -> Told:
        """Target tracking on the backlog of each instance.

        It ends instances after a quarter of an hour: too early for an only one that is to wait longer.
        """
        waits_longer = self.settings.max_instances == 1 and self.settings.idle_minutes > QUIET_MINUTES
        return {
            **({"DisableScaleIn": True} if waits_longer else {}),
            "TargetValue": float(self.settings.backlog_target),
            "CustomizedMetricSpecification": {
                "MetricName": "ApproximateBacklogSizePerInstance",
                "Namespace": "AWS/SageMaker",
                "Dimensions": self._dimensions,
                "Statistic": "Average",
            },
            "ScaleInCooldown": 300,
            "ScaleOutCooldown": 120,
        }

    @property
    def waking(self) -> Told:
        """One instance more: what target tracking does not do from zero below its target."""
        return {
            "AdjustmentType": "ChangeInCapacity",
            "MetricAggregationType": "Average",
            "Cooldown": 300,
            "StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}],
        }

    @property
    def idling(self) -> Told:
        """No instance: target tracking alone lets the last one linger."""
        return {
            "AdjustmentType": "ExactCapacity",
            "MetricAggregationType": "Average",
            "Cooldown": 300,
            "StepAdjustments": [{"MetricIntervalUpperBound": 0.0, "ScalingAdjustment": 0}],
        }

    def wake_alarm(self, policy_arn: str) -> Told:
        """Something waits and nobody is there."""
        return {
            **self._alarm("HasBacklogWithoutCapacity", policy_arn),
            "EvaluationPeriods": self.settings.wake_minutes,
            "Threshold": 1.0,
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            "TreatMissingData": "missing",
            "AlarmDescription": "A drawing waits and no instance runs: start one (imagine endpoint).",
        }

    def idle_alarm(self, policy_arn: str) -> Told:
        """Nothing waits and nothing runs."""
        return {
            **self._alarm("ApproximateBacklogSize", policy_arn),
            "EvaluationPeriods": max(self.settings.idle_minutes, 1),
            "Threshold": 0.0,
            "ComparisonOperator": "LessThanOrEqualToThreshold",
            "TreatMissingData": "notBreaching",
            "AlarmDescription": "Nothing was asked for a while: end every instance (imagine endpoint).",
        }

    def _alarm(self, metric: str, policy_arn: str) -> Told:
        return {
            "Namespace": "AWS/SageMaker",
            "MetricName": metric,
            "Dimensions": self._dimensions,
            "Statistic": "Average",
            "Period": 60,
            "AlarmActions": [policy_arn],
        }

    @property
    def _variant(self) -> Told:
        settings = self.settings
        variant: dict[str, Any] = {
            "VariantName": VARIANT,
            "ModelName": self.model_name,
            "InitialInstanceCount": 1,
            "InitialVariantWeight": 1.0,
            "ContainerStartupHealthCheckTimeoutInSeconds": settings.health_timeout,
        }
        if settings.model:
            variant["ModelDataDownloadTimeoutInSeconds"] = settings.download_timeout
        if settings.ami:
            variant["InferenceAmiVersion"] = settings.ami
        if settings.volume_gb:
            variant["VolumeSizeInGB"] = settings.volume_gb
        if len(settings.types) == 1:
            return {**variant, "InstanceType": settings.types[0]}
        pools = [
            {"InstanceType": kind, "Priority": turn} for turn, kind in enumerate(settings.types, start=1)
        ]
        provision = {"VariantInstanceProvisionTimeoutInSeconds": settings.provision_timeout}
        return {**variant, "InstancePools": pools, **provision}

    @property
    def _dimensions(self) -> list[Told]:
        return [{"Name": "EndpointName", "Value": self.place.name}]

    @property
    def _logs(self) -> str:
        where = f"arn:{self.place.partition}:logs:{self.place.region}:{self.place.account}"
        return f"{where}:log-group:{self.place.log_group}:*"

    @property
    def _repository(self) -> str:
        """Of the image, which may lie in another account or region."""
        host, _, rest = self.image.partition("/")
        account, region = host.split(".")[0], (host.split(".") + [""] * 4)[3] or self.place.region
        return f"arn:{self.place.partition}:ecr:{region}:{account}:repository/{rest.partition('@')[0]}"


def _source(model: str) -> Told:
    """A release prefix as it lies there, or the seed's tarball."""
    if model.endswith("/"):
        return {"S3Uri": model, "S3DataType": "S3Prefix", "CompressionType": "None"}
    return {"S3Uri": model, "S3DataType": "S3Object", "CompressionType": "Gzip"}


def _digest(told: Told) -> str:
    written = json.dumps(told, sort_keys=True).encode()
    return hashlib.sha256(written).hexdigest()[:10]
