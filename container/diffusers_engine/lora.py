"""LoRA files as changes to the weights of the networks they were trained for.

Read are kohya's names (also with SDXL's original block names), diffusers' and peft's, and the kinds LoRA,
LoCon, LoHa, LoKr and full differences (https://github.com/KohakuBlueleaf/LyCORIS, docs/Algo-Details.md). A
change is computed in float32 each time it is applied, so files stay mapped and take no memory.
"""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from container.diffusers_engine.architecture import Shapes
from container.diffusers_engine.errors import UnusableFile
from container.diffusers_engine.ldm_names import unet_name
from container.diffusers_engine.loaded_model import Architecture
from container.diffusers_engine.single_file import Network
from container.diffusers_engine.tensor_files import TensorFile

Tensors = Mapping[str, torch.Tensor]
Target = tuple[str, str]
"""A network's name and the path of one of its parameters."""

_ENDS = {
    "lora_down.weight": "down",
    "lora_up.weight": "up",
    "lora_mid.weight": "mid",
    "lora_A.weight": "down",
    "lora_B.weight": "up",
    "lora_A.default.weight": "down",
    "lora_B.default.weight": "up",
    "lora.down.weight": "down",
    "lora.up.weight": "up",
    "lora_linear_layer.down.weight": "down",
    "lora_linear_layer.up.weight": "up",
    **{name: name for name in ("alpha", "diff", "diff_b", "lokr_w1", "lokr_w2", "lokr_t2")},
    **{f"lokr_w{k}_{side}": f"lokr_w{k}_{side}" for k in "12" for side in "ab"},
    **{f"hada_w{k}_{side}": f"hada_w{k}_{side}" for k in "12" for side in "ab"},
    **{f"hada_t{k}": f"hada_t{k}" for k in "12"},
}
_ENDING = re.compile(rf"(.+?)\.({'|'.join(map(re.escape, sorted(_ENDS, key=len, reverse=True)))})")
_INNER = ("down", "hada_w1_b", "lokr_w1_b", "lokr_w2_b")
"""The factors whose first dimension is the rank."""
_FOREIGN = (("DoRA", "dora_scale"), ("OFT", ".oft_"), ("IA3", ".on_input"), ("GLoRA", ".a1.weight"))
_CONTEXTS = {768: Architecture.SD1, 1024: Architecture.SD2, 2048: Architecture.SDXL}
_BASES = {
    "sdxl": Architecture.SDXL,
    "stable-diffusion-xl": Architecture.SDXL,
    "sd_v1": Architecture.SD1,
    "stable-diffusion-v1": Architecture.SD1,
    "sd_v2": Architecture.SD2,
    "stable-diffusion-v2": Architecture.SD2,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a LoRA adds to one parameter. `tensors` are its factors by the name they have in `_ENDS`."""

    tensors: Callable[[], Tensors]
    scale: float
    shape: tuple[int, ...]

    def delta(self, device: torch.device) -> torch.Tensor:
        """In float32 on the device, in the parameter's shape, at weight 1."""
        factors = {name: tensor.to(device, torch.float32) for name, tensor in self.tensors().items()}
        return product(factors).reshape(self.shape) * self.scale


@dataclass(frozen=True, slots=True, kw_only=True)
class Lora:
    """A LoRA held against a model. `unmatched`: how many of its parts the model has no place for."""

    changes: Mapping[Target, Change]
    unmatched: int


def read_lora(
    tensors: TensorFile, networks: Mapping[str, Network], *, model: str, architecture: Architecture
) -> Lora:
    """Raises `UnusableFile` for what is no LoRA of a known kind, or one for another architecture."""
    groups = _groups(tensors)
    names = _names_of_targets(networks)
    changes: dict[Target, Change] = {}
    for module, factors in groups.items():
        if target := names.get(module):
            changes |= _changes(tensors, target, factors, networks, module)
    if not changes or not all(map(_fits, changes.values())):
        made_for = made_for_which(tensors.shapes, tensors.metadata)
        raise UnusableFile(tensors.name, f"it was made for {made_for}, and {model!r} is {architecture}")
    return Lora(changes=changes, unmatched=sum(module not in names for module in groups))


def made_for_which(shapes: Shapes, metadata: Mapping[str, str]) -> str:
    """The architecture a LoRA was trained on, as well as the file tells."""
    base = metadata.get("ss_base_model_version") or metadata.get("modelspec.architecture") or ""
    for start, architecture in _BASES.items():
        if base.startswith(start):
            return architecture
    if any(re.match(r"lora_te2_|text_encoder_2\.|lora_unet_(input|output)_blocks_", name) for name in shapes):
        return Architecture.SDXL
    if any(re.search(r"(double|single|joint)_(transformer_)?blocks[._]\d", name) for name in shapes):
        return "another family, such as FLUX"
    widths = {shape[-1] for name, shape in shapes.items() if re.search(r"attn2[._]to_k.*(down|lora_A)", name)}
    return next((_CONTEXTS[width] for width in widths if width in _CONTEXTS), "another architecture")


def product(factors: Tensors) -> torch.Tensor:
    """What the factors of one module stand for, as a matrix or in a shape of as many values."""
    if "diff" in factors:
        return factors["diff"]
    if "diff_b" in factors:
        return factors["diff_b"]
    if "up" in factors:
        return _lora(factors)
    if "hada_w1_a" in factors:
        return _factored(factors, "hada", 1) * _factored(factors, "hada", 2)
    return torch.kron(_factored(factors, "lokr", 1), _factored(factors, "lokr", 2))


def _lora(factors: Tensors) -> torch.Tensor:
    up, down = factors["up"].flatten(1), factors["down"].flatten(1)
    if "mid" in factors:
        return torch.einsum("rs...,or,si->oi...", factors["mid"], up, down)
    return up @ down


def _factored(factors: Tensors, kind: str, number: int) -> torch.Tensor:
    """One of the two matrices of a LoHa or LoKr: whole, as a product, or as a core with two factors."""
    stem = f"{kind}_w{number}"
    if stem in factors:
        return factors[stem].flatten(1)
    left, right = factors[f"{stem}_a"], factors[f"{stem}_b"]
    core = factors.get(f"{kind}_t{number}")
    if core is None:
        return left @ right.flatten(1)
    return torch.einsum("ij...,ip,jr->pr...", core, left, right).flatten(1)


def _groups(tensors: TensorFile) -> dict[str, dict[str, str]]:
    """By module, the file's name of each factor."""
    groups: dict[str, dict[str, str]] = {}
    for name in tensors.shapes:
        for kind, sign in _FOREIGN:
            if sign in name:
                raise UnusableFile(tensors.name, f"it is a {kind}, which is not supported yet")
        if found := _ENDING.fullmatch(_modern(name)):
            groups.setdefault(found[1], {})[_ENDS[found[2]]] = name
    if not groups:
        raise UnusableFile(tensors.name, "it is no LoRA of a kind this engine knows")
    return groups


def _modern(name: str) -> str:
    """A name of diffusers' first LoRA files as later ones have it."""
    name = re.sub(r"\.processor\.(to_[qkv]|to_out)_lora\.", r".\1.lora.", name)
    return name.replace(".to_out.lora.", ".to_out.0.lora.").removeprefix("base_model.model.")


def _names_of_targets(networks: Mapping[str, Network]) -> dict[str, Target]:
    """Everything LoRA files call the modules of a model."""
    names: dict[str, Target] = {}
    for network, path in _modules(networks):
        for name in _names_of(network, path, networks):
            names[name] = (network, path)
    return names


def _modules(networks: Mapping[str, Network]) -> Iterator[Target]:
    for name, network in networks.items():
        if name != "vae":
            for path, module in network.module.named_modules():
                if getattr(module, "weight", None) is not None:
                    yield name, path


def _names_of(network: str, path: str, networks: Mapping[str, Network]) -> Iterator[str]:
    flat = path.replace(".", "_")
    if network == "unet":
        original = _original(path, networks["unet"].module.config)
        yield from (f"lora_unet_{flat}", f"lycoris_{flat}", f"unet.{path}", path)
        yield from (f"lora_unet_{original.replace('.', '_')}", f"diffusion_model.{original}")
        return
    path = path.removeprefix("text_model.")
    kohya = "te" if "text_encoder_2" not in networks else "te1" if network == "text_encoder" else "te2"
    yield from (f"{network}.text_model.{path}", f"{network}.{path}")
    yield f"lora_{kohya}_text_model_{path.replace('.', '_')}"
    yield f"lora_{kohya}_{path.replace('.', '_')}"


def _original(path: str, config: Any) -> str:
    up = [kind.startswith("CrossAttn") for kind in config.up_block_types]
    return unet_name(path, layers=config.layers_per_block, up_attention=up)


def _changes(
    tensors: TensorFile,
    target: Target,
    factors: Mapping[str, str],
    networks: Mapping[str, Network],
    module: str,
) -> dict[Target, Change]:
    """Of the module's weight, and of its bias where the file has a difference for it."""
    network, path = target
    made: dict[Target, Change] = {}
    of_bias = {"diff_b"} & set(factors)
    for parameter, chosen in (("weight", set(factors) - of_bias - {"alpha"}), ("bias", of_bias)):
        value = getattr(networks[network].module.get_submodule(path), parameter, None)
        if chosen and value is not None:
            made[network, f"{path}.{parameter}"] = Change(
                tensors=partial(_read, tensors, {key: factors[key] for key in chosen}),
                scale=_scale(tensors, factors, module),
                shape=tuple(value.shape),
            )
    return made


def _read(tensors: TensorFile, names: Mapping[str, str]) -> Tensors:
    return {key: tensors.tensor(name) for key, name in names.items()}


def _scale(tensors: TensorFile, factors: Mapping[str, str], module: str) -> float:
    """Alpha / rank. Without an alpha it is 1; so it is where nothing is factored and there is no rank."""
    inner = [factors[key] for key in _INNER if key in factors]
    if not inner:
        return 1.0
    rank = tensors.shapes[inner[0]][0]
    if "alpha" in factors:
        return float(tensors.tensor(factors["alpha"])) / rank
    return _alpha_in_metadata(tensors.metadata, module.partition(".")[0]) or 1.0


def _alpha_in_metadata(metadata: Mapping[str, str], network: str) -> float | None:
    """From peft's settings, which diffusers writes as JSON; None where they say nothing."""
    try:
        settings = json.loads(metadata.get("lora_adapter_metadata", "{}"))
        return float(settings[f"{network}.lora_alpha"]) / float(settings[f"{network}.r"])
    except (ValueError, KeyError, TypeError, ZeroDivisionError):
        return None


def _fits(change: Change) -> bool:
    """Whether the factors make as many values as the parameter has, found out without computing any."""
    try:
        outcome = product({name: tensor.to("meta") for name, tensor in change.tensors().items()})
    except (RuntimeError, KeyError, IndexError):
        return False
    return bool(outcome.numel() == math.prod(change.shape) and outcome.shape[0] == change.shape[0])
