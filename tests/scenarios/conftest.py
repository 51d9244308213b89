"""Every scenario gets a `stack`, once for each adapter set."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from infra.local.slack.testing import LocalSlack
from tests.scenarios.inference import Inference
from tests.scenarios.one_machine import Killed, OneMachine
from tests.scenarios.stack import Stack

ADAPTER_SETS = {"one_machine": OneMachine}
MakeStack = Callable[..., Stack]


@pytest.fixture(params=list(ADAPTER_SETS.values()), ids=list(ADAPTER_SETS))
def make_stack(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeStack]:
    """Builds a stack that is not open yet; keywords go to the adapter set."""
    with ExitStack() as ending:

        def make(**chosen: object) -> Stack:
            slack = ending.enter_context(LocalSlack())
            inference = Inference().start()
            ending.callback(inference.stop)
            bot = request.param(slack, endpoint_url=inference.url, home=tmp_path / "home", **chosen)
            ending.callback(bot.close)
            ending.callback(inference.begin_to_stop)
            return Stack(slack=slack, bot=bot, inference=inference)

        yield make


@pytest.fixture(autouse=True)
def _killed_threads_end_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread of a process that a scenario killed is no failure; any other exception of a thread is."""
    report = threading.excepthook

    def hook(ended: threading.ExceptHookArgs) -> None:
        if not issubclass(ended.exc_type, Killed):
            report(ended)

    monkeypatch.setattr(threading, "excepthook", hook)


@pytest.fixture
def stack(make_stack: MakeStack) -> Stack:
    """The product at work."""
    made = make_stack()
    made.bot.open()
    return made
