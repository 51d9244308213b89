"""buildah, with images and containers in a folder of our own instead of the machine's store."""

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.image_smoke.errors import SmokeError

MAX_SHOWN_LINES = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageConfig:
    """How an image is started: `user` as "uid:gid", `entrypoint` without the word that follows it."""

    user: str
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    architecture: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Buildah:
    """One store of images under `folder`."""

    folder: Path

    def call(self, *arguments: str) -> str:
        """Standard output of one buildah command. Raises `SmokeError` with the end of what it wrote."""
        ran = subprocess.run(self.command(*arguments), capture_output=True, text=True, check=False)
        if ran.returncode != 0:
            said = "\n".join((ran.stdout + ran.stderr).splitlines()[-MAX_SHOWN_LINES:])
            raise SmokeError(f"buildah {arguments[0]} failed with status {ran.returncode}:\n{said}")
        return ran.stdout.strip()

    def command(self, *arguments: str) -> list[str]:
        """The command line that runs buildah over this store."""
        store, scratch = self.folder / "storage", self.folder / "run"
        return ["buildah", f"--root={store}", f"--runroot={scratch}", *arguments]

    def has(self, image: str) -> bool:
        return bool(self.call("images", "--quiet", "--filter", f"reference={image}"))

    def build(
        self, image: str, *, recipe: Path, context: Path, arguments: Mapping[str, str], volumes: Sequence[str]
    ) -> None:
        """Build `image` by a Dockerfile; `volumes` ("from:to:ro") are seen while building and not kept."""
        own = recipe.with_name(f"{recipe.name}.dockerignore")
        ignored = own if own.is_file() else context / ".dockerignore"
        self.call(
            "bud",
            "--isolation=chroot",
            "--layers",
            "--force-rm",
            "--format=docker",
            f"--tag={image}",
            f"--file={recipe}",
            f"--ignorefile={ignored}",
            *(f"--build-arg={name}={value}" for name, value in arguments.items()),
            *(f"--volume={volume}" for volume in volumes),
            str(context),
        )

    def let_go(self) -> None:
        """Unmount what the store keeps mounted between commands, so that its folder can be removed."""
        mounted = self.folder / "storage/overlay"
        if mounted.is_mount():
            subprocess.run(["umount", mounted], check=True)

    def config(self, image: str) -> ImageConfig:
        inspected: dict[str, Any] = json.loads(self.call("inspect", "--type=image", image))["OCIv1"]
        config = inspected["config"]
        return ImageConfig(
            user=config.get("User", ""),
            entrypoint=tuple(config.get("Entrypoint") or ()),
            command=tuple(config.get("Cmd") or ()),
            architecture=inspected["architecture"],
            labels=config.get("Labels") or {},
        )

    def size(self, image: str) -> str:
        """The unpacked size as buildah words it, such as "412 MB"."""
        return self.call("images", "--format={{.Size}}", "--filter", f"reference={image}").splitlines()[0]

    @contextmanager
    def working_container(self, image: str) -> Iterator[str]:
        """The name of a container made from `image`, gone afterwards."""
        name = self.call("from", "--pull-never", image)
        try:
            yield name
        finally:
            self.call("rm", name)
