"""The model files of a folder, opened when asked for and kept as long as memory allows."""

import gc
import os
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from container.diffusers_engine.architecture import NotThis, family_of, kind_of
from container.diffusers_engine.checkpoint import Checkpoint, bytes_in_memory, load_checkpoint
from container.diffusers_engine.errors import UnusableFile
from container.diffusers_engine.loaded_model import Embeddings, LoadedModel, LoraUse
from container.diffusers_engine.lora import Lora, Target, read_lora
from container.diffusers_engine.single_file import Network, Part, Placement, load_controlnet, load_vae
from container.diffusers_engine.tensor_files import TensorFile, open_tensors
from container.diffusers_engine.textual_inversion import read_embeddings, widths_of
from container.serving.errors import OutOfMemory
from container.serving.model_folder import ModelFile, ModelFolder
from container.serving.names import find

_T = TypeVar("_T")


def default_dtype(device: torch.device) -> torch.dtype:
    """float16 on a GPU, float32 on a CPU.

    Not bfloat16, though it is as fast: its 8 bits of precision let a batch differ visibly from single runs.
    """
    return torch.float32 if device.type == "cpu" else torch.float16


def memory_share(device: torch.device) -> int:
    """Bytes that weights may take: three quarters of a GPU's memory, half of a CPU's. Drawing needs some."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory * 0.75)
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


@dataclass(kw_only=True)
class _Held:
    """Something in memory; of a checkpoint also the LoRAs in its weights and the parameters they changed.

    `loras` is None while they change: should that fail, nobody takes the weights for clean ones.
    """

    thing: Checkpoint | Network
    loras: tuple[LoraUse, ...] | None = ()
    changed: frozenset[Target] = frozenset()
    notes: tuple[str, ...] = ()


class Models:
    """Implements `ModelSource` with the files of `folder`.

    `memory_limit`: bytes the weights in memory may take together, None for `memory_share` of the device. What
    was used longest ago goes first, before the next is loaded; one model alone may exceed the limit. Not to
    be called from two threads at once.
    """

    def __init__(
        self,
        folder: ModelFolder,
        *,
        device: torch.device,
        dtype: torch.dtype | None = None,
        memory_limit: int | None = None,
    ) -> None:
        self._folder = folder
        self._device = device
        self._dtype = dtype or default_dtype(device)
        self._limit = memory_share(device) if memory_limit is None else memory_limit
        self._held: OrderedDict[Hashable, _Held] = OrderedDict()
        self._embeddings: dict[tuple[int, ...], Embeddings] = {}

    @property
    def bytes_held(self) -> int:
        """What the weights in memory take."""
        return sum(held.thing.bytes for held in self._held.values())

    def open(self, name: str) -> LoadedModel:
        """The checkpoint of that name, title or hash. Raises `UnknownName`, `UnusableFile`, `OutOfMemory`."""
        file = self._file("checkpoints", name, "model")
        key = ("checkpoint", file.model.name)
        if key not in self._held:
            tensors = self._tensors(file)
            need = bytes_in_memory(tensors, self._dtype)
            self._keep(key, need, lambda: self._checkpoint(file, tensors))
        return self._checkpoint_held(key).model

    def use_loras(self, model: LoadedModel, loras: Sequence[LoraUse]) -> tuple[str, ...]:
        """Make `model`, which must be the one opened last, draw with exactly these LoRAs.

        The same ones again cost nothing; none restores every weight bit for bit, from the file. Returns
        sentences about parts that had no effect. Raises `UnknownName`, or `UnusableFile` for a LoRA that is
        for another architecture; then nothing has changed.
        """
        held = self._held["checkpoint", model.name]
        wanted = tuple(loras)
        if wanted != held.loras:
            read = [
                (use, self._lora(use, self._checkpoint_held(("checkpoint", model.name)))) for use in wanted
            ]
            self._apply(held, read)
            held.loras = wanted
            held.notes = tuple(_note(use, lora) for use, lora in read if lora.unmatched)
        return held.notes

    def vae(self, name: str, model: LoadedModel) -> Any:
        """A VAE file in place of the model's own. Raises `UnknownName` or `UnusableFile`."""
        file = self._file("vaes", name, "override_settings.sd_vae")
        placement = self._placement(model.vae_dtype)
        key = ("vae", file.model.name, placement.dtype, model.latent_scaling)
        network = self._network(
            key, file, model, lambda part: load_vae(part, model.latent_scaling, placement)
        )
        channels = network.module.config.latent_channels
        if channels != model.vae.config.latent_channels:
            raise UnusableFile(
                file.model.name, f"it is a VAE for {channels} latent channels, not for this model"
            )
        return network.module

    def controlnet(self, name: str, model: LoadedModel) -> Any:
        """A ControlNet for the model. Raises `UnknownName`, or `UnusableFile` if it is for another one."""
        file = self._file("controlnets", name, "alwayson_scripts.controlnet.args.model")
        facts = self._checkpoint_held(("checkpoint", model.name)).facts["unet"]
        placement = self._placement(model.dtype)

        def load(part: Part) -> Network:
            _check_context(part, model)
            return load_controlnet(part, facts, placement)

        key = ("controlnet", file.model.name, model.architecture, placement.dtype)
        return self._network(key, file, model, load).module

    def embeddings(self, model: LoadedModel) -> Embeddings:
        """The folder's textual inversions, read once for models of the same text widths."""
        widths = widths_of(model)
        if widths not in self._embeddings:
            files = self._folder.contents["embeddings"]
            allow = self._folder.allow_pickle
            self._embeddings[widths] = read_embeddings(files, model, allow_pickle=allow)
        return self._embeddings[widths]

    def close(self) -> None:
        """Let go of everything."""
        self._held.clear()
        self._embeddings.clear()
        _free()

    def _file(self, kind: str, name: str, field: str) -> ModelFile:
        files = self._folder.contents[kind]
        word = {"checkpoints": "model", "loras": "LoRA", "vaes": "VAE", "controlnets": "ControlNet"}[kind]
        meant = find(name, [file.model for file in files], kind=word, field=field)
        return next(file for file in files if file.model is meant)

    def _tensors(self, file: ModelFile) -> TensorFile:
        return open_tensors(file, allow_pickle=self._folder.allow_pickle)

    def _placement(self, dtype: torch.dtype) -> Placement:
        return Placement(device=self._device, dtype=dtype, channels_last=self._device.type == "cuda")

    def _checkpoint(self, file: ModelFile, tensors: TensorFile) -> Checkpoint:
        return load_checkpoint(file, tensors, device=self._device, dtype=self._dtype)

    def _checkpoint_held(self, key: Hashable) -> Checkpoint:
        self._held.move_to_end(key)
        thing = self._held[key].thing
        assert isinstance(thing, Checkpoint)
        return thing

    def _network(
        self, key: Hashable, file: ModelFile, model: LoadedModel, load: Callable[[Part], Network]
    ) -> Network:
        """A network of its own file, loaded beside `model`, which stays."""
        self._held.move_to_end(("checkpoint", model.name))
        if key not in self._held:
            tensors = self._tensors(file)
            self._keep(key, file.path.stat().st_size, lambda: _loaded(load, tensors), beside=model)
        self._held.move_to_end(key)
        thing = self._held[key].thing
        assert isinstance(thing, Network)
        return thing

    def _keep(
        self,
        key: Hashable,
        need: int,
        load: Callable[[], Checkpoint | Network],
        beside: LoadedModel | None = None,
    ) -> None:
        """Load something of about `need` bytes and hold it, once older things have made room."""
        kept = {key} | ({("checkpoint", beside.name)} if beside else set())
        self._make_room(need, kept)
        try:
            thing = load()
        except torch.OutOfMemoryError:
            thing = self._load_alone(load, kept)
        self._held[key] = _Held(thing=thing)
        self._make_room(0, kept)

    def _load_alone(self, load: Callable[[], _T], kept: set[Hashable]) -> _T:
        for key in [key for key in self._held if key not in kept]:
            del self._held[key]
        _free()
        try:
            return load()
        except torch.OutOfMemoryError as error:
            raise OutOfMemory("the model does not fit into the device's memory") from error

    def _make_room(self, need: int, kept: set[Hashable]) -> None:
        for key in [key for key in self._held if key not in kept]:
            if self.bytes_held + need <= self._limit:
                return
            del self._held[key]
            _free()

    def _lora(self, use: LoraUse, checkpoint: Checkpoint) -> Lora:
        tensors = self._tensors(self._file("loras", use.name, "prompt"))
        model = checkpoint.model
        return read_lora(tensors, checkpoint.networks, model=model.name, architecture=model.architecture)

    def _apply(self, held: _Held, loras: Sequence[tuple[LoraUse, Lora]]) -> None:
        """Set every parameter that a LoRA changes or changed, each from the file's own values."""
        assert isinstance(held.thing, Checkpoint)
        wanted = {
            target: [
                (_weight(use, target), lora.changes[target]) for use, lora in loras if target in lora.changes
            ]
            for target in {target for _, lora in loras for target in lora.changes}
        }
        before, held.changed, held.loras = held.changed, held.changed | frozenset(wanted), None
        with torch.no_grad():
            for target in before - set(wanted):
                _set(held.thing.networks, target, ())
            for target, changes in wanted.items():
                _set(held.thing.networks, target, changes)
        held.changed = frozenset(wanted)


