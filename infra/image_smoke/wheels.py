"""What pip installs in the images, fetched by the pip of this machine with whatever configuration it has.

A build in a chroot sees neither that configuration nor this machine's folders of wheels. So the files are put
into one folder first, and the recipes are told to take them from there (`PIP_ARGS`), hashes checked again.
"""

import hashlib
import re
import subprocess
import sys
from pathlib import Path

from infra.image_smoke.errors import SmokeError

INSIDE = "/wheels"
PIP_ARGS = f"--no-index --find-links {INSIDE}"
_LOCKS = ("container.txt", "diffusers.txt", "torch.txt")


def need_wheels(folder: Path, *, requirements: Path) -> Path:
    """The folder with every file the locks name for this machine's Python. Raises `SmokeError`."""
    locks = [requirements / name for name in _LOCKS]
    wanted = hashlib.sha256(b"".join(lock.read_bytes() for lock in locks)).hexdigest()
    complete = folder / "complete"
    if complete.is_file() and complete.read_text() == wanted:
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    print("Fetching wheels", flush=True)
    *others, torch = locks
    _download(folder, "--require-hashes", *(f"--requirement={lock}" for lock in others))
    _download(folder, *re.findall(r"^(torch==[^ ]+)", torch.read_text(), re.MULTILINE))
    if not any("+cpu" in wheel.name for wheel in folder.glob("torch-*.whl")):
        raise SmokeError(
            "pip found only torch's CUDA build: let it find the CPU builds, as with PIP_FIND_LINKS"
        )
    complete.write_text(wanted)
    return folder


def _download(folder: Path, *arguments: str) -> None:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    fetched = subprocess.run(
        [*pip, "--dest", folder, *arguments], capture_output=True, text=True, check=False
    )
    if fetched.returncode != 0:
        raise SmokeError(f"pip download failed:\n{fetched.stderr[-2000:]}")
