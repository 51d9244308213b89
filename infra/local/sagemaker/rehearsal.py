"""A region for people: control plane, scaling and training served on one port, a real container per model.

The region's time goes with the machine's clock, `speed` times as fast; drawing and training take real time.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.local.children import Child, Recipe, free_port
from infra.local.sagemaker.container import Container
from infra.local.sagemaker.hosting import Members
from infra.local.sagemaker.region import Peers, Region
from infra.local.sagemaker.runtime import RegionServer

READY_PATIENCE = 120.0
ENGINE = "IMAGINE_ENGINE"
VARIABLES = ("SAGEMAKER", "SAGEMAKER_RUNTIME", "APPLICATION_AUTO_SCALING", "SERVICE_QUOTAS")


@dataclass(slots=True, kw_only=True)
class Containers:
    """Starts an inference server for each model that an endpoint opens, and ends them all.

    Where one is `running` already, at that address, it serves every model and is left alone.
    """

    log: Path
    engine: str
    running: str | None = None
    children: list[Child] = field(default_factory=list)

    def open(self, model: Members) -> Container:
        """With the engine that the model's environment names. Raises ChildFailed."""
        if self.running is not None:
            return Container(self.running)
        settings: Mapping[str, str] = model.get("PrimaryContainer", {}).get("Environment", {})
        port = free_port()
        engine = settings.get(ENGINE, self.engine)
        recipe = Recipe(
            name="inference server",
            command=[sys.executable, "-m", "container", "serve", "--port", str(port), "--engine", engine],
            ready_url=f"http://127.0.0.1:{port}/ping",
            log=self.log,
            environment=settings,
        )
        child = Child(recipe, environment=os.environ)  # noqa: TID251  a child inherits PATH and the like
        self.children.append(child)
        child.wait_ready(patience=READY_PATIENCE)
        return Container(f"http://127.0.0.1:{port}")

    def close(self) -> None:
        for child in self.children:
            child.stop()


@contextmanager
def rehearsal(
    peers: Peers,
    *,
    port: int,
    speed: float,
    region: str,
    engine: str,
    log: Path,
    container: str | None = None,
) -> Iterator[RegionServer]:
    """Served until the block ends; every model draws with the server at `container` where one is named.

    Raises OSError when the port is taken.
    """
    containers = Containers(log=log, engine=engine, running=container)
    standing = Region(peers, open_container=containers.open, name=region, speed=speed)
    try:
        with RegionServer(standing, port=port) as server:
            yield server
    finally:
        containers.close()


def greeting(url: str) -> list[str]:
    """What a shell needs to speak to it."""
    clients = [f"export AWS_ENDPOINT_URL_{name}={url}" for name in VARIABLES]
    return ["a region, its endpoints made by requests", *clients, f"control    {url}/_sagemaker/state"]


def peers_of(client: Any) -> Peers:
    """`client` makes a client by the service's name."""
    return Peers(s3=client("s3"), sns=client("sns"), cloudwatch=client("cloudwatch"), logs=client("logs"))
