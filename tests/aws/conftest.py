"""One AWS account for the tests of this folder."""

import pytest

from tests.aws.cloud import Cloud


@pytest.fixture(scope="session")
def cloud() -> Cloud:
    return Cloud()
