"""A SageMaker endpoint for tests: the stand-in over any inference server, with moto's S3 and SNS behind it.

with running_endpoint(cloud, container_url=url) as stand:
    stand.clients["sagemaker-runtime"].invoke_endpoint_async(EndpointName=stand.name, …)
"""

import itertools
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from unittest.mock import patch

from bot.aws.clients import Clients
from bot.aws.result_objects import ResultObjects
from bot.aws.s3_objects import S3Objects
from infra.local.sagemaker.container import Container
from infra.local.sagemaker.endpoint import AsyncEndpoint, EndpointConfig, Observer, unobserved
from infra.local.sagemaker.faults import Faults
from infra.local.sagemaker.runtime import SagemakerRuntime
from tests.aws.cloud import Cloud

_NUMBERS = itertools.count(1)


@dataclass(frozen=True, kw_only=True)
class Running:
    """`clients` are unmodified botocore whose SageMaker runtime is the stand-in at `runtime.url`."""

    name: str
    bucket: str
    cloud: Cloud
    runtime: SagemakerRuntime
    success_topic: str
    error_topic: str

    @cached_property
    def clients(self) -> Clients:
        return clients_at(self.cloud, self.runtime.url)

    @property
    def objects(self) -> ResultObjects:
        return ResultObjects(S3Objects(self.cloud.clients, bucket=self.bucket, owner=self.cloud.account_id))

    @property
    def endpoint(self) -> AsyncEndpoint:
        return self.runtime.endpoint

    @property
    def faults(self) -> Faults:
        return self.endpoint.faults


@contextmanager
def running_endpoint(
    cloud: Cloud,
    *,
    container_url: str,
    concurrency: int = 1,
    instances: int = 1,
    include_in: frozenset[str] = frozenset(),
    clock: Callable[[], float] = time.monotonic,
    on_object: Observer = unobserved,
    on_notice: Observer = unobserved,
) -> Iterator[Running]:
    """An endpoint with a bucket and two topics of its own; no thread is left afterwards."""
    bucket = cloud.make_bucket()
    config = EndpointConfig(
        name=f"imagine-{next(_NUMBERS)}",
        output_path=f"s3://{bucket}/out/",
        failure_path=f"s3://{bucket}/failed/",
        success_topic=cloud.make_topic(),
        error_topic=cloud.make_topic(),
        include_in=include_in,
        concurrency=concurrency,
        region=cloud.region,
    )
    endpoint = AsyncEndpoint(
        config,
        container=Container(container_url),
        s3=cloud.clients["s3"],
        sns=cloud.clients["sns"],
        instances=instances,
        clock=clock,
        on_object=on_object,
        on_notice=on_notice,
    )
    with SagemakerRuntime(endpoint) as runtime:
        yield Running(
            name=config.name,
            bucket=bucket,
            cloud=cloud,
            runtime=runtime,
            success_topic=str(config.success_topic),
            error_topic=str(config.error_topic),
        )


def clients_at(cloud: Cloud, url: str) -> Clients:
    """Clients of the account that find SageMaker's runtime where AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME says."""
    clients = cloud.new_clients()
    with patch.dict(os.environ, AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME=url):
        assert clients["sagemaker-runtime"].meta.endpoint_url == url
    return clients
