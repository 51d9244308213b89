"""What endpoint.toml says of roles and tags, for the deployed stack as for the endpoint."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from infra.docs import ROOT
from infra.endpoint.settings import EndpointSettings

OPTIONS: Mapping[str, str] = {
    "suffix": "--suffix",
    "alarmEmail": "--alarm-email",
}
"""Parameters of serverless.yml that have an option of their own, which looks at what is given."""

CHOICES: Mapping[str, tuple[str, ...]] = {"alarms": ("few", "many")}
"""Parameters that mean nothing else, whatever is given."""

NOT_KEPT = frozenset({"SLACK_TEAM_ID", "IMAGINE_CALLBACK_LOOPBACK"})
"""The workspace has an option of its own, and what only a rehearsal opens must not stay open."""

_SETTING = re.compile(r"\$\{env:(\w+)")
_PARAMETER = re.compile(r"\$\{param:(\w+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class StackSettings:
    """`role_path` and `boundary` are of the functions' roles, "" for what serverless.yml does by itself.
    Everything of `stage` bears the `tags`, beside service and stage.
    """

    stage: str
    role_path: str = ""
    boundary: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: EndpointSettings, *, stage: str) -> Self:
        return cls(
            stage=stage,
            role_path="" if settings.role_path == "/" else settings.role_path,
            boundary=settings.permissions_boundary,
            tags=settings.tags,
        )

    @property
    def params(self) -> Mapping[str, str]:
        """As parameters of serverless.yml. Tags go by a file, which `write` makes."""
        given = {
            "rolePath": self.role_path,
            "permissionsBoundary": self.boundary,
            "tags": self.tags_file if self.tags else "",
        }
        return {name: value for name, value in given.items() if value}

    @property
    def tags_file(self) -> str:
        """In the checkout."""
        return f"build/tags-{self.stage}.json"

    def write(self, checkout: Path) -> None:
        """The file of tags, where there are any."""
        if not self.tags:
            return
        file = checkout / self.tags_file
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps({"service": "imagine", "stage": self.stage, **self.tags}))


def parameters() -> frozenset[str]:
    """Every parameter that serverless.yml and its parts read."""
    return _named(_PARAMETER)


def deployable() -> frozenset[str]:
    """The service's settings that a deployment takes from the environment and the next one remembers."""
    return _named(_SETTING) - NOT_KEPT


def _named(pattern: re.Pattern[str]) -> frozenset[str]:
    files = (ROOT / "serverless.yml", *(ROOT / "infra" / "serverless").rglob("*.yml"))
    return frozenset(name for file in files for name in pattern.findall(file.read_text(encoding="utf-8")))


def parameter_mistake(name: str, value: str) -> str:
    """What is wrong with a parameter that somebody gave, and the fix; empty for none."""
    if name in OPTIONS:
        return f"say {OPTIONS[name]} instead"
    known = parameters()
    if name not in known:
        return f"serverless.yml has no such parameter; it has {', '.join(sorted(known - OPTIONS.keys()))}"
    if value not in CHOICES.get(name, (value,)):
        return f"it is {' or '.join(CHOICES[name])}"
    return ""
