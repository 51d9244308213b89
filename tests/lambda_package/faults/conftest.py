"""One world for all scenarios of a file: what is slow about it is its start."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from infra.local.slack.testing import LocalSlack
from tests.lambda_package.faults.on_loopback import OnLoopback
from tests.scenarios.inference import Inference
from tests.scenarios.stack import Stack


@pytest.fixture(scope="module")
def world(
    unpacked: Callable[[str], Path], runtime: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """The deployed product with calm wires."""
    home = tmp_path_factory.mktemp("faults")
    with ExitStack() as ending:
        slack = ending.enter_context(LocalSlack())
        inference = Inference().start()
        ending.callback(inference.stop)
        bot = OnLoopback(slack, endpoint_url=inference.url, home=home, unpacked=unpacked, python=runtime)
        ending.callback(bot.close)
        ending.callback(inference.begin_to_stop)
        bot.set_up_scaling()
        bot.open()
        yield Stack(slack=slack, bot=bot, inference=inference)
