"""`imagine serve` as a process of its own over Socket Mode, killed with -9 in the middle of its work."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from bot.domain.times import ONE_MACHINE
from infra.local.slack.testing import LocalSlack, Shown
from tests.scenarios.inference import Inference
from tests.scenarios.stack import has_ended

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0


class Served:
    """The command `imagine serve` with a workspace, a home and an inference server."""

    def __init__(self, slack: LocalSlack, *, endpoint_url: str, home: Path) -> None:
        self._slack = slack
        self._log = home / "serve.log"
        self._environment = {
            "SLACK_BOT_TOKEN": slack.bot_token,
            "SLACK_APP_TOKEN": slack.app_token,
            "SLACK_API_URL": slack.api_url,
            "IMAGINE_ENDPOINT_URL": endpoint_url,
            "IMAGINE_HOME": str(home / "bot"),
            "IMAGINE_SIZE": "64",
            "IMAGINE_STEPS": "4",
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and return once it can take commands."""
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "infra.cli", "serve"],
                stdout=log,
                stderr=log,
                env=self._environment,
                cwd=ROOT,
            )
        deadline = time.monotonic() + PATIENCE
        while b"the bot is ready" not in self._log.read_bytes():
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.02)

    def kill(self) -> None:
        """As the out-of-memory killer does."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """As Ctrl-C does; returns the exit status."""
        return self._end(signal.SIGINT)

    def _end(self, how: signal.Signals) -> int:
        assert self._process is not None
        self._process.send_signal(how)
        status = self._process.wait(PATIENCE)
        self._process = None
        return status

    def close(self) -> None:
        if self._process is not None:
            self.kill()


class World:
    def __init__(self, slack: LocalSlack, inference: Inference, served: Served) -> None:
        self.slack = slack
        self.engine = inference.engine
        self.served = served

    def imagine(self, line: str) -> None:
        assert self.slack.command(f"/imagine {line}").ok

    def ended(self) -> Shown:
        (card,) = self.slack.wait_for(lambda: [c for c in self.slack.messages() if has_ended(c)])
        return card

    def files(self, card: Shown) -> int:
        return sum(len(reply.files) for reply in self.slack.thread("pictures", card.ts))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with ExitStack() as ending:
        slack = ending.enter_context(LocalSlack())
        slack.connect_bot(None)
        inference = Inference().start()
        ending.callback(inference.stop)
        ending.callback(inference.engine.release)
        served = Served(slack, endpoint_url=inference.url, home=tmp_path)
        ending.callback(served.close)
        served.start()
        yield World(slack, inference, served)


def test_a_job_that_was_being_drawn_is_delivered_once_after_the_restart(world: World):
    world.engine.hold()
    world.imagine("a red fox")
    world.slack.wait_for(lambda: world.engine.asked)
    world.served.kill()
    world.engine.release()
    world.served.start()

    card = world.ended()
    assert len(world.slack.messages()) == 1
    assert world.files(card) == 1
    world.served.stop()
    assert world.files(card) == 1


def test_a_restart_waits_for_less_than_ten_seconds_of_timers():
    assert ONE_MACHINE.grace + ONE_MACHINE.nudge_after + ONE_MACHINE.sweep_every < 10


def test_a_job_killed_while_its_picture_is_on_its_way_is_delivered_once(world: World):
    world.slack.faults.slow("files.completeUploadExternal", seconds=0.5)
    world.imagine("a red fox")
    world.slack.wait_for(lambda: world.slack.traffic.all("upload"))
    world.served.kill()
    world.served.start()

    assert world.files(world.ended()) == 1


def test_an_interrupt_ends_it_in_good_order_and_the_job_goes_on_afterwards(world: World):
    world.engine.hold()
    world.imagine("a red fox")
    world.slack.wait_for(lambda: world.engine.asked)
    assert world.served.stop() == 0
    world.engine.release()
    world.served.start()

    assert world.files(world.ended()) == 1
