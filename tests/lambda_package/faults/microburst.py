"""microburst between the functions and AWS: it answers as AWS would where a rule says so, and keeps a record.

    with Microburst(upstream=url, log=path) as wire:
        wire.rule(service="dynamodb", operation="Query", times=2, error={"code": "ThrottlingException"})
        ...
        assert wire.fired() == 2

A rule's members stand in microburst's own documentation under "Rules".
"""

import json
import urllib.request
from pathlib import Path
from typing import Any, Self

from infra.local.children import Child, Recipe, free_port
from tests.lambda_package.tool_environments import environment

READY_PATIENCE = 60.0
LEAN = Path(__file__).parent / "lean_microburst.py"


class Microburst:
    """One proxy in front of one address. Until a rule is set it changes nothing."""

    def __init__(self, *, upstream: str, log: Path) -> None:
        port = str(free_port())
        self.url = f"http://127.0.0.1:{port}"
        program = [str(environment("microburst") / "python"), "-P", str(LEAN)]
        command = [*program, "--host", "127.0.0.1", "--port", port]
        self._recipe = Recipe(
            name="microburst",
            command=[*command, "--upstream", upstream],
            ready_url=f"{self.url}/_microburst/health",
            log=log,
            environment={},
        )

    def __enter__(self) -> Self:
        self._child = Child(self._recipe, environment={})
        try:
            self._child.wait_ready(patience=READY_PATIENCE)
        except BaseException:
            self._child.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._child.stop()

    def rule(self, **members: Any) -> None:
        """This one rule from now on; nothing has fired yet."""
        self._control("POST", "rules", [members])
        self._control("DELETE", "fired")

    def calm(self) -> None:
        """No rule any more; what has fired is still told."""
        self._control("POST", "rules", [])

    def fired(self) -> int:
        """How often the rule had its effect."""
        return len(self._control("GET", "fired?limit=1000"))

    def _control(self, method: str, route: str, told: Any = None) -> Any:
        body = None if told is None else json.dumps(told).encode()
        request = urllib.request.Request(f"{self.url}/_microburst/{route}", data=body, method=method)
        with urllib.request.urlopen(request, timeout=READY_PATIENCE) as reply:
            return json.load(reply)
