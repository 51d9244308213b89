"""The base image: plain Debian with its own Python, the release that has the Python we run on."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from infra.image_smoke.buildah import Buildah
from infra.image_smoke.errors import SmokeError

BASE = "localhost/imagine-smoke-base"
_RELEASES = {(3, 11): "bookworm", (3, 13): "trixie"}
_TOOLS = ("buildah", "debootstrap")


def need_tools() -> None:
    """See to buildah and debootstrap, installed where that is possible. Raises `SmokeError`."""
    if os.geteuid() != 0:
        raise SmokeError("laying out a Debian base needs root: run it as root, or with sudo")
    if all(shutil.which(tool) for tool in _TOOLS):
        return
    if not shutil.which("apt-get"):
        raise SmokeError(f"install {' and '.join(_TOOLS)}; they are Debian packages")
    print(f"Installing {' and '.join(_TOOLS)}", flush=True)
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}  # noqa: TID251 (passed on, not read)
    for words in ("update -qq", f"install -y -qq --no-install-recommends {' '.join(_TOOLS)}"):
        subprocess.run(["apt-get", *words.split()], check=True, stdout=subprocess.DEVNULL, env=environment)


def need_base(buildah: Buildah) -> str:
    """The name of the base image for this process's Python; laid out the first time, a minute or two."""
    release = _RELEASES.get(sys.version_info[:2])
    if release is None:
        known = " or ".join(f"{major}.{minor}" for major, minor in _RELEASES)
        raise SmokeError(f"no Debian release has this Python: set the environment up with Python {known}")
    image = f"{BASE}:{release}"
    if not buildah.has(image):
        print(f"Laying out Debian {release}", flush=True)
        _lay_out(buildah, release, image)
    return image


def _lay_out(buildah: Buildah, release: str, image: str) -> None:
    with buildah.working_container("scratch") as container:
        root = Path(buildah.call("mount", container))
        packages = "--include=python3,python3-venv"
        laid_out = subprocess.run(
            ["debootstrap", "--variant=minbase", packages, release, root],
            capture_output=True,
            text=True,
            check=False,
        )
        if laid_out.returncode != 0:
            raise SmokeError(f"debootstrap failed:\n{laid_out.stdout[-2000:]}{laid_out.stderr[-2000:]}")
        for packed in (root / "var/cache/apt/archives").glob("*.deb"):
            packed.unlink()
        buildah.call("umount", container)
        buildah.call("commit", "--format=docker", container, image)
