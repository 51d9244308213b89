"""Stands in for AWS's price API, which moto does not know: SageMaker's products, two to a page."""

import json
from dataclasses import dataclass, field
from typing import Any

from botocore.awsrequest import AWSResponse
from botocore.exceptions import EndpointConnectionError

from tests.infra.quota.service_quotas import Reply


@dataclass(kw_only=True)
class PriceApi:
    """`hourly`: US dollars by usage type, such as USE1-Host:ml.g5.xlarge. A before-send handler.

    Where it is `lost`, nobody answers.
    """

    hourly: dict[str, float] = field(default_factory=dict)
    lost: bool = False
    asked: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, request: Any) -> AWSResponse:
        if self.lost:
            raise EndpointConnectionError(endpoint_url=request.url)
        sent = json.loads(request.body)
        self.asked.append({"host": request.url, **sent})
        begin = int(sent.get("NextToken", "0"))
        listed = [json.dumps(product(usage, dollars)) for usage, dollars in self.hourly.items()]
        more = {"NextToken": str(begin + 2)} if begin + 2 < len(listed) else {}
        return Reply(json.dumps({"PriceList": listed[begin : begin + 2], **more}).encode())


def product(usage: str, dollars: float, unit: str = "Hrs") -> dict[str, Any]:
    """In the form that the price list has."""
    price = {"unit": unit, "pricePerUnit": {"USD": f"{dollars:.10f}"}}
    terms = {"OnDemand": {"SKU.JRTCKXETXF": {"priceDimensions": {"SKU.JRTCKXETXF.6YS6EN2CT7": price}}}}
    return {"product": {"attributes": {"usagetype": usage, "component": "Hosting"}}, "terms": terms}
