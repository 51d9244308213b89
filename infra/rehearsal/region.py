"""Everything that stands in for AWS, started and ended as one: the emulator, SageMaker, and their gateway."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.session

from infra.docs import ROOT
from infra.local.children import Child, Recipe, free_port
from infra.rehearsal.gateway import Gateway, Upstreams, Watch, listening, unwatched

ACCOUNT = "123456789012"
REGION = "us-east-1"
KEY = "local"
"""Access key and secret of the account's root, which the stand-in for SageMaker signs with as well."""

READY_PATIENCE = 120.0
SERVICES = ("SAGEMAKER", "SAGEMAKER_RUNTIME", "APPLICATION_AUTO_SCALING")


class Clients:
    """Clients by service, each made once, as the account's root."""

    def __init__(self, standing: "Standing") -> None:
        self._standing = standing
        self._made: dict[str, Any] = {}

    def __getitem__(self, service: str) -> Any:
        if service not in self._made:
            self._made[service] = self._standing.client(service)
        return self._made[service]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A region at work."""

    gateway: Gateway
    emulator: str
    sagemaker: str
    children: tuple[Child, ...]

    def client(self, service: str, *, key: str = KEY, secret: str = KEY) -> Any:
        """botocore's, as the account's root or as whoever has that key."""
        session = botocore.session.Session()
        session.set_credentials(key, secret)
        return session.create_client(service, region_name=REGION, endpoint_url=self.gateway.url)

    @property
    def environment(self) -> dict[str, str]:
        """What leads AWS's own tools here, as the account's root."""
        return {
            "AWS_ENDPOINT_URL": self.gateway.url,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": KEY,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
        }

    def check(self) -> None:
        """Raises ChildFailed when a part has ended by itself."""
        for child in self.children:
            child.check()


@contextmanager
def standing_region(
    home: Path,
    *,
    logs: Path,
    python: Path,
    functions: Mapping[str, str],
    container: str | None = None,
    watch: Watch = unwatched,
) -> Iterator[Standing]:
    """Up until the block ends. `python` has the emulator and runs the functions, which are also told
    `functions`. Models draw with the server at `container`, else each with one of its own. `watch` sees every
    signed request. Raises ChildFailed.
    """
    emulator, sagemaker = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    upstreams = Upstreams(emulator=emulator, sagemaker=sagemaker, account=ACCOUNT)
    with ExitStack() as started:
        gateway = started.enter_context(listening(upstreams, watch=watch))
        recipes = (
            _emulator(home, logs, emulator, python, {"AWS_ENDPOINT_URL": gateway.url, **functions}),
            _sagemaker(logs, sagemaker, gateway.url, container),
        )
        children = []
        for recipe in recipes:
            child = Child(recipe, environment=inherited())
            started.callback(child.stop)
            children.append(child)
        for child in children:
            child.wait_ready(patience=READY_PATIENCE)
        yield Standing(gateway=gateway, emulator=emulator, sagemaker=sagemaker, children=tuple(children))


def _emulator(home: Path, logs: Path, url: str, python: Path, functions: Mapping[str, str]) -> Recipe:
    """Its functions inherit its environment, and so find Slack and the gateway."""
    return Recipe(
        name="AWS emulator",
        command=[str(python), "-m", "ministack"],
        ready_url=f"{url}/_ministack/health",
        log=logs / "emulator.log",
        environment={
            "BIND_HOST": "127.0.0.1",
            "MINISTACK_HOST": "127.0.0.1",
            "GATEWAY_PORT": url.rpartition(":")[2],
            "AUTH": "true",
            "MINISTACK_ACCOUNT_ID": ACCOUNT,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": KEY,
            "STATE_DIR": str(home / "state"),
            "S3_DATA_DIR": str(home / "state" / "s3"),
            "LAMBDA_ASYNC_RETRY_BASE_SECONDS": "1",
            "LAMBDA_ASYNC_RETRY_MAX_SECONDS": "2",
            **functions,
        },
    )


def _sagemaker(logs: Path, url: str, aws: str, container: str | None) -> Recipe:
    options = ["--port", url.rpartition(":")[2], "--whole-region", "--engine", "embedded", "--aws", aws]
    options += [] if container is None else ["--container", container]
    return Recipe(
        name="SageMaker stand-in",
        command=[
            sys.executable,
            "-m",
            "infra.local.sagemaker",
            *options,
            "--log",
            str(logs / "inference.log"),
        ],
        ready_url=f"{url}/_sagemaker/state",
        log=logs / "sagemaker.log",
        environment={"PYTHONPATH": str(ROOT)},
    )


def inherited() -> dict[str, str]:
    """Without settings for AWS or Python that somebody's shell happens to have."""
    unwanted = ("AWS_", "PYTHON", "IMAGINE_", "SLACK_", "MINISTACK_")
    inherited = os.environ.items()  # noqa: TID251  children inherit PATH and the like
    return {name: value for name, value in inherited if not name.startswith(unwanted)}
