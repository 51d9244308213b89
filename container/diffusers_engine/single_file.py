"""A checkpoint file made into the networks it holds, without a copy and without a hub.

Each network is built without memory, its parameters are looked up in the file under their original names,
and only what has the right shape is put in. So a file that is not what it says fails before anything is
allocated.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from container.diffusers_engine import bundled
from container.diffusers_engine.architecture import NotThis, Shapes
from container.diffusers_engine.ldm_names import open_clip_name, unet_name, vae_name
from container.diffusers_engine.tensor_files import TensorFile

Source = Callable[[], torch.Tensor]
"""A parameter as the file holds it, in the shape the network wants."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where a network lives. `channels_last` is the layout in which GPUs convolve halves fastest."""

    device: torch.device
    dtype: torch.dtype
    channels_last: bool = False

    def place(self, tensor: torch.Tensor) -> torch.Tensor:
        """The tensor there: the same values always give the same bits; untouched where nothing changes."""
        if self.channels_last and tensor.dim() == 4:
            return tensor.to(self.device, self.dtype, memory_format=torch.channels_last)
        return tensor.to(self.device, self.dtype)


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A network with no gradients, ready to run, and where each of its parameters came from."""

    module: Any
    sources: Mapping[str, Source]
    placement: Placement

    @property
    def bytes(self) -> int:
        """What its parameters take."""
        return sum(parameter.nbytes for parameter in self.module.parameters())


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One network within a file: those tensors whose names begin with `prefix`, named without it."""

    file: TensorFile
    prefix: str

    @property
    def shapes(self) -> Shapes:
        cut = len(self.prefix)
        return {name[cut:]: shape for name, shape in self.file.shapes.items() if name.startswith(self.prefix)}

    def tensor(self, name: str) -> torch.Tensor:
        return self.file.tensor(self.prefix + name)


def load_unet(part: Part, known: Mapping[str, Any], placement: Placement) -> Network:
    """Raises `NotThis` where the part is no UNet of a known layout."""
    config = bundled.unet_config(part.shapes, known)
    module, find = _without_memory(UNet2DConditionModel, config), _unet_finder(config)
    _refuse_surplus(module, part, find)
    return _filled(module, part, find, placement)


def load_controlnet(part: Part, known: Mapping[str, Any], placement: Placement) -> Network:
    """In the original layout or in diffusers' own. Raises `NotThis` where the part is no ControlNet."""
    shapes, own_names = part.shapes, "controlnet_mid_block.weight" in part.shapes
    config = bundled.controlnet_config(original_names(shapes) if own_names else shapes, known)
    find = _own_name if own_names else _unet_finder(config)
    module = _without_memory(ControlNetModel, config)
    _refuse_surplus(module, part, find)
    return _filled(module, part, find, placement)


def original_names(shapes: Shapes) -> Shapes:
    """The shapes of a ControlNet in diffusers' layout under the names of the original one."""
    layers = sum(f"down_blocks.0.resnets.{index}.conv1.weight" in shapes for index in range(9))
    return {unet_name(name, layers=layers, up_attention=()): shape for name, shape in shapes.items()}


def load_vae(part: Part, scaling: float, placement: Placement) -> Network:
    """In the original layout or in diffusers' own. Raises `NotThis` where the part is no autoencoder."""
    shapes, levels = part.shapes, _own_levels(part.shapes)
    original = {vae_name(name, levels=levels): shape for name, shape in shapes.items()} if levels else shapes
    config = bundled.vae_config(original, scaling)
    find = _own_name if levels else _vae_finder(len(config["block_out_channels"]))
    return _filled(_without_memory(AutoencoderKL, config), part, find, placement)


def _own_levels(shapes: Shapes) -> int:
    """Levels of an autoencoder in diffusers' layout, 0 for any other."""
    return sum(f"encoder.down_blocks.{level}.resnets.0.conv1.weight" in shapes for level in range(9))


