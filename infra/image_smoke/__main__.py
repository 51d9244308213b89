"""`python -m infra.image_smoke`: build the images and draw with them. Needs root, on Linux."""

import argparse
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.image_smoke import wheels
from infra.image_smoke.buildah import Buildah
from infra.image_smoke.debian import need_base, need_tools
from infra.image_smoke.errors import SmokeError
from infra.image_smoke.network import leave_network
from infra.image_smoke.proofs import prove_config, prove_files, prove_serving

ROOT = Path(__file__).parents[2]
NEEDED_BYTES = 12 * 10**9
EMBEDDED_CHECKPOINT = ROOT / "container/embedded/model.safetensors"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One Dockerfile of `container/`, what it is told, and the models it is started with."""

    file: str
    arguments: dict[str, str]
    engine: str
    checkpoint: Path | None = None


RECIPES = {
    "slim": Recipe(file="Dockerfile.slim", arguments={}, engine="embedded"),
    "diffusers": Recipe(
        file="Dockerfile", arguments={"DEVICE": "cpu"}, engine="diffusers", checkpoint=EMBEDDED_CHECKPOINT
    ),
    "webui": Recipe(
        file="Dockerfile.webui",
        arguments={"WEBUI_SOURCE": "tests/container/webui/standin"},  # the real one needs the open internet
        engine="webui",
        checkpoint=EMBEDDED_CHECKPOINT,
    ),
}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.image_smoke", description=__doc__)
    parser.add_argument("recipes", nargs="*", metavar="RECIPE", help=f"{', '.join(RECIPES)} (default: all)")
    parser.add_argument(
        "--folder", type=Path, default=ROOT / "build/image-smoke", help="where everything lies"
    )
    options = parser.parse_args(arguments)
    unknown = set(options.recipes) - set(RECIPES)
    if unknown:
        parser.error(f"no recipe {', '.join(sorted(unknown))}; there are {', '.join(RECIPES)}")
    try:
        _smoke(options.recipes or list(RECIPES), folder=options.folder)
    except SmokeError as error:
        sys.stderr.write(f"image-smoke: {error}\n")
        return 1
    return 0


def _smoke(names: Sequence[str], *, folder: Path) -> None:
    need_tools()
    folder.mkdir(parents=True, exist_ok=True)
    _need_space(folder)
    buildah = Buildah(folder=folder)
    try:
        base = need_base(buildah)
        fetched = wheels.need_wheels(folder / "wheels", requirements=ROOT / "requirements")
        built = {name: _build(buildah, name, base=base, fetched=fetched) for name in names}
        leave_network()
        for name, (image, took_s) in built.items():
            _prove(buildah, name, image, took_s=took_s, folder=folder)
    finally:
        buildah.let_go()


def _build(buildah: Buildah, name: str, *, base: str, fetched: Path) -> tuple[str, float]:
    """The built image and how long it took."""
    recipe, image, began = RECIPES[name], f"localhost/imagine-{name}", time.monotonic()
    print(f"{name}: building {recipe.file}", flush=True)
    buildah.build(
        image,
        recipe=ROOT / "container" / recipe.file,
        context=ROOT,
        arguments={"BASE": base, "PIP_ARGS": wheels.PIP_ARGS, **recipe.arguments},
        volumes=[f"{fetched.resolve()}:{wheels.INSIDE}:ro"],
    )
    return image, time.monotonic() - began


def _prove(buildah: Buildah, name: str, image: str, *, took_s: float, folder: Path) -> None:
    prove_config(buildah, image)
    prove_files(buildah, image)
    models = _lay_out_models(folder / f"models-{name}", RECIPES[name].checkpoint)
    figures = prove_serving(buildah, image, models=models, output=folder / f"{name}.log")
    if figures.engine != RECIPES[name].engine:
        raise SmokeError(f"{image} draws with engine {figures.engine}, not {RECIPES[name].engine}")
    print(
        f"{name}: {buildah.size(image)}, built in {took_s:.0f} s; {figures.engine} healthy after "
        f"{figures.ready_s:.1f} s, two pictures {figures.draw_s:.1f} s, ended {figures.stop_s:.1f} s after "
        "SIGTERM",
        flush=True,
    )


def _lay_out_models(folder: Path, checkpoint: Path | None) -> Path:
    """A model folder as SageMaker mounts it: root's, and nobody may write it."""
    shutil.rmtree(folder, ignore_errors=True)
    checkpoints = folder / "Stable-diffusion"
    checkpoints.mkdir(parents=True)
    if checkpoint is not None:
        (checkpoints / "emoji.safetensors").write_bytes(checkpoint.read_bytes())
    for path in (*folder.rglob("*"), folder):
        path.chmod(0o555 if path.is_dir() else 0o444)
    return folder.resolve()


def _need_space(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < NEEDED_BYTES:
        raise SmokeError(
            f"{free / 1e9:.0f} GB are free under {folder}, {NEEDED_BYTES / 1e9:.0f} GB are needed"
        )


if __name__ == "__main__":
    sys.exit(main())
