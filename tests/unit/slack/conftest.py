import pytest

from tests.unit.slack.world import World


@pytest.fixture
def world():
    with World() as running:
        yield running
