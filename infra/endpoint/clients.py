"""AWS clients of the command line: boto3's, each made once, with AWS's own retries."""

from functools import cached_property
from typing import Any

from infra.endpoint.errors import EndpointError

HOMES = {"pricing": "us-east-1"}
"""Services that answer for every region in a few alone."""


class AwsClients:
    """Clients by service. Region and credentials as AWS's own tools find them; `region` wins.

    Raises EndpointError where no region is known.
    """

    def __init__(self, *, region: str | None = None) -> None:
        self._asked = region
        self._made: dict[str, Any] = {}

    @cached_property
    def session(self) -> Any:
        import boto3  # noqa: PLC0415  half a second that only these commands need

        return boto3.Session(region_name=self._asked)

    @property
    def region(self) -> str:
        found: str | None = self.session.region_name
        if not found:
            raise EndpointError("no region is set; add --region us-east-1, or set AWS_REGION")
        return found

    def __getitem__(self, service: str) -> Any:
        if service not in self._made:
            self._made[service] = self.session.client(service, region_name=HOMES.get(service, self.region))
        return self._made[service]
