"""Every scenario gets a `stack`, once for each adapter set."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from infra.local.slack.clock import Clock
from infra.local.slack.testing import LocalSlack
from tests.scenarios.inference import Inference
from tests.scenarios.mortality import Killed
from tests.scenarios.on_aws import OnAws
from tests.scenarios.one_machine import OneMachine
from tests.scenarios.stack import Stack

ADAPTER_SETS = {"one_machine": OneMachine, "aws": OnAws}
MakeStack = Callable[..., Stack]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each scenario runs over every adapter set, but for those whose mark says which world they are about."""
    if "make_stack" in metafunc.fixturenames:
        about = metafunc.definition.get_closest_marker("only")
        names = [about.args[0]] if about else list(ADAPTER_SETS)
        metafunc.parametrize("make_stack", [ADAPTER_SETS[name] for name in names], ids=names, indirect=True)


@pytest.fixture
def make_stack(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeStack]:
    """Builds a stack that is not open yet; keywords but Slack's `clock` go to the adapter set."""
    with ExitStack() as ending:

        def make(*, clock: Clock | None = None, **chosen: object) -> Stack:
            slack = ending.enter_context(LocalSlack(clock=clock))
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
