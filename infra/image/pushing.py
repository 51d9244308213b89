"""From a recipe to an image in ECR: built, tried, pushed, and what the registry then says."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from infra.image.engine import ContainerEngine
from infra.image.errors import ImageError
from infra.image.recipe import Source
from infra.image.registry import Held, Registry
from infra.image.smoke import smoke

Told = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """`held` is what ECR tells. `changed`: it was not there before."""

    held: Held
    address: str
    changed: bool

    @property
    def reference(self) -> str:
        return self.held.reference(self.address)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pusher:
    """Pushes built images. `tags` go on a repository that is made."""

    registry: Registry
    engine: ContainerEngine
    told: Told
    tags: Mapping[str, str] = field(default_factory=dict)
    tried: bool = True

    def push(self, source: Source, repository: str) -> Pushed:
        """Nothing is built or pushed where ECR holds the same already. Raises ImageError."""
        address = self.registry.ensure(repository, tags=self.tags)
        held = self.registry.find(repository, source.tag)
        if held is not None:
            self.told(f"{repository}:{source.tag} is there already")
            return Pushed(held=held, address=address, changed=False)
        build(self.engine, source, told=self.told)
        if self.tried and not source.recipe.trains:
            try_out(self.engine, source, told=self.told)
        self._send(source, f"{address}:{source.tag}")
        held = self.registry.find(repository, source.tag)
        if held is None:
            raise ImageError(f"the push of {repository}:{source.tag} ended well, but ECR does not hold it")
        return Pushed(held=held, address=address, changed=True)

    def _send(self, source: Source, reference: str) -> None:
        login = self.registry.login()
        self.engine.login(login.host, login.token)
        try:
            self.told(f"pushing {reference}")
            self.engine.push(source.local_name, reference)
        finally:
            self.engine.logout(login.host)


def build(engine: ContainerEngine, source: Source, *, told: Told) -> None:
    """With the recipe it stands on. Raises ImageError."""
    need_disk(source)
    if source.base is not None:
        build(engine, source.base, told=told)
    told(f"building {source.local_name} with {engine.name}")
    engine.build(source)


def try_out(engine: ContainerEngine, source: Source, *, told: Told) -> None:
    """Draw one picture with it. Raises ImageError."""
    told(f"drawing with {source.local_name}")
    width, height = smoke(engine, source.local_name)
    told(f"it drew {width} x {height}")


def need_disk(source: Source, *, folder: Path | None = None) -> None:
    """Raises ImageError where less is free than a build takes."""
    free = shutil.disk_usage(folder or source.root).free / 10**9
    if free < source.recipe.gigabytes:
        raise ImageError(
            f"{free:.0f} GB are free, and building {source.recipe.name} takes about "
            f"{source.recipe.gigabytes} GB; make room, or add --codebuild to build in the account"
        )
