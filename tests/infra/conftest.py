"""What the tests of the command line and the stand-ins share."""

from collections.abc import Iterator

import pytest

from tests.aws.cloud import Cloud
from tests.contracts.inference_stub import InferenceStub, running_stub
from tests.infra.endpoint.account import Account
from tests.infra.sagemaker.standing_region import standing_region


@pytest.fixture
def container() -> Iterator[InferenceStub]:
    """An inference server that answers one picture, or what the test tells it."""
    with running_stub() as stub:
        stub.answer = lambda _body: (200, b'{"images": ["eA=="]}')
        yield stub


@pytest.fixture
def account(container: InferenceStub) -> Iterator[Account]:
    """An AWS account to make endpoints in, whose time only the test moves."""
    with standing_region(Cloud(), container_url=container.url) as stand:
        yield Account(stand=stand)
