"""Which SageMaker endpoints draw with a release, so that none loses its models."""

from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from model_packaging.errors import StoreRefused


def endpoints_using(sagemaker: Any, uri: str) -> tuple[str, ...]:
    """Names of endpoints whose configuration, also one being deployed, names this prefix (ending in "/").

    Raises `StoreRefused` when AWS does not answer: then nobody knows.
    """
    try:
        return tuple(
            name
            for name in _endpoints(sagemaker)
            if any(_is_below(at, uri) for at in _sources(sagemaker, name))
        )
    except (ClientError, BotoCoreError) as error:
        raise StoreRefused(f"SageMaker does not tell which endpoints use {uri}: {error}") from error


def _endpoints(sagemaker: Any) -> Iterator[str]:
    for page in sagemaker.get_paginator("list_endpoints").paginate():
        yield from (item["EndpointName"] for item in page["Endpoints"])


def _sources(sagemaker: Any, endpoint: str) -> Iterator[str]:
    described = sagemaker.describe_endpoint(EndpointName=endpoint)
    pending = described.get("PendingDeploymentSummary") or {}
    for name in filter(None, (described.get("EndpointConfigName"), pending.get("EndpointConfigName"))):
        config = sagemaker.describe_endpoint_config(EndpointConfigName=name)
        for variant in config["ProductionVariants"]:
            if model := variant.get("ModelName"):
                yield from _sources_of(sagemaker.describe_model(ModelName=model))


def _sources_of(model: Mapping[str, Any]) -> Iterator[str]:
    for container in (model.get("PrimaryContainer") or {}, *model.get("Containers", ())):
        yield str(container.get("ModelDataUrl", ""))
        for source in (
            container.get("ModelDataSource") or {},
            *container.get("AdditionalModelDataSources", ()),
        ):
            yield str((source.get("S3DataSource") or {}).get("S3Uri", ""))


def _is_below(address: str, uri: str) -> bool:
    """Also a prefix above it: that endpoint downloads the release with everything beside it."""
    return bool(address) and (address.startswith(uri) or (address.endswith("/") and uri.startswith(address)))
