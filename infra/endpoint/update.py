"""Changing a running endpoint: a new config, a picture to prove it, and the old config again where it draws
none.
"""

from collections.abc import Callable

from bot.aws.clients import ServiceClients
from infra.endpoint.errors import EndpointError, SelfTestFailed
from infra.endpoint.plan import Step, Waits, apply, clean, hosting_of
from infra.endpoint.resources import described
from infra.endpoint.wanted import Wanted


def update(
    goal: Wanted,
    clients: ServiceClients,
    *,
    waits: Waits,
    prove: Callable[[], None],
    told: Callable[[Step], None] = lambda _step: None,
) -> tuple[Step, ...]:
    """Make it so, `prove` it, and only then remove what served before; the steps that were done.

    Killed anywhere, the next call goes on: what served before is not removed before the proof, so it is still
    there to go back to. Raises what `prove` raises, once the endpoint serves its former config again.
    """
    before = _former(goal, clients)
    done = apply(goal, clients, waits=waits, told=told)
    try:
        prove()
    except EndpointError as failed:
        if before is None:
            raise
        _back(goal, clients, before, waits)
        raise SelfTestFailed(f"{failed}; {goal.place.name} serves {before} again, as before") from failed
    return done + clean(goal, clients, told=told)


def _former(goal: Wanted, clients: ServiceClients) -> str | None:
    """The config to go back to: what serves now, else the newest that an update before this one left."""
    told = described(clients["sagemaker"].describe_endpoint, EndpointName=goal.place.name)
    if told is None:
        return None
    serving = str(told["EndpointConfigName"])
    if serving != goal.config_name:
        return serving
    left = hosting_of(goal.place, clients, but=frozenset({goal.config_name}))
    return next((name for kind, name in left if kind == "endpoint config"), None)


def _back(goal: Wanted, clients: ServiceClients, config: str, waits: Waits) -> None:
    clients["sagemaker"].update_endpoint(
        EndpointName=goal.place.name, EndpointConfigName=config, RetainAllVariantProperties=True
    )
    waits.until_in_service(config)
