"""Stands in for AWS's price API, which moto does not know: products by service and fields, two to a page."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from botocore.awsrequest import AWSResponse
from botocore.exceptions import EndpointConnectionError

from tests.infra.quota.service_quotas import Reply


@dataclass(kw_only=True)
class PriceApi:
    """`hourly`: US dollars by SageMaker's usage type, such as USE1-Host:ml.g5.xlarge; `others`: service and
    product of everything else. A before-send handler.

    Where it is `lost`, nobody answers.
    """

    hourly: dict[str, float] = field(default_factory=dict)
    others: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    lost: bool = False
    asked: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, request: Any) -> AWSResponse:
        if self.lost:
            raise EndpointConnectionError(endpoint_url=request.url)
        sent = json.loads(request.body)
        self.asked.append({"host": request.url, **sent})
        begin = int(sent.get("NextToken", "0"))
        listed = [json.dumps(told) for service, told in self._all() if matches(service, told, sent)]
        more = {"NextToken": str(begin + 2)} if begin + 2 < len(listed) else {}
        return Reply(json.dumps({"PriceList": listed[begin : begin + 2], **more}).encode())

    def _all(self) -> list[tuple[str, dict[str, Any]]]:
        hosted = {"component": "Hosting"}
        return [
            *(
                ("AmazonSageMaker", product(usage, [(0, dollars)], unit="Hrs", **hosted))
                for usage, dollars in self.hourly.items()
            ),
            *self.others,
        ]


def matches(service: str, told: dict[str, Any], sent: dict[str, Any]) -> bool:
    """As the price API filters: every field is one of the attributes, but for the family."""
    known = {**told["product"]["attributes"], "productFamily": told["product"]["productFamily"]}
    wanted = {field["Field"]: field["Value"] for field in sent["Filters"]}
    return service == sent["ServiceCode"] and all(known.get(key) == value for key, value in wanted.items())


def product(
    usage: str,
    tiers: Sequence[tuple[float, float]],
    *,
    unit: str = "Requests",
    family: str = "Any",
    region: str = "us-east-1",
    **attributes: str,
) -> dict[str, Any]:
    """In the form that the price list has. `tiers`: from which amount on, and US dollars a unit."""
    prices = {
        f"SKU.JRTCKXETXF.{number}": {
            "unit": unit,
            "beginRange": f"{begin:g}",
            "pricePerUnit": {"USD": f"{dollars:.10f}"},
        }
        for number, (begin, dollars) in enumerate(tiers)
    }
    return {
        "product": {
            "productFamily": family,
            "attributes": {"usagetype": usage, "regionCode": region, **attributes},
        },
        "terms": {"OnDemand": {"SKU.JRTCKXETXF": {"priceDimensions": prices}}},
    }
