"""Puts the parts of the functions together that no person waits for."""

from collections.abc import Callable, Mapping

from bot.aws.endpoint_snapshot import EndpointSnapshot
from bot.aws.events import Ours
from bot.bootstrap_aws import Deployment, core_of, deployment
from bot.config import Config
from bot.domain.job import SinkKind
from bot.functions.jobs import Failures, Results, Worker
from bot.functions.upkeep import AdminDesk, Sweeper
from bot.services.core import Core
from bot.slack.thread_sink import SlackThreadSink

Environ = Mapping[str, str] | None


def worker(environ: Environ = None) -> Worker:
    """Takes the queue's nudges."""
    deployed = deployment("worker", environ)
    return Worker(_core(deployed), ours=ours_of(deployed.settings))


def result(environ: Environ = None) -> Results:
    """Takes the arrival of success objects."""
    deployed = deployment("result", environ)
    return Results(_core(deployed), ours=ours_of(deployed.settings))


def failure(environ: Environ = None) -> Failures:
    """Takes failure objects and error notices."""
    deployed = deployment("failure", environ)
    return Failures(_core(deployed), ours=ours_of(deployed.settings))


def sweep(environ: Environ = None) -> Sweeper:
    """Runs every minute."""
    deployed = deployment("sweep", environ)
    core = _core(deployed)
    return Sweeper(core, look=_look(deployed, core), ours=ours_of(deployed.settings))


def admin(environ: Environ = None) -> AdminDesk:
    """Carries out what admins ask for."""
    deployed = deployment("admin", environ)
    core, slack = _core(deployed), deployed.slack
    return AdminDesk(core, tenant=slack.team_id, admins=slack.admins, look=_look(deployed, core))


def ours_of(settings: Config) -> Ours:
    """The names that events must bear."""
    return Ours(
        account=settings["IMAGINE_BUCKET_OWNER"],
        bucket=settings["IMAGINE_BUCKET"],
        queue=settings["IMAGINE_QUEUE_URL"].rsplit("/", 1)[-1],
        topic=settings["IMAGINE_ERROR_TOPIC"],
    )


def _core(deployed: Deployment) -> Core:
    sink = SlackThreadSink(
        web=deployed.web(), cells=deployed.cells, clock=deployed.clock, settings=deployed.slack
    )
    return core_of(deployed, sinks={SinkKind.SLACK_THREAD: sink})


def _look(deployed: Deployment, core: Core) -> Callable[[], None]:
    settings = deployed.settings
    snapshot = EndpointSnapshot(
        deployed.clients,
        name=settings["IMAGINE_ENDPOINT"],
        journal=deployed.journal,
        max_instances=settings["IMAGINE_MAX_INSTANCES"],
    )

    def look() -> None:
        snapshot.refresh(core.cells, now=core.clock.now())
        core.bulletin.forget()

    return look
