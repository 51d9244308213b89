"""Puts the parts of the functions together that no person waits for."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence

from bot.aws.dead_letters import dead_letters
from bot.aws.endpoint_control import EndpointControl
from bot.aws.endpoint_snapshot import EndpointSnapshot
from bot.aws.events import Ours
from bot.aws.release_look import ReleaseLook
from bot.aws.s3_links import S3Links
from bot.bootstrap_aws import Deployment, core_of, deployment
from bot.config import Config
from bot.domain.job import SinkKind
from bot.domain.times import Times
from bot.functions.admin_desk import AdminDesk, Endpoint
from bot.functions.jobs import Failures, Results, Worker
from bot.functions.upkeep import Sweeper
from bot.http_api.callback_address import AddressRules
from bot.http_api.callback_post import HttpsPost
from bot.http_api.callback_sink import CallbackSink
from bot.http_api.keys import Keys
from bot.http_api.poll_sink import PollSink
from bot.ports import Sink
from bot.services.core import Core, Refit, as_built
from bot.slack import notices
from bot.slack.thread_sink import SlackThreadSink
from bot.slack.web import SlackWeb


def worker(deployed: Deployment | None = None, *, refit: Refit = as_built) -> Worker:
    """Takes the queue's nudges."""
    deployed = deployed or deployment("worker")
    return Worker(refit(_core(deployed)), ours=ours_of(deployed.settings))


def result(deployed: Deployment | None = None, *, refit: Refit = as_built) -> Results:
    """Takes the arrival of success objects."""
    deployed = deployed or deployment("result")
    return Results(refit(_told_core(deployed)), ours=ours_of(deployed.settings))


def failure(deployed: Deployment | None = None, *, refit: Refit = as_built) -> Failures:
    """Takes failure objects and error notices."""
    deployed = deployed or deployment("failure")
    return Failures(refit(_told_core(deployed)), ours=ours_of(deployed.settings))


def sweep(deployed: Deployment | None = None, *, refit: Refit = as_built) -> Sweeper:
    """Runs every minute."""
    deployed = deployed or deployment("sweep")
    core = refit(_core(deployed))
    return Sweeper(core, look=_look_closely(deployed, core), ours=ours_of(deployed.settings))


def admin(deployed: Deployment | None = None, *, refit: Refit = as_built) -> AdminDesk:
    """Carries out what admins ask for."""
    deployed = deployed or deployment("admin")
    core, slack, settings = refit(_core(deployed)), deployed.slack, deployed.settings
    queues = [settings[name] for name in ("IMAGINE_DEAD_NUDGES_URL", "IMAGINE_DEAD_EVENTS_URL")]
    return AdminDesk(
        core,
        tenant=slack.team_id,
        admins=slack.admins,
        endpoint=Endpoint(
            control=EndpointControl(deployed.clients, name=settings["IMAGINE_ENDPOINT"]),
            look=_look(deployed, core),
            dead=functools.partial(dead_letters, deployed.clients, [url for url in queues if url]),
        ),
        tell=functools.partial(_tell, deployed.web()),
    )


def ours_of(settings: Config) -> Ours:
    """The names that events must bear."""
    return Ours(
        account=settings["IMAGINE_BUCKET_OWNER"],
        bucket=settings["IMAGINE_BUCKET"],
        queue=settings["IMAGINE_QUEUE_URL"].rsplit("/", 1)[-1],
        topic=settings["IMAGINE_ERROR_TOPIC"],
    )


def _tell(web: SlackWeb, response_url: str, lines: Sequence[str]) -> None:
    """An answer needs no token: the address alone is the permission."""
    message = notices.say(lines[0]) if len(lines) == 1 else notices.page(lines)
    body = {"response_type": "ephemeral", "replace_original": False}
    web.respond(response_url, {**body, "text": message.text, "blocks": message.blocks})


def _core(deployed: Deployment) -> Core:
    slack = SlackThreadSink(
        web=deployed.web(), cells=deployed.cells, clock=deployed.clock, settings=deployed.slack
    )
    sinks: Mapping[SinkKind, Sink] = {
        SinkKind.SLACK_THREAD: slack,
        SinkKind.POLL: PollSink(),
        SinkKind.CALLBACK: _callback(deployed),
    }
    return core_of(deployed, sinks=sinks)


def _told_core(deployed: Deployment) -> Core:
    """Of a function that hears of a drawing's end: the endpoint is awake by then, so its role may not ask for
    a waking, and the sweep wakes what fell asleep meanwhile.
    """
    return dataclasses.replace(_core(deployed), steering=None)


def _callback(deployed: Deployment) -> CallbackSink:
    settings = deployed.settings
    return CallbackSink(
        keys=Keys(deployed.cells, clock=deployed.clock, max_age=Times().settings_for),
        post=HttpsPost(AddressRules(loopback=settings["IMAGINE_CALLBACK_LOOPBACK"])),
        links=S3Links(deployed.clients, bucket=settings["IMAGINE_BUCKET"]),
        clock=deployed.clock,
    )


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


def _look_closely(deployed: Deployment, core: Core) -> Callable[[], None]:
    """At the endpoint, and at the model files it draws with; the sweep's role alone may do both."""
    look = _look(deployed, core)
    owner = deployed.settings["IMAGINE_BUCKET_OWNER"]
    release = ReleaseLook(
        deployed.clients,
        owner=owner,
        journal=deployed.journal,
        endpoint=core.endpoint,
        objects=core.objects,
    )

    def look_closely() -> None:
        look()
        release.refresh(core.cells, now=core.clock.now())
        core.bulletin.forget()

    return look_closely