def _set(networks: Mapping[str, Network], target: Target, changes: Sequence[tuple[float, Any]]) -> None:
    network = networks[target[0]]
    value, placement = network.sources[target[1]](), network.placement
    if any(weight for weight, _ in changes):
        value = value.to(placement.device, torch.float32)
        for weight, change in changes:
            value = value + weight * change.delta(placement.device)
    network.module.get_parameter(target[1]).data = placement.place(value)


def _weight(use: LoraUse, target: Target) -> float:
    return use.unet_weight if target[0] == "unet" else use.text_encoder_weight


def _note(use: LoraUse, lora: Lora) -> str:
    parts = lora.unmatched + len(lora.changes)
    return f"LoRA {use.name}: {lora.unmatched} of its {parts} parts have no place in this model"


def _loaded(load: Callable[[Part], Network], tensors: TensorFile) -> Network:
    prefix = next(
        (begin for begin in _PREFIXES if any(name.startswith(begin) for name in tensors.shapes)), ""
    )
    try:
        return load(Part(file=tensors, prefix=prefix))
    except NotThis as reason:
        what = kind_of(tensors.shapes) or family_of(tensors.shapes)
        raise UnusableFile(
            tensors.name, f"{reason} (it looks like {what})" if what else str(reason)
        ) from reason


_PREFIXES = ("control_model.", "first_stage_model.")


def _check_context(part: Part, model: LoadedModel) -> None:
    """The cross-attention of a ControlNet must take what the model's text encoders give."""
    widths = {shape[-1] for name, shape in part.shapes.items() if name.endswith("attn2.to_k.weight")}
    ours = model.unet.config.cross_attention_dim
    if widths != {ours}:
        theirs = " and ".join(map(str, sorted(widths))) or "none"
        made_for = next((_CONTEXTS[width] for width in widths if width in _CONTEXTS), "another model")
        raise NotThis(
            f"it is for {made_for} ({theirs} values a token), and {model.name!r} is {model.architecture}"
            f" ({ours})"
        )


_CONTEXTS = {768: "SD1.x", 1024: "SD2.x", 2048: "SDXL"}


def _free() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
