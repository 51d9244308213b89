"""`python -m infra.image_smoke`: build the images and draw with them. Needs root, on Linux."""

import argparse
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.image_smoke import training, wheels
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
    """One Dockerfile of `container/`, what it is told, and the models it is started with.

    `base` names the recipe whose image it begins with, instead of Debian; one without an engine trains.
    """

    file: str
    arguments: dict[str, str]
    engine: str | None
    checkpoint: Path | None = None
    base: str | None = None


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
    "train": Recipe(
        file="Dockerfile.train",
        arguments={},
        engine=None,
        checkpoint=EMBEDDED_CHECKPOINT,
        base="diffusers",  # whose server also loads what was trained
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
        built: dict[str, float] = {}
        for name in _with_bases(names):
            built[name] = _build(buildah, name, base=base, fetched=fetched)
        leave_network()
        for name, took_s in built.items():
            prove = _prove_server if RECIPES[name].engine else _prove_training
            prove(buildah, name, took_s=took_s, folder=folder)
    finally:
        buildah.let_go()


def _with_bases(names: Sequence[str]) -> list[str]:
    """The recipes to build, each after the one it begins with."""
    ordered = [one for name in names for one in (RECIPES[name].base, name) if one]
    return list(dict.fromkeys(ordered))


def _image(name: str) -> str:
    return f"localhost/imagine-{name}"


def _build(buildah: Buildah, name: str, *, base: str, fetched: Path) -> float:
    """How long it took."""
    recipe, began = RECIPES[name], time.monotonic()
    print(f"{name}: building {recipe.file}", flush=True)
    from_ = {"BASE": _image(recipe.base)} if recipe.base else {"BASE": base, "PIP_ARGS": wheels.PIP_ARGS}
    buildah.build(
        _image(name),
        recipe=ROOT / "container" / recipe.file,
        context=ROOT,
        arguments={**from_, **recipe.arguments},
        volumes=[f"{fetched.resolve()}:{wheels.INSIDE}:ro"],
    )
    return time.monotonic() - began


def _prove_server(buildah: Buildah, name: str, *, took_s: float, folder: Path) -> None:
    image = _image(name)
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


def _prove_training(buildah: Buildah, name: str, *, took_s: float, folder: Path) -> None:
    image, recipe, job = _image(name), RECIPES[name], (folder / f"job-{name}").resolve()
    assert recipe.checkpoint is not None
    assert recipe.base is not None
    prove_config(buildah, image, word="train", as_root=True)
    shutil.rmtree(job, ignore_errors=True)
    training.lay_out_job(job, checkpoint=recipe.checkpoint)
    trained_s = training.train(buildah, image, job=job)
    models = _lay_out_models(
        folder / f"models-{name}", recipe.checkpoint, lora=job / "model" / training.RESULT
    )
    training.prove_lora(buildah, _image(recipe.base), models=models, output=folder / f"{name}.log")
    print(
        f"{name}: {buildah.size(image)}, built in {took_s:.0f} s; two steps trained in {trained_s:.1f} s, "
        "whose LoRA changes what the server draws",
        flush=True,
    )


def _lay_out_models(folder: Path, checkpoint: Path | None, *, lora: Path | None = None) -> Path:
    """A model folder as SageMaker mounts it: root's, and nobody may write it."""
    shutil.rmtree(folder, ignore_errors=True)
    checkpoints = folder / "Stable-diffusion"
    checkpoints.mkdir(parents=True)
    if checkpoint is not None:
        (checkpoints / "emoji.safetensors").write_bytes(checkpoint.read_bytes())
    if lora is not None:
        (folder / "Lora").mkdir()
        (folder / "Lora" / lora.name).write_bytes(lora.read_bytes())
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
