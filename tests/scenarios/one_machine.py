"""The adapter set of one machine: SQLite, a folder, in-process queues and an inference server by URL.

Another adapter set offers the same public methods, and every scenario runs over it unchanged.
"""

import dataclasses
import io
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from bot import config
from bot.bootstrap import SlackDoor, build_slack
from bot.domain.job import Job
from bot.domain.times import ONE_MACHINE, Times
from bot.http_api.keys import NewKey, create
from bot.services.core import Core
from bot.services.sweep import sweep
from bot.services.work import take_result
from infra.local.children import free_port
from infra.local.slack.testing import LocalSlack
from tests.scenarios.looking import TEAM, Looking
from tests.scenarios.mortality import Fate
from tests.scenarios.stack import ROBIN

TIMES = dataclasses.replace(
    ONE_MACHINE,
    grace=0.5,
    lease=3.0,
    sweep_every=0.1,
    nudge_after=0.2,
    look_every=0.2,
    confirm_first=0.05,
    confirm_patience=2.0,
    click_guard=60.0,
    audit_after=0.3,
    back_off_first=0.1,
    back_off_most=0.5,
)
"""Whatever comes again does so at once. How long others may take is longer: a slow machine is no dead one."""
SIDE, STEPS = 64, 4


class OneMachine(Looking):
    """The bot of one workspace, as `bot.bootstrap` wires it, with times in fractions of seconds."""

    def __init__(
        self,
        slack: LocalSlack,
        *,
        endpoint_url: str,
        home: Path,
        times: Times = TIMES,
        settings: Mapping[str, str] | None = None,
        over_socket: bool = False,
        http_api: bool = False,
    ) -> None:
        self._slack = slack
        self._port = 0 if over_socket else free_port()
        self._api_port = free_port() if http_api else 0
        self._times = times
        self._log = io.StringIO()
        self._settings = self._all_settings(endpoint_url, home, settings or {})
        self._door: SlackDoor | None = None
        self._fate = Fate()
        slack.connect_bot(None if over_socket else f"http://127.0.0.1:{self._port}/slack/events")

    def open(self) -> None:
        """Start working."""
        self._build().open()

    def open_without_messages(self) -> None:
        """Take requests, but lose every nudge and event: only `sweep` works on jobs."""
        door = self._build()
        assert door.server is not None
        door.server.start()
        if door.api is not None:
            door.api.start()

    def close(self) -> None:
        """End in good order."""
        if self._door is not None:
            self._door.close()
            self._door = None

    def die(self) -> None:
        """End as a killed process does: nothing more is written, and what is in flight is forgotten."""
        self._fate.kill()
        self.close()
        self._fate = Fate()

    def die_at(self, call: str, *, after: bool, nth: int = 1) -> None:
        """Kill the process just before or just after its nth call of a port, such as `sink.deliver`."""
        self._fate.plan(call, after=after, nth=nth)

    def sweep(self) -> None:
        """One sweep of everything that is due. Raises Killed where `die_at` planned it."""
        sweep(self._core)

    def lose_endpoint(self) -> None:
        """The inference server itself is the endpoint here."""

    def restore_endpoint(self) -> None:
        """See `lose_endpoint`."""

    def repeat_result_event(self, job: Job) -> None:
        """Say once more, or too early, that the job's object has arrived."""
        take_result(self._core, job.id)

    @property
    def log(self) -> str:
        """Everything it logged."""
        return self._log.getvalue()

    @property
    def url(self) -> str:
        """Where it takes Slack's requests."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def api_url(self) -> str:
        """Where it takes requests of the HTTP API."""
        return f"http://127.0.0.1:{self._api_port}"

    def new_key(self, name: str) -> NewKey:
        """An API key, as `imagine keys create` makes it."""
        return create(self._core.cells, name=name, now=self._core.clock.now())

    def open_link(self, url: str) -> bytes:
        """What a link to a picture opens, without a key."""
        with urllib.request.urlopen(url) as opened:
            return bytes(opened.read())

    @property
    def _core(self) -> Core:
        assert self._door is not None
        return self._door.machine.core

    def _build(self) -> SlackDoor:
        self._door = build_slack(config.load(self._settings), log=self._log, refit=self._refit)
        self._looking = self._core
        return self._door

    def _refit(self, core: Core) -> Core:
        around = self._fate.around
        return dataclasses.replace(
            core,
            policy=dataclasses.replace(core.policy, times=self._times),
            jobs=around("jobs", core.jobs),
            objects=around("objects", core.objects),
            endpoint=around("endpoint", core.endpoint),
            sinks={kind: around("sink", sink) for kind, sink in core.sinks.items()},
        )

    def _all_settings(self, endpoint_url: str, home: Path, chosen: Mapping[str, str]) -> dict[str, str]:
        return {
            "SLACK_BOT_TOKEN": self._slack.bot_token,
            "SLACK_APP_TOKEN": self._slack.app_token,
            "SLACK_SIGNING_SECRET": self._slack.signing_secret,
            "SLACK_TEAM_ID": TEAM,
            "SLACK_API_URL": self._slack.api_url,
            "IMAGINE_HTTP_PORT": str(self._port),
            "IMAGINE_ENDPOINT_URL": endpoint_url,
            "IMAGINE_HOME": str(home),
            "IMAGINE_ADMINS": ROBIN,
            "IMAGINE_SIZE": str(SIDE),
            "IMAGINE_STEPS": str(STEPS),
            "IMAGINE_API_PORT": str(self._api_port),
            "IMAGINE_CALLBACK_LOOPBACK": "on",
            **chosen,
        }
