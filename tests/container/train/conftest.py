import pytest


def pytest_pycollect_makemodule() -> None:
    """Where torch cannot be imported, these tests are skipped and counted."""
    pytest.importorskip("torch")
