"""What endpoint.toml says of roles and tags, for the deployed stack as for the endpoint."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from infra.endpoint.settings import EndpointSettings


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
