"""Waiting for SageMaker, which takes minutes: asked no more often than its own waiters ask."""

from collections.abc import Callable, Mapping
from typing import Any

from infra.endpoint.errors import EndpointFailed
from infra.endpoint.resources import described

GONE = "gone"
"""In place of a status."""

LOOK_EVERY = 30.0
"""Seconds, as in botocore's waiter `endpoint_in_service`."""

PATIENCE = 2 * 3600.0
"""Seconds. A start may take an hour for the files and another for the health check."""


class EndpointWaits:
    """Waits for one endpoint. `pause` sleeps; `told` hears status and seconds waited."""

    def __init__(
        self,
        sagemaker: Any,
        *,
        name: str,
        pause: Callable[[float], None],
        told: Callable[[str, float], None] = lambda _status, _seconds: None,
    ) -> None:
        self._sagemaker = sagemaker
        self._name = name
        self._pause = pause
        self._told = told

    def until_in_service(self, config: str) -> None:
        """Serving `config`. Raises EndpointFailed with SageMaker's reason, also for an update taken back."""
        told = self._until(frozenset({"InService", "Failed", "OutOfService", GONE}))
        reason = told.get("FailureReason") or told["EndpointStatus"]
        if told["EndpointStatus"] != "InService":
            raise EndpointFailed(f"SageMaker gave {self._name} up: {reason}")
        if told["EndpointConfigName"] != config:
            raise EndpointFailed(f"SageMaker took the update of {self._name} back: {reason}")

    def until_changeable(self) -> None:
        """A failed endpoint will do: it can be deleted."""
        self._until(frozenset({"InService", "Failed", "OutOfService", GONE}))

    def until_gone(self) -> None:
        self._until(frozenset({GONE}))

    def _until(self, arrived: frozenset[str]) -> Mapping[str, Any]:
        waited = 0.0
        while waited <= PATIENCE:
            told = described(self._sagemaker.describe_endpoint, EndpointName=self._name)
            told = told or {"EndpointStatus": GONE}
            self._told(told["EndpointStatus"], waited)
            if told["EndpointStatus"] in arrived:
                return told
            self._pause(LOOK_EVERY)
            waited += LOOK_EVERY
        raise EndpointFailed(f"{self._name} is not there after {PATIENCE / 3600:.0f} hours; see its logs")
