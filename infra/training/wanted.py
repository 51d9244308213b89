"""What AWS is told of a training: pure, from lesson, settings and place.

A job's name ends in a digest of what is learnt, so the same pictures, settings and base model are the same
job: run again, it is followed or its result taken, and never paid twice.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from infra.endpoint.place import Place
from infra.role_policies import Told, allow, rights, trust

LONGEST_NAME = 16
VOLUME_GB = 50
SPOT_PATIENCE_HOURS = 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """The checkpoint that learns: an s3:// address, and what its catalogue says of it."""

    uri: str
    sha256: str
    licence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """One training. `lesson` is the pictures' digest, `kind` the instance, `hours` the most it takes."""

    place: Place
    name: str
    lesson: str
    base: Base
    hyperparameters: Mapping[str, str]
    image: str
    kind: str = "ml.g5.xlarge"
    spot: bool = True
    hours: float = 4.0

    @property
    def digest(self) -> str:
        """Of everything that decides what is learnt; where and how fast does not."""
        told = [self.name, self.lesson, self.base.sha256, dict(self.hyperparameters)]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def job_name(self) -> str:
        """Of the first attempt; later ones end in -2, -3 and so on."""
        words = re.sub(r"[^a-zA-Z0-9]+", "-", self.name).strip("-")[:LONGEST_NAME].strip("-")
        return f"{self.place.name}-{words}-{self.digest}"

    @property
    def folder(self) -> str:
        """Everything of this training in the stage's bucket; ends in a slash."""
        return f"train/{self.digest}/"

    @property
    def address(self) -> str:
        return f"s3://{self.place.bucket}/{self.folder}"

    @property
    def role_name(self) -> str:
        return f"{self.place.name}-training"

    @property
    def role_arn(self) -> str:
        return f"arn:{self.place.partition}:iam::{self.place.account}:role/{self.role_name}"

    @property
    def trust(self) -> Told:
        """SageMaker, for this account only."""
        return trust("sagemaker.amazonaws.com", account=self.place.account)

    @property
    def rights(self) -> Told:
        """What any training of the stage may do: read models, read and write train/, log, fetch images."""
        ours = f"arn:{self.place.partition}:s3:::{self.place.bucket}"
        models, _, key = self.base.uri.removeprefix("s3://").partition("/")
        source = f"arn:{self.place.partition}:s3:::{models}"
        prefix = key.partition("releases/")[0]
        logs = f"arn:{self.place.partition}:logs:{self.place.region}:{self.place.account}"
        statements = [
            allow(["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"], [f"{ours}/train/*"]),
            allow(["s3:GetObject"], [f"{source}/{prefix}releases/*"]),
            allow(["s3:ListBucket"], sorted({ours, source})),
            allow(
                [
                    "logs:CreateLogGroup",
                    "logs:CreateLogStream",
                    "logs:PutLogEvents",
                    "logs:DescribeLogStreams",
                ],
                [f"{logs}:log-group:/aws/sagemaker/TrainingJobs:*"],
            ),
            allow(["ecr:GetAuthorizationToken"], ["*"]),
            allow(
                ["ecr:BatchGetImage", "ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer"],
                [f"arn:{self.place.partition}:ecr:*:*:repository/{self._repository}"],
            ),
        ]
        return rights(*statements)

    def request(self, job_name: str) -> Told:
        """CreateTrainingJob."""
        seconds = round(self.hours * 3600)
        limits = {"MaxRuntimeInSeconds": seconds}
        if self.spot:
            limits["MaxWaitTimeInSeconds"] = seconds + round(SPOT_PATIENCE_HOURS * 3600)
        tags = {"service": "imagine", "stage": self.place.stage}
        return {
            "TrainingJobName": job_name,
            "AlgorithmSpecification": {"TrainingImage": self.image, "TrainingInputMode": "File"},
            "RoleArn": self.role_arn,
            "HyperParameters": dict(self.hyperparameters),
            "InputDataConfig": [
                _channel("train", f"{self.address}pictures/"),
                _channel("model", self.base.uri),
            ],
            "OutputDataConfig": {"S3OutputPath": f"{self.address}output"},
            "CheckpointConfig": {"S3Uri": f"{self.address}checkpoints"},
            "ResourceConfig": {
                "InstanceType": self.kind,
                "InstanceCount": 1,
                "VolumeSizeInGB": VOLUME_GB,
            },
            "StoppingCondition": limits,
            "EnableManagedSpotTraining": self.spot,
            "EnableNetworkIsolation": True,
            "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
        }

    @property
    def _repository(self) -> str:
        return self.image.partition("/")[2].partition("@")[0].partition(":")[0]


def _channel(name: str, uri: str) -> Told:
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}}
