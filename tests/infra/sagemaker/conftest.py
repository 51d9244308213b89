"""A stand-in region over an inference server that the test tells what to answer."""

from collections.abc import Iterator

import pytest

from tests.aws.cloud import Cloud
from tests.contracts.inference_stub import InferenceStub
from tests.infra.sagemaker.standing_region import Stand, standing_region


@pytest.fixture
def stand(container: InferenceStub) -> Iterator[Stand]:
    with standing_region(Cloud(), container_url=container.url) as stand:
        yield stand
