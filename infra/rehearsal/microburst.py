"""microburst between functions and AWS: it answers as AWS would where a rule says so, and keeps a record.

    wire = Wire.anywhere()
    with passing_on(wire, upstream=url, log=path):
        wire.rules([{"service": "dynamodb", "operation": "Query", "error": {"code": "ThrottlingException"}}])
        ...
        assert ("dynamodb", "Query") in wire.fired()

A rule's members stand in microburst's own documentation under "Rules".
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx

from infra.function_zip import SERVICES
from infra.local.children import Child, Recipe, free_port
from infra.tool_environments import environment

PATIENCE = 120.0
LEAN = Path(__file__).parent / "lean_microburst.py"

Rule = Mapping[str, Any]
Met = tuple[str, str | None]
"""A service and an operation; None for SageMaker's runtime, whose operations microburst does not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """Where the proxy listens. Until rules are set it changes nothing."""

    url: str

    @classmethod
    def anywhere(cls) -> Self:
        """On a free port."""
        return cls(url=f"http://127.0.0.1:{free_port()}")

    def rules(self, rules: Sequence[Rule]) -> None:
        """These from now on; nothing has fired yet. What fires at once is not forgotten again."""
        self.calm()
        self._control("DELETE", "fired")
        self._control("POST", "rules", [dict(rule) for rule in rules])

    def calm(self) -> None:
        """No rule any more; what has fired is still told."""
        self._control("POST", "rules", [])

    def fired(self) -> list[Met]:
        """What rules have had their effect on, each time."""
        told = self._control("GET", "fired?limit=1000")
        return [(one["service"], one["operation"]) for one in told]

    def _control(self, method: str, route: str, told: Any = None) -> Any:
        reply = httpx.request(method, f"{self.url}/_microburst/{route}", json=told, timeout=PATIENCE)
        reply.raise_for_status()
        return reply.json()


@contextmanager
def passing_on(wire: Wire, *, upstream: str, log: Path) -> Iterator[Wire]:
    """The proxy in front of one address until the block ends. Raises ChildFailed, CalledProcessError."""
    child = Child(_recipe(wire, upstream, log), environment={})
    try:
        child.wait_ready(patience=PATIENCE)
        yield wire
    finally:
        child.stop()


def _recipe(wire: Wire, upstream: str, log: Path) -> Recipe:
    program = [str(environment("microburst") / "python"), "-P", str(LEAN), ",".join(sorted(SERVICES))]
    port = wire.url.rpartition(":")[2]
    return Recipe(
        name="microburst",
        command=[*program, "--host", "127.0.0.1", "--port", port, "--upstream", upstream],
        ready_url=f"{wire.url}/_microburst/health",
        log=log,
        environment={},
    )
