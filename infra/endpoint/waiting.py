"""Waiting for SageMaker, which takes minutes: asked no more often than its own waiters ask."""

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from infra.endpoint.errors import EndpointFailed

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

    def until_in_service(self) -> None:
        """Raises EndpointFailed with SageMaker's reason."""
        status, reason = self._until(lambda status: status in {"InService", "Failed", "OutOfService", ""})
        if status != "InService":
            raise EndpointFailed(f"SageMaker gave {self._name} up: {reason or status or 'it is gone'}")

    def until_changeable(self) -> None:
        """A failed endpoint will do: it can be deleted."""
        self._until(lambda status: status in {"InService", "Failed", "OutOfService", ""})

    def until_gone(self) -> None:
        self._until(lambda status: status == "")

    def _until(self, arrived: Callable[[str], bool]) -> tuple[str, str]:
        waited = 0.0
        while waited <= PATIENCE:
            status, reason = self._status()
            self._told(status, waited)
            if arrived(status):
                return status, reason
            self._pause(LOOK_EVERY)
            waited += LOOK_EVERY
        raise EndpointFailed(
            f"{self._name} is still {status} after {PATIENCE / 3600:.0f} hours; see imagine endpoint logs"
        )

    def _status(self) -> tuple[str, str]:
        """Status and reason; both empty where there is no such endpoint."""
        try:
            told = self._sagemaker.describe_endpoint(EndpointName=self._name)
        except ClientError as error:
            if "Could not find" in error.response["Error"]["Message"]:
                return "", ""
            raise
        return told["EndpointStatus"], told.get("FailureReason", "")