def _vae_finder(levels: int) -> "Finder":
    def find(path: str) -> tuple[str, None]:
        return vae_name(path, levels=levels), None

    return find


def load_text_encoder(part: Part, known: Mapping[str, Any], placement: Placement) -> Network:
    """Raises `NotThis` where the part is no CLIP text encoder."""
    config = CLIPTextConfig(**bundled.text_config(part.shapes, known))
    kind = CLIPTextModelWithProjection if known.get("projection") else CLIPTextModel
    with torch.device("meta"):
        module = kind(config)
    finder = open_clip_name if known["layout"] == "open_clip" else _own_name
    network = _filled(module, part, lambda path: finder(path.removeprefix("text_model.")), placement)
    places = torch.arange(config.max_position_embeddings, device=placement.device)[None]
    getattr(module, "text_model", module).embeddings.position_ids = places  # no parameter, so not in the file
    return network


def _own_name(path: str) -> tuple[str, int | None]:
    return path, None


def _unet_finder(config: Mapping[str, Any]) -> "Finder":
    up = [name.startswith("CrossAttn") for name in reversed(config["down_block_types"])]
    layers: int = config["layers_per_block"]

    def find(path: str) -> tuple[str, None]:
        return unet_name(path, layers=layers, up_attention=up), None

    return find


Finder = Callable[[str], tuple[str, int | None]]
"""The name in the file of a parameter, and which third of that tensor it is, if one."""


def _without_memory(kind: Any, config: Mapping[str, Any]) -> Any:
    with torch.device("meta"):
        return kind(**config)


def _refuse_surplus(module: Any, part: Part, find: Finder) -> None:
    """A network with parts that the known layout lacks would draw something else without them."""
    known = {find(path)[0] for path, _ in module.named_parameters()}
    surplus = [name for name in part.shapes if name not in known]
    if surplus:
        raise NotThis(f"{len(surplus)} of its tensors have no place in it, first {part.prefix}{surplus[0]}")


def _filled(module: Any, part: Part, find: Finder, placement: Placement) -> Network:
    wanted = {path: tuple(parameter.shape) for path, parameter in module.named_parameters()}
    shapes = part.shapes
    sources: dict[str, Source] = {}
    wrong: list[str] = []
    for path, shape in wanted.items():
        name, third = find(path)
        if _fits(shapes.get(name), shape, third, path):
            sources[path] = partial(_read, part, name, shape, third, path)
        else:
            wrong.append(part.prefix + name)
    if wrong:
        raise NotThis(_what_is_wrong(wrong, part, len(wanted)))
    module.load_state_dict({path: placement.place(source()) for path, source in sources.items()}, assign=True)
    module.requires_grad_(requires_grad=False)
    return Network(module=module.eval(), sources=sources, placement=placement)


def _fits(found: tuple[int, ...] | None, wanted: tuple[int, ...], third: int | None, path: str) -> bool:
    if found is None:
        return False
    if third is not None:
        return found == (3 * wanted[0], *wanted[1:])
    if path == "text_projection.weight":
        return found == wanted[::-1]
    return found in {wanted, (*wanted, 1, 1)}  # an attention written as 1x1 convolutions


def _read(part: Part, name: str, shape: tuple[int, ...], third: int | None, path: str) -> torch.Tensor:
    tensor = part.tensor(name)
    if third is not None:
        return tensor[third * shape[0] : (third + 1) * shape[0]]
    if path == "text_projection.weight":  # OpenCLIP multiplies from the other side
        return tensor.T.contiguous()
    return tensor.reshape(shape)


def _what_is_wrong(wrong: list[str], part: Part, count: int) -> str:
    missing = [name for name in wrong if name.removeprefix(part.prefix) not in part.shapes]
    if missing:
        return f"{len(missing)} of its {count} tensors are missing, first {missing[0]}"
    return f"{len(wrong)} of its {count} tensors have other shapes, first {wrong[0]}"
