"""A fault while people do something, and what there is to see where that did not end as it should."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from bot.domain.job import Job
from tests.lambda_package.faults.fault import Fault
from tests.lambda_package.faults.findings import findings
from tests.lambda_package.faults.on_loopback import bot_of
from tests.scenarios.stack import Stack

PATIENCE = 240.0
"""Seconds, some lives of a submission that nobody knows of."""


@contextmanager
def going_wrong(world: Stack, fault: Fault, *, jobs: Callable[[], Iterable[Job]]) -> Iterator[None]:
    """From here on it goes wrong; when the block ends it has, at least once, and does no more.

    Raises AssertionError, with what there is to see of the jobs, where it never did or the block failed.
    """
    fault.begin(world)
    try:
        yield
        world.until(lambda: fault.fired(world) > 0, PATIENCE)
    except (AssertionError, TimeoutError) as wrong:
        seen = f"{fault} happened {fault.fired(world)} times"
        raise AssertionError(f"{wrong}\n{seen}\n{findings(bot_of(world), jobs())}") from wrong
    finally:
        fault.end(world)
