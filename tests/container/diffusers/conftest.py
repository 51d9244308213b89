from collections.abc import Iterator

import pytest


def pytest_pycollect_makemodule() -> None:
    """Where torch cannot be imported, these tests are skipped and counted."""
    pytest.importorskip("torch")


@pytest.fixture(scope="package", autouse=True)
def one_thread() -> Iterator[None]:
    """The networks are so small that a second thread only waits, and on a busy machine for long."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
