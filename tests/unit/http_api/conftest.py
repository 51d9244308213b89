"""A fresh API for each test."""

import pytest

from tests.unit.http_api.door import Door


@pytest.fixture
def door() -> Door:
    return Door()
