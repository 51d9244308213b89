import pytest
from hypothesis import settings

from tests.unit.slack.world import World

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture
def world():
    with World() as running:
        yield running
