"""Docker, podman and buildah: what builds, runs and pushes images on this machine."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from infra.image.errors import BuildFailed, ImageError, NoEngine
from infra.image.recipe import Source
from infra.image_smoke.buildah import Buildah
from infra.image_smoke.errors import SmokeError
from infra.image_smoke.served import serving

SHOWN_LINES = 30
MODELS = "/opt/ml/model"
SERVED_PORT = 8080


class ContainerEngine(Protocol):
    """Every method raises ImageError with the end of what the engine said."""

    @property
    def name(self) -> str: ...

    def build(self, source: Source) -> None:
        """Under its local name, for amd64."""

    def architecture(self, image: str) -> str: ...

    def login(self, host: str, token: str) -> None:
        """The token goes through standard input, never through the command line."""

    def logout(self, host: str) -> None: ...

    def push(self, image: str, reference: str) -> None: ...

    def serving(self, image: str, models: Path) -> AbstractContextManager[int]:
        """The image started with the word serve; the port on 127.0.0.1."""


def find_engine(folder: Path, *, path: str | None = None) -> ContainerEngine:
    """The first that is installed. `folder` keeps buildah's images. Raises NoEngine."""
    for name in ("docker", "podman"):
        if shutil.which(name, path=path):
            return Daemon(name=name)
    if shutil.which("buildah", path=path):
        return BuildahEngine(store=Buildah(folder=folder))
    raise NoEngine(
        "none of docker, podman and buildah is installed; install one, or add --codebuild to build in the "
        "account"
    )


def run(command: Sequence[str], *, said: str | None = None, shown: bool = False) -> str:
    """Standard output. `said` goes to its standard input; `shown` lets a person watch."""
    kept = None if shown else subprocess.PIPE
    ran = subprocess.run(command, input=said, stdout=kept, stderr=kept, text=True, check=False)
    if ran.returncode != 0:
        told = (ran.stdout or "") + (ran.stderr or "")
        end = "\n".join(told.splitlines()[-SHOWN_LINES:])
        raise BuildFailed(f"{' '.join(command[:2])} failed with status {ran.returncode}\n{end}".strip())
    return (ran.stdout or "").strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Daemon:
    """Docker, or podman, which takes the same words. `shown`: a person watches the build."""

    name: str
    shown: bool = False

    def build(self, source: Source) -> None:
        words = ["build", "--platform", "linux/amd64", "--file", str(source.dockerfile)]
        words += ["--tag", source.local_name, *_arguments(source.build_arguments())]
        if self.name == "podman":
            words += ["--ignorefile", str(source.ignore_file), "--format", "docker"]
        run([self.name, *words, str(source.root)], shown=self.shown)

    def architecture(self, image: str) -> str:
        return run([self.name, "image", "inspect", "--format", "{{.Architecture}}", image])

    def login(self, host: str, token: str) -> None:
        run([self.name, "login", "--username", "AWS", "--password-stdin", host], said=token)

    def logout(self, host: str) -> None:
        run([self.name, "logout", host])

    def push(self, image: str, reference: str) -> None:
        run([self.name, "tag", image, reference])
        run([self.name, "push", reference], shown=self.shown)

    @contextmanager
    def serving(self, image: str, models: Path) -> Iterator[int]:
        """Nobody but this machine reaches it, and it is gone afterwards."""
        words = ["run", "--detach", "--platform", "linux/amd64", "--publish", f"127.0.0.1::{SERVED_PORT}"]
        container = run([self.name, *words, "--volume", f"{models}:{MODELS}:ro", image, "serve"])
        try:
            yield int(run([self.name, "port", container, str(SERVED_PORT)]).rpartition(":")[2])
        finally:
            run([self.name, "rm", "--force", container])


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildahEngine:
    """buildah with a store of its own; it needs no daemon, and root to run an image."""

    store: Buildah
    name: str = "buildah"

    def build(self, source: Source) -> None:
        with _as_image_error():
            self.store.folder.mkdir(parents=True, exist_ok=True)
            self.store.build(
                source.local_name,
                recipe=source.dockerfile,
                context=source.root,
                arguments=source.build_arguments(),
                volumes=(),
            )

    def architecture(self, image: str) -> str:
        with _as_image_error():
            return self.store.config(image).architecture

    def login(self, host: str, token: str) -> None:
        run(self.store.command("login", "--username", "AWS", "--password-stdin", host), said=token)

    def logout(self, host: str) -> None:
        run(self.store.command("logout", host))

    def push(self, image: str, reference: str) -> None:
        run(self.store.command("push", "--format=v2s2", image, f"docker://{reference}"))

    @contextmanager
    def serving(self, image: str, models: Path) -> Iterator[int]:
        with tempfile.TemporaryDirectory() as folder, _as_image_error():
            output = Path(folder) / "server.log"
            with serving(self.store, image, models=models, output=output) as served:
                served.wait_until_healthy()
                yield SERVED_PORT


def _arguments(arguments: Mapping[str, str]) -> list[str]:
    return [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]


@contextmanager
def _as_image_error() -> Iterator[None]:
    try:
        yield
    except SmokeError as error:
        raise ImageError(str(error)) from error
