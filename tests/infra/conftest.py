"""What the tests of the command line and the stand-ins share."""

from collections.abc import Iterator

import pytest

from tests.contracts.inference_stub import InferenceStub, running_stub


@pytest.fixture
def container() -> Iterator[InferenceStub]:
    """An inference server that answers one picture, or what the test tells it."""
    with running_stub() as stub:
        stub.answer = lambda _body: (200, b'{"images": ["eA=="]}')
        yield stub
