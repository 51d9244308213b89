"""How many instances of a type the account may run, and asking AWS for more.

SageMaker's quotas are one for each instance type and use, named such as "ml.g6.xlarge for endpoint usage"
(Service Quotas console). In a new account those of GPU and of CPU types can both be 0.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bot.aws.clients import ServiceClients
from infra.endpoint.errors import QuotaTooSmall
from infra.endpoint.settings import EndpointSettings

SERVICE = "sagemaker"
OPEN = frozenset({"PENDING", "CASE_OPENED"})


class Use(StrEnum):
    """As the quota's name ends."""

    ENDPOINT = "endpoint usage"
    TRAINING = "training job usage"
    SPOT = "spot training job usage"


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """So many instances at once, for this use."""

    kind: str
    use: Use
    count: int

    @property
    def name(self) -> str:
        """The quota's, exactly."""
        return f"{self.kind} for {self.use}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """`value` is None where AWS lists no such quota in this region; `asked` is a request still open."""

    need: Need
    value: float | None
    code: str = ""
    asked: float | None = None

    @property
    def enough(self) -> bool:
        return self.value is not None and self.value >= self.need.count

    @property
    def sentence(self) -> str:
        if self.value is None:
            return f'AWS lists no quota "{self.need.name}" in this region'
        asked = f"; {self.asked:g} are asked for" if self.asked is not None else ""
        return f'"{self.need.name}" is {self.value:g}, {self.need.count} needed{asked}'


def needs_of(
    settings: EndpointSettings, *, training: str = "ml.g5.xlarge", spot: bool = True
) -> tuple[Need, ...]:
    """Of an endpoint and of one training. An endpoint needs one of its types; each is listed."""
    endpoint = (Need(kind=kind, use=Use.ENDPOINT, count=settings.max_instances) for kind in settings.types)
    return (*endpoint, Need(kind=training, use=Use.SPOT if spot else Use.TRAINING, count=1))


def read_quotas(clients: ServiceClients, needs: Sequence[Need]) -> tuple[Quota, ...]:
    """As they are now, in the order of `needs`; what was never changed is AWS's default."""
    service = clients["service-quotas"]
    names = {need.name for need in needs}
    found = dict(_named(service, "list_service_quotas", names))
    if names - found.keys():
        found = {**dict(_named(service, "list_aws_default_service_quotas", names)), **found}
    asked = _asked(service) if any(not _enough(found, need) for need in needs) else {}
    return tuple(_quota(need, found, asked) for need in needs)


def need_endpoint_quota(clients: ServiceClients, settings: EndpointSettings) -> Quota:
    """The first type of an endpoint that may run at all. Raises QuotaTooSmall that names every quota."""
    needs = tuple(Need(kind=kind, use=Use.ENDPOINT, count=1) for kind in settings.types)
    quotas = read_quotas(clients, needs)
    for quota in quotas:
        if quota.enough:
            return quota
    raise QuotaTooSmall(
        f"{'; '.join(quota.sentence for quota in quotas)}. Ask AWS with imagine quota request"
    )


def request_quota(clients: ServiceClients, quota: Quota) -> str:
    """File an increase to what is needed; the request's id. Raises QuotaTooSmall where there is no quota."""
    if not quota.code:
        raise QuotaTooSmall(f"{quota.sentence}: it cannot be asked for; choose another type or region")
    told = clients["service-quotas"].request_service_quota_increase(
        ServiceCode=SERVICE, QuotaCode=quota.code, DesiredValue=float(quota.need.count)
    )
    return str(told["RequestedQuota"]["Id"])


def _named(service: Any, operation: str, names: Iterable[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    wanted = set(names)
    for page in service.get_paginator(operation).paginate(ServiceCode=SERVICE):
        for quota in page["Quotas"]:
            if quota["QuotaName"] in wanted:
                yield quota["QuotaName"], quota


def _asked(service: Any) -> Mapping[str, float]:
    """Desired value by quota code, of requests that are still open."""
    pages = service.get_paginator("list_requested_service_quota_change_history").paginate(ServiceCode=SERVICE)
    told = (request for page in pages for request in page["RequestedQuotas"])
    return {request["QuotaCode"]: request["DesiredValue"] for request in told if request["Status"] in OPEN}


def _enough(found: Mapping[str, Mapping[str, Any]], need: Need) -> bool:
    return need.name in found and found[need.name]["Value"] >= need.count


def _quota(need: Need, found: Mapping[str, Mapping[str, Any]], asked: Mapping[str, float]) -> Quota:
    if need.name not in found:
        return Quota(need=need, value=None)
    told = found[need.name]
    code = told["QuotaCode"]
    return Quota(need=need, value=told["Value"], code=code, asked=asked.get(code))
