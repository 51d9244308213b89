"""The only place that picks adapters and puts the parts together."""

import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TextIO

from bot.config import Config
from bot.domain.job import SinkKind
from bot.domain.times import DAY, ONE_MACHINE
from bot.http_api.app import Api
from bot.http_api.callback_address import AddressRules
from bot.http_api.callback_post import HttpsPost
from bot.http_api.callback_sink import CallbackSink
from bot.http_api.clients import ByKey
from bot.http_api.filters import load_filter
from bot.http_api.generations import Desk
from bot.http_api.keys import Keys
from bot.http_api.links import SignedLinks
from bot.http_api.loopback import Loopback, refused
from bot.http_api.poll_sink import PollSink
from bot.local.database import Database
from bot.local.folder_objects import FolderObjects
from bot.local.folder_sink import FolderSink
from bot.local.home import Home
from bot.local.http_endpoint import HttpEndpoint
from bot.local.inference_server import InferenceServer
from bot.local.journal import LineJournal
from bot.local.queue import InProcessQueue
from bot.local.retention import Retention
from bot.local.runtime import Runtime
from bot.local.server_look import ServerLook
from bot.local.sqlite_cells import SqliteCells
from bot.local.sqlite_jobs import SqliteJobs
from bot.local.system import SecretIds, SystemClock, SystemRandomness
from bot.local.web_server import Handle, PlainReply, Reply, WebServer
from bot.local.word_rules import WordRules
from bot.policy import blocked_phrases, policy_of
from bot.ports import Sink
from bot.services.core import Core, Process, Refit, as_built
from bot.slack.app import create_app
from bot.slack.receiver import Receiver
from bot.slack.settings import Mention, SlackSettings
from bot.slack.socket import SocketRunner
from bot.slack.thread_sink import SlackThreadSink
from bot.slack.web import FixedToken, SlackWeb

NO_WORKSPACE = "local"
"""Whose jobs those of the HTTP API are where no Slack workspace is served."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One machine's parts, ready to start. `close` ends what `core` opened."""

    core: Core
    runtime: Runtime
    endpoint: HttpEndpoint
    database: Database
    home: Home
    keys: Keys
    links: SignedLinks

    def start(self) -> None:
        """Take over what an earlier process left, then work."""
        self.runtime.start()

    def close(self) -> None:
        """End the threads, then the endpoint, then the database."""
        self.runtime.stop()
        self.endpoint.close()
        self.database.close()
        self.home.close()


def build_machine(
    config: Config,
    *,
    sinks: Mapping[SinkKind, "SinkMaker"] | None = None,
    log: TextIO = sys.stdout,
    refit: Refit = as_built,
) -> Machine:
    """Wire one machine: SQLite, a folder, an in-process queue and an inference server by URL.

    Events go to `log`, one JSON line each.
    """
    home = Home(config["IMAGINE_HOME"])
    clock, ids, database = SystemClock(), SecretIds(), Database(home.folder / "jobs.sqlite")
    journal = LineJournal(log, clock)
    objects, nudges, arrivals = FolderObjects(home.folder / "objects"), InProcessQueue(), InProcessQueue()
    cells = SqliteCells(database)
    server = InferenceServer(config["IMAGINE_ENDPOINT_URL"])
    endpoint = HttpEndpoint(
        server,
        objects=objects,
        on_settled=arrivals.nudge,
        clock=clock,
        journal=journal,
        window=config["IMAGINE_WINDOW"],
    )
    made = {kind: make(cells, clock) for kind, make in (sinks or {}).items()}
    keys = Keys(cells, clock=clock, max_age=ONE_MACHINE.settings_for)
    links = SignedLinks(objects, base=f"http://127.0.0.1:{config['IMAGINE_API_PORT']}", clock=clock)
    callback = CallbackSink(keys=keys, post=HttpsPost(_address_rules(config)), links=links, clock=clock)
    core = Core(
        clock=clock,
        ids=ids,
        randomness=SystemRandomness(),
        jobs=SqliteJobs(database),
        cells=cells,
        objects=objects,
        queue=nudges,
        endpoint=endpoint,
        sinks={
            SinkKind.FOLDER: FolderSink(),
            SinkKind.POLL: PollSink(),
            SinkKind.CALLBACK: callback,
            **made,
        },
        moderation=WordRules(blocked_phrases(config)),
        journal=journal,
        policy=policy_of(config, times=ONE_MACHINE),
        process=Process(boot=ids.token(), alone=True),
    )
    core = refit(core)
    retention = Retention(database, objects, journal, seconds=core.times.retention_days * DAY)
    runtime = Runtime(
        core,
        nudges=nudges,
        arrivals=arrivals,
        progress=endpoint.progress,
        forget=retention.forget,
        look=ServerLook(server, core).refresh,
    )
    return Machine(
        core=core,
        runtime=runtime,
        endpoint=endpoint,
        database=database,
        home=home,
        keys=keys,
        links=links,
    )


