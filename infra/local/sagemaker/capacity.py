"""What the account and the region have to give: quotas by instance type, and free machines."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.local.sagemaker.errors import Refusal

PLENTY = 20


@dataclass(slots=True, kw_only=True)
class Capacity:
    """`quotas` and `free` count instances by type; a type that is not named has `PLENTY` of both. A quota's
    full name, such as "ml.g5.xlarge for training job usage", goes before the type's.

    The sentence of a quota that is too small is AWS's own (ResourceLimitExceeded of CreateEndpoint).
    """

    quotas: dict[str, int] = field(default_factory=dict)
    free: dict[str, int] = field(default_factory=dict)

    def check_quota(self, kind: str, *, used: int, wanted: int, purpose: str = "endpoint usage") -> None:
        """Raises Refusal where `wanted` more of `kind` are beyond the account's quota."""
        quota = self.quota(kind, purpose)
        if used + wanted > quota:
            raise Refusal(
                "ResourceLimitExceeded",
                f"The account-level service limit '{kind} for {purpose}' is {quota} Instances, with current "
                f"utilization of {used} Instances and a request delta of {wanted} Instances. Please use AWS "
                "Service Quotas to request an increase for this quota.",
            )

    def quota(self, kind: str, purpose: str) -> int:
        """How many of `kind` may run at once."""
        return self.quotas.get(f"{kind} for {purpose}", self.quotas.get(kind, PLENTY))

    def take(self, kinds: Iterable[str]) -> str | None:
        """A machine of the first of `kinds` that is to be had; None where there is none."""
        for kind in kinds:
            left = self.free.get(kind, PLENTY)
            if left > 0:
                self.free[kind] = left - 1
                return kind
        return None

    def give_back(self, kind: str) -> None:
        """A machine is free again."""
        self.free[kind] = self.free.get(kind, PLENTY) + 1

    def change(self, told: Mapping[str, Mapping[str, Any]]) -> None:
        """`{"quotas": {"ml.g5.xlarge": 0}, "free": {…}}`. Raises ValueError naming what does not fit."""
        for name, counts in told.items():
            if name not in {"quotas", "free"}:
                raise ValueError(f"capacity has quotas and free, not {name}")
            for kind, count in counts.items():
                if not isinstance(count, int) or isinstance(count, bool) or count < 0:
                    raise ValueError(f"{name}.{kind} takes a count, not {count!r}")
            getattr(self, name).update(counts)
