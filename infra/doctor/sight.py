"""What the checks look at, each thing asked for once."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from bot.config import Config
from infra.endpoint.clients import AwsClients
from infra.endpoint.place import Place, find_place
from infra.endpoint.plan import Step, plan
from infra.endpoint.settings import EndpointSettings, read_settings
from infra.endpoint.wanted import Wanted
from infra.image.registry import newest_image

Fetch = Callable[[str, Mapping[str, str]], tuple[Mapping[str, str], bytes]]
"""Headers and body of an address, asked with these headers. Raises OSError."""


@dataclass(frozen=True, kw_only=True)
class Sight:
    """`fetch` reaches Slack and layers in ECR; `find_program` looks on PATH; `now` is Unix seconds."""

    stage: str
    file: Path
    clients: AwsClients
    config: Config
    fetch: Fetch
    now: float
    find_program: Callable[[str], str | None] = shutil.which
    free_bytes: Callable[[], int] = field(default=lambda: shutil.disk_usage(".").free)

    @cached_property
    def identity(self) -> Mapping[str, Any]:
        identity: Mapping[str, Any] = self.clients["sts"].get_caller_identity()
        return identity

    @cached_property
    def settings(self) -> EndpointSettings:
        return read_settings(self.file)

    @cached_property
    def place(self) -> Place:
        return find_place(self.clients, stage=self.stage)

    @cached_property
    def image(self) -> str:
        return self.settings.image or newest_image(self.clients, self.settings.engine)

    @cached_property
    def goal(self) -> Wanted:
        return Wanted(place=self.place, settings=self.settings, image=self.image)

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """What `imagine endpoint apply` would do."""
        return plan(self.goal, self.clients)

    def secret(self, setting: str, name: str) -> str:
        """From the environment or the settings file, else from the stage's SecureString; "" for none."""
        own = str(self.config[setting])
        if own:
            return own
        path = f"/imagine/{self.stage}/{name}"
        told = self.clients["ssm"].get_parameters(Names=[path], WithDecryption=True)["Parameters"]
        return str(told[0]["Value"]) if told else ""
