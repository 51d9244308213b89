"""Puts the function together that Slack talks to; it alone loads Bolt."""

from bot.bootstrap_aws import Deployment, core_of, deployment
from bot.functions.front import HARD_STOP, Front
from bot.services.core import Refit, as_built
from bot.slack.app import create_app
from bot.slack.receiver import Receiver


def slack(
    deployed: Deployment | None = None, *, refit: Refit = as_built, hard_stop: float = HARD_STOP
) -> Front:
    """The function behind the gateway. It shows nothing itself, so it has no sink."""
    deployed = deployed or deployment("slack")
    core = refit(core_of(deployed, sinks={}))
    app = create_app(core, deployed.slack, web=deployed.web())
    receiver = Receiver(app, secrets=deployed.signing_secrets(), clock=core.clock)
    return Front(receiver.handle, clock=core.clock, journal=core.journal, hard_stop=hard_stop)
