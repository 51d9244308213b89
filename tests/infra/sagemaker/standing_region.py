"""A region for tests: the stand-in's control plane over moto, in a time that only the test moves.

with standing_region(cloud, container_url=url) as stand:
    stand.sagemaker.create_endpoint(…)
    stand.advance(240)
"""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from botocore.config import Config

from infra.local.sagemaker.container import Container
from infra.local.sagemaker.hosting import Pace
from infra.local.sagemaker.region import Peers, Region
from infra.local.sagemaker.runtime import RegionServer
from infra.local.sagemaker.training_run import COMMAND
from tests.aws.cloud import Cloud

STUB_TRAINER = (sys.executable, str(Path(__file__).with_name("trainer_stub.py")))
START = 1_800_000_000.0
"""A Friday, 08:00 UTC."""
ROLE = "arn:aws:iam::123456789012:role/imagine"
PATIENCE = 60.0


@dataclass(frozen=True, kw_only=True)
class Stand:
    """`sagemaker`, `scaling` and `runtime` are unmodified botocore clients of the stand-in."""

    cloud: Cloud
    server: RegionServer
    bucket: str
    topic: str

    @cached_property
    def sagemaker(self) -> Any:
        return self._client("sagemaker")

    @cached_property
    def scaling(self) -> Any:
        return self._client("application-autoscaling")

    @cached_property
    def runtime(self) -> Any:
        return self._client("sagemaker-runtime")

    @property
    def region(self) -> Region:
        return self.server.region

    def advance(self, seconds: float) -> None:
        self.region.advance(seconds)

    def status(self, name: str = "imagine") -> tuple[str, int, int]:
        """Status, current and desired instances."""
        told = self.sagemaker.describe_endpoint(EndpointName=name)
        counts = [(v["CurrentInstanceCount"], v["DesiredInstanceCount"]) for v in told["ProductionVariants"]]
        return told["EndpointStatus"], *(counts or [(0, 0)])[0]

    def until(self, holds: Callable[[], bool], patience: float = PATIENCE) -> None:
        """What the endpoint's own threads and a job's process do takes real time."""
        deadline = time.monotonic() + patience
        while not holds():
            assert time.monotonic() < deadline, "it never came true"
            time.sleep(0.005)

    def make_model(self, name: str = "model", **changed: Any) -> str:
        files = f"s3://{self.bucket}/models/"
        self.cloud.clients["s3"].put_object(Bucket=self.bucket, Key="models/x.safetensors", Body=b"x")
        source = {"S3Uri": files, "S3DataType": "S3Prefix", "CompressionType": "None"}
        container = {"Image": "image@sha256:0", "ModelDataSource": {"S3DataSource": source}}
        self.sagemaker.create_model(
            ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer={**container, **changed}
        )
        return name

    def make_config(self, name: str = "config", model: str = "model", **changed: Any) -> str:
        variant = {
            "VariantName": "AllTraffic",
            "ModelName": model,
            "InitialInstanceCount": 1,
            "InstanceType": "ml.g6.xlarge",
            **changed,
        }
        self.sagemaker.create_endpoint_config(
            EndpointConfigName=name,
            ProductionVariants=[{key: value for key, value in variant.items() if value is not None}],
            AsyncInferenceConfig={
                "OutputConfig": {
                    "S3OutputPath": f"s3://{self.bucket}/out/",
                    "S3FailurePath": f"s3://{self.bucket}/failed/",
                    "NotificationConfig": {"ErrorTopic": self.topic},
                },
                "ClientConfig": {"MaxConcurrentInvocationsPerInstance": 1},
            },
        )
        return name

    def make_endpoint(self, name: str = "imagine") -> str:
        """One that is in service."""
        self.make_model()
        self.make_config()
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName="config")
        self.advance(300)
        return name

    def invoke(self, number: int = 1, name: str = "imagine") -> None:
        self.runtime.invoke_endpoint_async(
            EndpointName=name, Body=b"{}", InferenceId=f"T1.job.{number}", Filename=f"{number}.out"
        )

    def _client(self, service: str) -> Any:
        """The client refuses nothing itself and tries nothing again: the service answers."""
        config = Config(parameter_validation=False, retries={"total_max_attempts": 1})
        return self.cloud.session().create_client(service, endpoint_url=self.server.url, config=config)


@contextmanager
def standing_region(
    cloud: Cloud, *, container_url: str, pace: Pace | None = None, trainer: Sequence[str] = COMMAND
) -> Iterator[Stand]:
    clients = cloud.clients
    session = cloud.session()
    peers = Peers(
        s3=clients["s3"],
        sns=clients["sns"],
        cloudwatch=session.create_client("cloudwatch"),
        logs=session.create_client("logs"),
    )
    region = Region(
        peers,
        open_container=lambda _model: Container(container_url),
        pace=pace,
        trainer=trainer,
        wall=lambda: START,
    )
    with RegionServer(region) as server:
        yield Stand(cloud=cloud, server=server, bucket=cloud.make_bucket(), topic=cloud.make_topic())
