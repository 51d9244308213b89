"""What the tests of the services share."""

import pytest

from bot.services.core import Core
from tests.unit.services.cores import build


@pytest.fixture
def core() -> Core:
    return build()
