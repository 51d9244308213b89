"""Accounts over the stand-in region."""

from collections.abc import Iterator

import pytest

from tests.aws.cloud import Cloud
from tests.contracts.inference_stub import InferenceStub
from tests.infra.endpoint.account import Account
from tests.infra.sagemaker.standing_region import standing_region


@pytest.fixture
def account(container: InferenceStub) -> Iterator[Account]:
    with standing_region(Cloud(), container_url=container.url) as stand:
        yield Account(stand=stand)
