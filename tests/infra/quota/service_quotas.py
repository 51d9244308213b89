"""Stands in for Service Quotas, which moto knows only in part: answers requests in pages of two."""

import json
from dataclasses import dataclass, field
from typing import Any

from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders


@dataclass(kw_only=True)
class ServiceQuotas:
    """`applied` and `defaults`: value by quota name. A before-send handler."""

    applied: dict[str, float] = field(default_factory=dict)
    defaults: dict[str, float] = field(default_factory=dict)
    requests: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, request: Any) -> AWSResponse:
        operation = request.headers["X-Amz-Target"].decode().partition(".")[2]
        told = _OPERATIONS[operation](self, json.loads(request.body))
        return Reply(json.dumps(told).encode())

    def applied_quotas(self, sent: dict[str, Any]) -> dict[str, Any]:
        return self._page(sent, self.applied)

    def default_quotas(self, sent: dict[str, Any]) -> dict[str, Any]:
        return self._page(sent, self.defaults)

    def history(self, sent: dict[str, Any]) -> dict[str, Any]:
        assert sent["ServiceCode"] == "sagemaker"
        return {"RequestedQuotas": self.requests}

    def increase(self, sent: dict[str, Any]) -> dict[str, Any]:
        told = {**sent, "Id": f"request-{len(self.requests) + 1}", "Status": "PENDING"}
        self.requests.append(told)
        return {"RequestedQuota": told}

    def _page(self, sent: dict[str, Any], values: dict[str, float]) -> dict[str, Any]:
        assert sent["ServiceCode"] == "sagemaker"
        begin = int(sent.get("NextToken", "0"))
        listed = [
            {"QuotaName": name, "QuotaCode": f"L-{sum(name.encode()):08}", "Value": value}
            for name, value in values.items()
        ]
        more = {"NextToken": str(begin + 2)} if begin + 2 < len(listed) else {}
        return {"Quotas": listed[begin : begin + 2], **more}


_OPERATIONS = {
    "ListServiceQuotas": ServiceQuotas.applied_quotas,
    "ListAWSDefaultServiceQuotas": ServiceQuotas.default_quotas,
    "ListRequestedServiceQuotaChangeHistory": ServiceQuotas.history,
    "RequestServiceQuotaIncrease": ServiceQuotas.increase,
}


class Reply(AWSResponse):
    """A JSON answer."""

    def __init__(self, body: bytes) -> None:
        super().__init__("https://servicequotas", 200, HTTPHeaders(), None)
        self._content = body
