"""Changing a running endpoint: a new config, a picture to prove it, and the old config again where it draws
none.
"""

from collections.abc import Callable

from bot.aws.clients import ServiceClients
from infra.endpoint.errors import EndpointError, SelfTestFailed
from infra.endpoint.plan import Step, Waits, apply, clean
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

    Raises what `prove` raises, once the endpoint serves its former config again.
    """
    before = _serving(goal, clients)
    done = apply(goal, clients, waits=waits, told=told)
    try:
        prove()
    except EndpointError as failed:
        if before is None or before == goal.config_name:
            raise
        _back(goal, clients, before, waits)
        raise SelfTestFailed(f"{failed}; {goal.place.name} serves {before} again, as before") from failed
    return done + clean(goal, clients, told=told)


def _serving(goal: Wanted, clients: ServiceClients) -> str | None:
    names = clients["sagemaker"].list_endpoints(NameContains=goal.place.name)["Endpoints"]
    if goal.place.name not in [endpoint["EndpointName"] for endpoint in names]:
        return None
    told = clients["sagemaker"].describe_endpoint(EndpointName=goal.place.name)
    return str(told["EndpointConfigName"])


def _back(goal: Wanted, clients: ServiceClients, config: str, waits: Waits) -> None:
    clients["sagemaker"].update_endpoint(
        EndpointName=goal.place.name, EndpointConfigName=config, RetainAllVariantProperties=True
    )
    waits.until_in_service(config)
