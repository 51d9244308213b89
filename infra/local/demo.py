"""The demo: a local Slack workspace, the bot and the inference server, started and ended as one.

Each is a process of its own that speaks its real protocol over loopback: signed requests from the
workspace to the bot, Web API calls back, `/invocations` to the inference server.
"""

import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from infra.local.children import Child, ChildFailed, Recipe, free_port
from infra.local.model_file import READY_PATIENCE as MODEL_PATIENCE
from infra.local.model_file import lay_out

READY_PATIENCE = 60.0
LOOK_EVERY = 0.4
WATCHED = ("bot",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """What to start. `port` is the page's; `home` is emptied first, for the workspace starts empty too.

    `model`: a checkpoint to draw with, with the LoRAs and other files of the model folder `models`, if any.
    """

    port: int
    home: Path
    engine: str = "embedded"
    model: Path | None = None
    models: Path | None = None
    environment: Mapping[str, str]

    @property
    def page(self) -> str:
        """The address to open in a browser."""
        return f"http://127.0.0.1:{self.port}"

    def recipes(self) -> tuple[Recipe, Recipe, Recipe]:
        """Inference server, workspace and bot, in the order they start."""
        bot_port, model_port = free_port(), free_port()
        return self._inference(model_port), self.workspace(bot_port), self._bot(bot_port, model_port)

    def _inference(self, port: int) -> Recipe:
        command = ["-m", "container", "serve", "--port", str(port), "--engine", self.engine]
        folder = self.home / "models" if self.model else self.models
        if folder:
            command += ["--models", str(folder)]
        return self._recipe("inference server", command, f"http://127.0.0.1:{port}/ping")

    def workspace(self, bot_port: int) -> Recipe:
        """The local Slack, sending to a bot on `bot_port`."""
        events = f"http://127.0.0.1:{bot_port}/slack/events"
        command = ["-m", "infra.local.slack", "--port", str(self.port), "--commands-url", events]
        return self._recipe("Slack workspace", command, f"{self.page}/page/state")

    def bot_settings(self, port: int) -> dict[str, str]:
        """What the bot needs to serve this workspace on `port`."""
        return {
            "SLACK_BOT_TOKEN": "xoxb-local-bot",
            "SLACK_SIGNING_SECRET": "local-signing-secret",
            "SLACK_TEAM_ID": "T0000000001",
            "SLACK_API_URL": f"{self.page}/api/",
            "IMAGINE_HTTP_PORT": str(port),
            "IMAGINE_HOME": str(self.home / "bot"),
            "IMAGINE_ADMINS": "U0000000001",
            "IMAGINE_DOLLARS_PER_HOUR": "0",
        }

    def _bot(self, port: int, model_port: int) -> Recipe:
        settings = {
            **self.bot_settings(port),
            "IMAGINE_ENDPOINT_URL": f"http://127.0.0.1:{model_port}",
        }
        return self._recipe("bot", ["-m", "bot", "serve"], f"http://127.0.0.1:{port}/ready", settings)

    def _recipe(
        self, name: str, command: list[str], ready_url: str, settings: Mapping[str, str] | None = None
    ) -> Recipe:
        return Recipe(
            name=name,
            command=[sys.executable, *command],
            ready_url=ready_url,
            log=self.home / f"{name.replace(' ', '-')}.log",
            environment=settings or {},
        )


def run(demo: Demo, *, reload: bool, announce: Callable[[], None]) -> None:
    """Start everything, call `announce`, and stay until a child fails or KeyboardInterrupt.

    Every process is ended on the way out. Raises ChildFailed.
    """
    shutil.rmtree(demo.home, ignore_errors=True)
    if demo.model:
        lay_out(demo.home / "models", model=demo.model, beside=demo.models)
    seen = code_times() if reload else None
    with ExitStack() as started:
        children = []
        for recipe in demo.recipes():
            child = Child(recipe, environment=demo.environment)
            started.callback(child.stop)
            children.append(child)
        for child in children:
            child.wait_ready(patience=MODEL_PATIENCE if demo.model or demo.models else READY_PATIENCE)
        announce()
        _stay(demo, children, started, seen=seen)


def _stay(
    demo: Demo, children: list[Child], started: ExitStack, *, seen: Mapping[Path, float] | None
) -> None:
    """`seen` is the code that the bot was started with, None to leave it alone."""
    while True:
        time.sleep(LOOK_EVERY)
        now = None if seen is None else code_times()
        if now != seen:
            seen = now
            children[-1] = _restarted(demo, children[-1], started)
        for child in children:
            child.check()


def _restarted(demo: Demo, old: Child, started: ExitStack) -> Child:
    """A bot that does not start after an edit is reported and waits for the next edit."""
    print("the bot's code changed: restarting it", flush=True)
    old.stop()
    while True:
        child = Child(old.recipe, environment=demo.environment)
        started.callback(child.stop)
        before = code_times()
        try:
            child.wait_ready(patience=READY_PATIENCE)
        except ChildFailed as failed:
            print(failed, flush=True)
            child.stop()
            _wait_for_edit(before)
        else:
            return child


def _wait_for_edit(before: Mapping[Path, float]) -> None:
    while code_times() == before:
        time.sleep(LOOK_EVERY)


def code_times() -> dict[Path, float]:
    """When each file of the bot's code was changed."""
    return {path: path.stat().st_mtime for path in _sources()}


def _sources() -> Iterator[Path]:
    root = Path(__file__).resolve().parents[2]
    for folder in WATCHED:
        yield from (root / folder).rglob("*.py")
