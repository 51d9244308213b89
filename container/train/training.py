"""The job itself: teach a LoRA what the pictures show, and write it where the engine will find it."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from container.diffusers_engine.checkpoint import open_checkpoint
from container.diffusers_engine.errors import UnusableFile
from container.diffusers_engine.loaded_model import Architecture, LoadedModel
from container.serving.engine import Model
from container.serving.model_folder import ModelFile
from container.train.adapter import Adapter, write_lora
from container.train.captioned import Captioned, read_captioned
from container.train.errors import BadHyperparameter, TrainingError
from container.train.folders import JobFolders
from container.train.hyperparameters import Hyperparameters
from container.train.lesson import Material, encode_material, loss_of_step
from container.train.previews import write_previews
from container.train.resume import Standing, read_standing, save_standing

_TRAINABLE = {Architecture.SD1: "sd_v1", Architecture.SD2: "sd_v2", Architecture.SDXL: "sdxl_base_v1-0"}
"""With what kohya's trainer calls them."""


def train(
    folders: JobFolders,
    wanted: Hyperparameters,
    *,
    told_to_stop: Callable[[], bool],
    say: Callable[[str], None],
) -> None:
    """Train until the last step or until told to stop: what was reached is saved, and a later job goes on.

    `say` gets progress lines without captions. The same hyperparameters, pictures, device and version give
    the same LoRA, bit for bit, however often the job is interrupted. Raises `TrainingError`.
    """
    base = _base_model(folders.base_models, wanted.base_model)
    captioned = read_captioned(folders.pictures, trigger=wanted.trigger)
    model = _open(base)
    side = wanted.resolution or model.native_side
    course = _Course(folders, wanted, model, job=_fingerprint(base, captioned, wanted))
    course.go_on_from_checkpoint(say)
    say(f"{len(captioned)} pictures, {side} pixels, base model {base.name}, {model.architecture}")
    course.run(encode_material(model, captioned, side=side), told_to_stop, say)
    written = folders.result / "Lora" / f"{wanted.name}.safetensors"
    metadata = _metadata(wanted, model, base, captioned, step=course.step, side=side)
    write_lora(written, course.adapter.state(), metadata)
    if course.step < wanted.steps:
        say(f"stopped after step {course.step} of {wanted.steps}; it can go on from its checkpoint")
        return
    write_previews(folders.result / "previews", base=base, lora=written, wanted=wanted, side=side)
    say(f"done: Lora/{written.name}")


class _Course:
    """The steps of one job, of which `step` are done."""

    def __init__(self, folders: JobFolders, wanted: Hyperparameters, model: LoadedModel, *, job: str) -> None:
        self._folders = folders
        self._wanted = wanted
        self._model = model
        self._job = job
        self.adapter = Adapter(model.unet, rank=wanted.rank, alpha=wanted.alpha, seed=wanted.seed)
        parameters = self.adapter.parameters()
        self._optimizer = torch.optim.AdamW(parameters, lr=wanted.learning_rate, weight_decay=0.01)
        self.step = 0

    def go_on_from_checkpoint(self, say: Callable[[str], None]) -> None:
        """Take over what an interrupted job saved, if there was one."""
        reached = read_standing(self._folders.checkpoints, job=self._job)
        if reached is None:
            return
        self.adapter.load(reached.adapter)
        self._optimizer.load_state_dict(reached.optimizer)
        self.step = reached.step
        say(f"going on after step {self.step}")

    def run(self, material: Material, told_to_stop: Callable[[], bool], say: Callable[[str], None]) -> None:
        """To the last step, or as far as it may; then, and now and again before, save."""
        while self.step < self._wanted.steps and not told_to_stop():
            self.step += 1
            loss = self._learn(material)
            if self.step % self._wanted.save_every == 0:
                self._save()
            say(f"step {self.step} of {self._wanted.steps}, loss={loss:.4f};")
        self._save()

    def _learn(self, material: Material) -> float:
        wanted = self._wanted
        loss = loss_of_step(
            self._model,
            material,
            step=self.step,
            seed=wanted.seed,
            batch_size=wanted.batch_size,
            caption_dropout=wanted.caption_dropout,
        )
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()
        return float(loss.item())

    def _save(self) -> None:
        state, optimizer = self.adapter.state(), self._optimizer.state_dict()
        standing = Standing(job=self._job, step=self.step, adapter=state, optimizer=optimizer)
        save_standing(self._folders.checkpoints, standing)


def _base_model(folder: Path, name: str) -> Path:
    """The checkpoint of the channel "model": the only one, or the one named."""
    found = sorted(folder.rglob("*.safetensors"))
    if name:
        found = [path for path in found if name in {path.name, path.stem}]
    if not found:
        raise TrainingError(f"channel model has no {name or 'file'} ending in .safetensors")
    if len(found) > 1:
        offered = ", ".join(path.name for path in found[:5])
        raise BadHyperparameter("base_model", f"must say which file of channel model: {offered}")
    return found[0]


def _open(base: Path) -> LoadedModel:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    # Half the range of float16 would let small gradients vanish.
    dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
    file = ModelFile(path=base, model=Model(name=base.name))
    try:
        model = open_checkpoint(file, allow_pickle=False, device=device, dtype=dtype).model
    except UnusableFile as error:
        raise TrainingError(error.message) from error
    if model.architecture not in _TRAINABLE or model.unet.config.in_channels != 4:
        raise TrainingError(f"{base.name} is of a kind no LoRA is trained on here ({model.architecture})")
    if device.type == "cuda":
        model.unet.enable_gradient_checkpointing()
        model.unet.train()
    return model


def _fingerprint(base: Path, captioned: Sequence[Captioned], wanted: Hyperparameters) -> str:
    """What must agree for a job to go on from a checkpoint; it may be given more steps or previews."""
    settings = {key: value for key, value in asdict(wanted).items() if key not in _FREE}
    content = [base.name, base.stat().st_size, settings, [each.digest() for each in captioned]]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


_FREE = {"name", "steps", "save_every", "previews"}


def _metadata(
    wanted: Hyperparameters,
    model: LoadedModel,
    base: Path,
    captioned: Sequence[Captioned],
    *,
    step: int,
    side: int,
) -> dict[str, str]:
    """As kohya's trainer words it, for the tools that read it. No caption but the trigger words."""
    words = {wanted.trigger: len(captioned)} if wanted.trigger else {}
    return {
        "ss_output_name": wanted.name,
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(wanted.rank),
        "ss_network_alpha": f"{wanted.alpha:g}",
        "ss_base_model_version": _TRAINABLE[model.architecture],
        "ss_sd_model_name": base.name,
        "ss_v2": str(model.architecture is Architecture.SD2),
        "ss_tag_frequency": json.dumps({"train": words}),
        "ss_num_train_images": str(len(captioned)),
        "ss_steps": str(step),
        "ss_learning_rate": f"{wanted.learning_rate:g}",
        "ss_seed": str(wanted.seed),
        "ss_resolution": f"({side}, {side})",
        "modelspec.trigger_phrase": wanted.trigger,
    }
