"""Rules for every test: no network beyond loopback, no settings from outside, no silent skip."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "PYTHON", "PYTEST_", "COVERAGE_", "SSL_")

# Properties say what holds, never how fast: a slow machine may take its time over an example.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# The gate judges one change: it takes the same examples every time. Every other run looks for new ones.
settings.register_profile("gate", settings.get_profile("untimed"), derandomize=True)
settings.load_profile("gate" if os.environ.get("IMAGINE_NO_SKIPS") else "untimed")


UNIT = Path(__file__).parent / "unit"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Workers get the quick files of tests/unit last, so that none waits long for another at the end.

    Within a file the order stays random; by their names, files of different folders run beside each other.
    """
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: (item.path.is_relative_to(UNIT), item.path.name, item.path))


def pytest_runtest_setup() -> None:
    from pytest_socket import socket_allow_hosts

    socket_allow_hosts(["127.0.0.1", "::1", "localhost"], allow_unix_socket=True)


@pytest.fixture(autouse=True)
def _clean_environ(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own tokens and settings must neither leak into a test nor decide it."""
    for name in list(os.environ):
        if not name.startswith(KEPT):
            monkeypatch.delenv(name)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """With IMAGINE_NO_SKIPS set, a skipped test fails the run."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    if skipped and _NO_SKIPS and exitstatus == 0:
        reporter.write_line(f"{len(skipped)} tests were skipped, and IMAGINE_NO_SKIPS is set", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


_NO_SKIPS = bool(os.environ.get("IMAGINE_NO_SKIPS"))
