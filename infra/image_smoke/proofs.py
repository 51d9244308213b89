"""What every image must show before its recipe counts as working. Each proof raises `SmokeError`."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from infra.image_smoke.buildah import Buildah
from infra.image_smoke.errors import SmokeError
from infra.image_smoke.served import Served, serving

_COMPILERS = ("cc", "gcc", "g++", "clang", "make", "ld", "cargo", "nvcc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Seconds until the first healthy `/ping`, for two pictures, from SIGTERM to the end; and who drew."""

    ready_s: float
    draw_s: float
    stop_s: float
    engine: str


def prove_config(buildah: Buildah, image: str, *, word: str = "serve", as_root: bool = False) -> None:
    """The user, amd64, an exec-form entry that does what SageMaker says (`word`), and labels."""
    config = buildah.config(image)
    is_root = config.user.split(":")[0] in {"", "0", "root"}
    _need(is_root == as_root, f"{image} runs as {config.user or 'root'}")
    _need(config.architecture == "amd64", f"{image} is built for {config.architecture}")
    _need(config.entrypoint[:1] not in {(), ("/bin/sh",)}, f"{image} has no exec-form ENTRYPOINT")
    _need(config.command == (word,), f"{image} does not {word} where nothing is said")
    _need("org.opencontainers.image.title" in config.labels, f"{image} has no title label")


def prove_files(buildah: Buildah, image: str) -> None:
    """Nothing that its user could change, no compiler, no pip beside the packages."""
    unwanted = f"""
        find /opt /usr /etc -writable ! -type l 2>&-
        for tool in {" ".join(_COMPILERS)}; do command -v $tool; done
        find /opt -name pip -type d
        true"""
    with buildah.working_container(image) as container:
        found = buildah.call("run", "--isolation=chroot", container, "--", "sh", "-c", unwanted).split()
    _need(not found, f"{image} brings {', '.join(found[:5])}, which is writable, a compiler or pip")


def prove_serving(buildah: Buildah, image: str, *, models: Path, output: Path) -> Figures:
    """Healthy, draws what it is asked for, the same for the same seed, and ends when told to."""
    with serving(buildah, image, models=models, output=output) as served:
        ping, ready_s = served.wait_until_healthy()
        _need_user(buildah.config(image).user, served)
        began = time.monotonic()
        red, green = served.draw("a red apple"), served.draw("a green apple")
        draw_s = time.monotonic() - began
        _need_colours(red, green)
        _need(np.array_equal(red, served.draw("a red apple")), f"{image} does not repeat a seed")
        stop_s = served.stop()
    return Figures(ready_s=ready_s, draw_s=draw_s, stop_s=stop_s, engine=str(ping["engine"]))


def _need_user(wanted: str, served: Served) -> None:
    """It is the server's own process that has the image's user."""
    users = {str(Path(f"/proc/{pid}").stat().st_uid) for pid in served.pids()}
    _need(users == {wanted.partition(":")[0]}, f"the server runs as user {users}, not {wanted}")


def _need_colours(red: NDArray[np.int16], green: NDArray[np.int16]) -> None:
    """A picture of a red apple is redder than green, one of a green apple the other way round."""
    _need(red.shape == green.shape == (256, 256, 3), f"pictures of {red.shape} and {green.shape}")
    _need(_redness(red) > 20, f"the red apple's red is {_redness(red):.0f} over its green")
    _need(_redness(green) < 0, f"the green apple's red is {_redness(green):.0f} over its green")


def _redness(picture: NDArray[np.int16]) -> float:
    """How much more red than green the middle of a picture has, -255 to 255."""
    middle = picture[64:192, 64:192]
    return float((middle[..., 0] - middle[..., 1]).mean())


def _need(holds: object, otherwise: str) -> None:
    if not holds:
        raise SmokeError(otherwise)