class SinkMaker:
    """Makes the Slack sink once cells and clock exist."""

    def __init__(self, web: SlackWeb, settings: SlackSettings) -> None:
        self._web = web
        self._settings = settings

    def __call__(self, cells: SqliteCells, clock: SystemClock) -> Sink:
        return SlackThreadSink(web=self._web, cells=cells, clock=clock, settings=self._settings)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackDoor:
    """How Slack reaches us: signed requests over HTTP, or Socket Mode."""

    machine: Machine
    web: SlackWeb
    server: WebServer | None
    socket: SocketRunner | None
    api: WebServer | None = None

    def open(self) -> None:
        """Start the machine first: what is accepted is worked on."""
        self.machine.start()
        for server in (self.server, self.api):
            if server is not None:
                server.start()
        if self.socket is not None:
            self.socket.start()

    def close(self) -> None:
        """Stop taking requests, then end the machine."""
        if self.socket is not None:
            self.socket.stop()
        for server in (self.server, self.api):
            if server is not None:
                server.close()
        self.machine.close()
        self.web.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiDoor:
    """The HTTP API alone, without a Slack workspace."""

    machine: Machine
    api: WebServer

    def open(self) -> None:
        """Start the machine first: what is accepted is worked on."""
        self.machine.start()
        self.api.start()

    def close(self) -> None:
        """Stop taking requests, then end the machine."""
        self.api.close()
        self.machine.close()


def build_door(config: Config, *, log: TextIO = sys.stdout) -> SlackDoor | ApiDoor:
    """What the settings ask for: Slack, the HTTP API, or both. Raises ConfigError for what is missing."""
    if config["IMAGINE_API_PORT"] and not config["SLACK_BOT_TOKEN"]:
        return build_api(config, log=log)
    return build_slack(config, log=log)


def build_api(config: Config, *, log: TextIO = sys.stdout, refit: Refit = as_built) -> ApiDoor:
    """The API on the port of the settings. Raises ConfigError."""
    port = config.need("IMAGINE_API_PORT")
    machine = build_machine(config, log=log, refit=refit)
    tenant = config["SLACK_TEAM_ID"] or NO_WORKSPACE
    return ApiDoor(machine=machine, api=_api_server(config, machine, tenant=tenant, port=port))


def build_slack(config: Config, *, log: TextIO = sys.stdout, refit: Refit = as_built) -> SlackDoor:
    """The bot for one workspace. Raises ConfigError for a missing token or secret."""
    web = SlackWeb(tokens=FixedToken(config.need("SLACK_BOT_TOKEN")), base_url=config["SLACK_API_URL"])
    settings = SlackSettings(
        team_id=config["SLACK_TEAM_ID"] or str(web.call("auth.test")["team_id"]),
        admins=config["IMAGINE_ADMINS"],
        mention=Mention(config["IMAGINE_MENTION"]),
        history=config["SLACK_HISTORY"],
    )
    sinks = {SinkKind.SLACK_THREAD: SinkMaker(web, settings)}
    machine = build_machine(config, sinks=sinks, log=log, refit=refit)
    app = create_app(machine.core, settings, web=web)
    port = config["IMAGINE_API_PORT"]
    api = _api_server(config, machine, tenant=settings.team_id, port=port) if port else None
    if config["IMAGINE_HTTP_PORT"]:
        secrets = [config.need("SLACK_SIGNING_SECRET"), config["SLACK_SIGNING_SECRET_OLD"]]
        receiver = Receiver(app, secrets=[secret for secret in secrets if secret], clock=machine.core.clock)
        server = WebServer(
            _with_ready(receiver), port=config["IMAGINE_HTTP_PORT"], journal=machine.core.journal
        )
        return SlackDoor(machine=machine, web=web, server=server, socket=None, api=api)
    token = config.need("SLACK_APP_TOKEN")
    socket = SocketRunner(app, app_token=token, base_url=config["SLACK_API_URL"])
    return SlackDoor(machine=machine, web=web, server=None, socket=socket, api=api)


def _api_server(config: Config, machine: Machine, *, tenant: str, port: int) -> WebServer:
    desk = Desk(
        core=machine.core,
        tenant=tenant,
        links=machine.links,
        addresses=_address_rules(config),
        filter=load_filter(config["IMAGINE_API_FILTER"]),
    )
    served = Loopback(Api(desk=desk, authenticate=ByKey(machine.keys)), machine.links)
    return WebServer(served.handle, journal=machine.core.journal, port=port, refused=refused)


def _address_rules(config: Config) -> AddressRules:
    return AddressRules(loopback=config["IMAGINE_CALLBACK_LOOPBACK"])


def _with_ready(receiver: Receiver) -> Handle:
    """`GET /ready` answers 200 to whoever started us; everything else is Slack's."""

    def handle(method: str, path: str, headers: Sequence[tuple[str, str]], body: bytes) -> Reply:
        if (method, path) == ("GET", "/ready"):
            return PlainReply(status=200)
        return receiver.handle(method, path, headers, body)

    return handle


def quiet_libraries() -> None:
    """Libraries speak only when something is wrong, and never of bodies (Bolt logs them at DEBUG)."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    for name in ("slack_bolt", "slack_sdk"):
        logging.getLogger(name).setLevel(logging.WARNING)


__all__ = [
    "Machine",
    "Refit",
    "SinkMaker",
    "SlackDoor",
    "as_built",
    "build_machine",
    "build_slack",
    "quiet_libraries",
]
