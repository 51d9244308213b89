"""Service Quotas as far as SageMaker's instances go: what `Capacity` allows, by AWS's own quota names.

Nothing was ever asked for here: the history is empty, and a default is what applies.
"""

import zlib
from collections.abc import Mapping
from typing import Any

from infra.local.sagemaker.capacity import Capacity
from infra.local.sagemaker.errors import Refusal
from infra.local.sagemaker.shapes import service_model

Members = Mapping[str, Any]
USES = ("endpoint usage", "training job usage", "spot training job usage")


class ServiceQuotas:
    """One account's quotas in one region."""

    def __init__(self, capacity: Capacity) -> None:
        self._capacity = capacity

    def list_service_quotas(self, sent: Members) -> Members:
        """Refuses another service than SageMaker. All are on one page."""
        if sent["ServiceCode"] != "sagemaker":
            raise Refusal("NoSuchResourceException", f"The service {sent['ServiceCode']} is not known here")
        shape: Any = service_model("sagemaker").shape_for("ProductionVariantInstanceType")
        return {"Quotas": [self._quota(kind, use) for kind in shape.enum for use in USES]}

    def list_aws_default_service_quotas(self, sent: Members) -> Members:
        return self.list_service_quotas(sent)

    def list_requested_service_quota_change_history(self, _sent: Members) -> Members:
        return {"RequestedQuotas": []}

    def _quota(self, kind: str, use: str) -> Members:
        name = f"{kind} for {use}"
        code = f"L-{zlib.crc32(name.encode()):08X}"
        return {"QuotaName": name, "QuotaCode": code, "Value": float(self._capacity.quota(kind, use))}
