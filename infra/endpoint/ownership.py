"""Whose a thing is: ours has the tag service=imagine, and nothing else is changed or removed."""

from collections.abc import Iterable, Mapping
from typing import Any

from infra.endpoint.errors import NotOurs

TAG = {"Key": "service", "Value": "imagine"}


def is_tagged(sagemaker: Any, arn: str) -> bool:
    """Whether a thing of SageMaker's is ours."""
    return TAG in sagemaker.list_tags(ResourceArn=arn)["Tags"]


def check_ours(kind: str, name: str, tags: Iterable[Mapping[str, str]]) -> None:
    """Raises NotOurs."""
    if TAG not in tags:
        raise NotOurs(kind, name)
