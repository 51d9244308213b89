"""Puts the functions of the HTTP API together."""

from bot.aws.s3_links import S3Links
from bot.bootstrap_aws import Deployment, core_of, deployment
from bot.functions.api import ApiFront, Authorizer
from bot.http_api.app import Api
from bot.http_api.callback_address import AddressRules
from bot.http_api.clients import Auth, authentication
from bot.http_api.filters import load_filter
from bot.http_api.generations import Desk
from bot.http_api.keys import Keys
from bot.ports import Cells
from bot.services.core import Refit, as_built


def api(deployed: Deployment | None = None, *, refit: Refit = as_built) -> ApiFront:
    """The function behind /v1. It shows nothing itself, so it has no sink. Raises ConfigError."""
    deployed = deployed or deployment("api")
    settings = deployed.settings
    core = refit(core_of(deployed, sinks={}))
    desk = Desk(
        core=core,
        tenant=deployed.slack.team_id,
        links=S3Links(deployed.clients, bucket=settings["IMAGINE_BUCKET"]),
        addresses=AddressRules(loopback=settings["IMAGINE_CALLBACK_LOOPBACK"]),
        filter=load_filter(settings["IMAGINE_API_FILTER"]),
    )
    keys = _keys(deployed, core.cells, max_age=core.times.settings_for)
    return ApiFront(Api(desk=desk, authenticate=authentication(Auth(settings["IMAGINE_API_AUTH"]), keys)))


def authorizer(deployed: Deployment | None = None, *, refit: Refit = as_built) -> Authorizer:
    """The function that may stand before it."""
    deployed = deployed or deployment("authorizer")
    core = refit(core_of(deployed, sinks={}))
    return Authorizer(_keys(deployed, core.cells, max_age=core.times.settings_for), deployed.journal)


def _keys(deployed: Deployment, cells: Cells, *, max_age: float) -> Keys:
    return Keys(cells, clock=deployed.clock, max_age=max_age)
