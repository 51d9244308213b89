"""microburst between deployed functions and AWS: it answers as AWS would where a rule says so.

A rule's members stand in microburst's own documentation under "Rules".
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import botocore.session
import httpx
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from infra.local.children import Child, Recipe, free_port
from infra.rehearsal.gateway import listening
from infra.rehearsal.region import REGION, Standing
from infra.tool_environments import environment

PATIENCE = 120.0
Rule = Mapping[str, Any]
Met = tuple[str, str | None]
"""A service and an operation; None for SageMaker's runtime, whose operations microburst does not know."""

EVERYTHING: Rule = {"service": "*", "error": {"code": "ThrottlingException"}}
FIRST: Sequence[tuple[str, str, Mapping[str, Any]]] = (
    ("dynamodb", "list_tables", {}),
    ("s3", "list_buckets", {}),
    ("sqs", "list_queues", {}),
    ("ssm", "describe_parameters", {}),
    ("sagemaker-runtime", "invoke_endpoint_async", {"EndpointName": "none", "InputLocation": "s3://none/x"}),
)
"""A harmless request of each service."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """Until rules are set it changes nothing."""

    url: str

    def rules(self, rules: Sequence[Rule]) -> None:
        """These from now on; nothing has fired yet."""
        self._control("POST", "rules", [dict(rule) for rule in rules])
        self._control("DELETE", "fired")

    def fired(self) -> set[Met]:
        """What a rule has had its effect on."""
        told = self._control("GET", "fired?limit=1000")
        return {(one["service"], one["operation"]) for one in told}

    def _control(self, method: str, route: str, told: Any = None) -> Any:
        reply = httpx.request(method, f"{self.url}/_microburst/{route}", json=told, timeout=PATIENCE)
        reply.raise_for_status()
        return reply.json()


@contextmanager
def wired(region: Standing, *, log: Path) -> Iterator[Wire]:
    """In front of the region until the block ends. Raises ChildFailed, CalledProcessError.

    It puts a Host of its own into what it passes on, so a second gateway gives back the one that was signed.
    """
    wire = Wire(url=f"http://127.0.0.1:{free_port()}")
    here = urlsplit(wire.url).netloc
    with listening(region.gateway.upstreams, record=region.gateway.record, signed_for=here) as behind:
        child = Child(_recipe(wire, behind.url, log), environment={})
        try:
            child.wait_ready(patience=PATIENCE)
            _warm_up(wire)
            yield wire
        finally:
            child.stop()


def _recipe(wire: Wire, upstream: str, log: Path) -> Recipe:
    program = str(environment("microburst") / "microburst")
    port = wire.url.rpartition(":")[2]
    return Recipe(
        name="microburst",
        command=[program, "--host", "127.0.0.1", "--port", port, "--upstream", upstream],
        ready_url=f"{wire.url}/_microburst/health",
        log=log,
        environment={},
    )


def _warm_up(wire: Wire) -> None:
    """A service's first request takes it seconds, in which it reads what AWS publishes of it."""
    wire.rules([EVERYTHING])
    session = botocore.session.Session()
    session.set_credentials("nobody", "nobody")
    patient = Config(retries={"total_max_attempts": 1}, read_timeout=PATIENCE)
    for service, operation, sent in FIRST:
        client = session.create_client(service, region_name=REGION, endpoint_url=wire.url, config=patient)
        try:
            getattr(client, operation)(**sent)
        except (ClientError, BotoCoreError):
            continue
        finally:
            client.close()
    wire.rules([])
