"""A source of models that a test has made itself, in place of a folder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from container.diffusers_engine.checkpoint import open_checkpoint
from container.diffusers_engine.engine import DiffusersEngine
from container.diffusers_engine.loaded_model import Embeddings, LoadedModel, LoraUse
from container.serving.engine import Model, Upscaler
from container.serving.model_folder import ModelFile, ModelFolder
from container.serving.resampling import Resampling

KINDS = ("checkpoints", "loras", "controlnets", "vaes", "embeddings", "upscalers")


@dataclass(kw_only=True)
class GivenModels:
    """Hands out what it is given; `used_loras` are those asked for, in order."""

    model: LoadedModel
    vaes: Mapping[str, Any] = field(default_factory=dict)
    controlnets: Mapping[str, Any] = field(default_factory=dict)
    inversions: Embeddings = field(default_factory=Embeddings)
    used_loras: list[tuple[LoraUse, ...]] = field(default_factory=list)

    def open(self, name: str) -> LoadedModel:
        assert name == self.model.name
        return self.model

    def use_loras(self, model: LoadedModel, loras: Sequence[LoraUse]) -> tuple[str, ...]:
        assert model is self.model
        self.used_loras.append(tuple(loras))
        return tuple(f"half of {lora.name} has no place here" for lora in loras if lora.name == "odd")

    def vae(self, name: str, model: LoadedModel) -> Any:
        return self.vaes[name]

    def controlnet(self, name: str, model: LoadedModel) -> Any:
        return self.controlnets[name]

    def embeddings(self, model: LoadedModel) -> Embeddings:
        return self.inversions

    def close(self) -> None:
        """Nothing is held."""


def opened(path: Path) -> LoadedModel:
    """The checkpoint on the CPU in single precision."""
    file = ModelFile(path=path, model=Model(name=path.name))
    opened = open_checkpoint(file, allow_pickle=False, device=torch.device("cpu"), dtype=torch.float32)
    return opened.model


def engine_of(models: GivenModels, *, upscaler: Upscaler | None = None) -> DiffusersEngine:
    """An engine that draws with them, set up."""
    name = models.model.name
    contents: dict[str, tuple[ModelFile, ...]] = dict.fromkeys(KINDS, ())
    contents["checkpoints"] = (ModelFile(path=Path(name), model=Model(name=name)),)
    engine = DiffusersEngine(
        ModelFolder(root=Path(), contents=contents, default=name), models, upscaler=upscaler or Resampling()
    )
    engine.setup()
    return engine
