"""diffusers and transformers configurations for a checkpoint, made without a hub.

What shapes do not tell (attention heads, activation, scaling, padding) stands in `configs/`; widths, depths
and channels come from the file itself, so a pruned or tiny model of a known layout loads like a standard one.
"""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from transformers import CLIPTokenizer

from container.diffusers_engine.architecture import NotThis, Shapes
from container.diffusers_engine.loaded_model import Architecture
from container.embedded.tokenizer import vocabulary

_FILES = {
    Architecture.SD1: "sd1",
    Architecture.SD2: "sd2",
    Architecture.SDXL: "sdxl",
    Architecture.SDXL_REFINER: "sdxl_refiner",
}
_EMBEDDED_WIDTH = 96
"""Text width of this project's own tiny checkpoint, the one file whose heads are not Stable Diffusion 1's."""
_STANDARD_WIDTHS = {320, 384}
_SMALL_SIDE = 64


def facts(architecture: Architecture, shapes: Shapes) -> Mapping[str, Any]:
    """What shapes do not tell about a checkpoint of this architecture."""
    name = _FILES[architecture]
    table = shapes.get("cond_stage_model.transformer.text_model.embeddings.token_embedding.weight")
    if architecture is Architecture.SD1 and table and table[-1] == _EMBEDDED_WIDTH:
        name = "sd1_embedded"
    content: dict[str, Any] = json.loads(
        Path(__file__).with_name("configs").joinpath(f"{name}.json").read_text()
    )
    return content


def tokenizers(pads: Iterable[str]) -> tuple[CLIPTokenizer, ...]:
    """CLIP's tokenizer once for each of the tokens it is to fill up with."""
    tokens, merges = vocabulary()
    return tuple(
        CLIPTokenizer(vocab=tokens, merges=merges, pad_token=pad, model_max_length=77) for pad in pads
    )


def unet_config(shapes: Shapes, known: Mapping[str, Any]) -> dict[str, Any]:
    """Of a UNet by names without prefix. Raises `NotThis`."""
    config = _encoder_config(shapes, known)
    up = [kind.replace("Down", "Up") for kind in reversed(config["down_block_types"])]
    return config | {"out_channels": _shape(shapes, "out.2.weight", 4)[0], "up_block_types": up}


def controlnet_config(shapes: Shapes, known: Mapping[str, Any]) -> dict[str, Any]:
    """Of a ControlNet, which copies a UNet's way down, by names without prefix. Raises `NotThis`."""
    hints = [_shape(shapes, f"input_hint_block.{index}.weight", 4)[0] for index in (0, 4, 8, 12)]
    return _encoder_config(shapes, known) | {"conditioning_embedding_out_channels": hints}


def _encoder_config(shapes: Shapes, known: Mapping[str, Any]) -> dict[str, Any]:
    levels = _levels(shapes)
    widths = [width for width, _, _ in levels]
    depths = [depth for _, _, depth in levels]
    layers = {count for _, count, _ in levels}
    if len(layers) != 1:
        raise NotThis("its UNet has levels of unequal length, which no known layout has")
    middle = _depth(shapes, "middle_block.1")
    config = {
        "in_channels": _shape(shapes, "input_blocks.0.0.weight", 4)[1],
        "block_out_channels": widths,
        "layers_per_block": layers.pop(),
        "down_block_types": ["CrossAttnDownBlock2D" if depth else "DownBlock2D" for depth in depths],
        "transformer_layers_per_block": [*(depth or 1 for depth in depths[:-1]), depths[-1] or middle],
        "cross_attention_dim": _context(shapes),
        "use_linear_projection": len(_first(shapes, r"\.proj_in\.weight")) == 2,
        "attention_head_dim": _heads(widths, known),
        **{key: value for key, value in known.items() if key.startswith("addition_")},
    }
    if "addition_embed_type" in known:
        config["projection_class_embeddings_input_dim"] = _shape(shapes, "label_emb.0.0.weight", 2)[1]
    return config


def _levels(shapes: Shapes) -> list[tuple[int, int, int]]:
    """Width, number of resnets and depth of attention, from the top of the UNet down."""
    levels: list[tuple[int, int, int]] = []
    count, depth, index = 0, 0, 1
    while True:
        if convolution := shapes.get(f"input_blocks.{index}.0.out_layers.3.weight"):
            width, count = convolution[0], count + 1
            depth = _depth(shapes, f"input_blocks.{index}.1")
        elif count:
            levels.append((width, count, depth))
            count = 0
        if not convolution and f"input_blocks.{index}.0.op.weight" not in shapes:
            break
        index += 1
    if not levels:
        raise NotThis("its UNet has no levels")
    return levels


def _depth(shapes: Shapes, block: str) -> int:
    pattern = re.compile(rf"{re.escape(block)}\.transformer_blocks\.(\d+)\.norm1\.weight")
    return sum(pattern.fullmatch(name) is not None for name in shapes)


def _context(shapes: Shapes) -> int:
    shape = _first(shapes, r"\.attn2\.to_k\.weight")
    return shape[-1]


def _first(shapes: Shapes, ending: str) -> tuple[int, ...]:
    pattern = re.compile(f"{ending}$")
    found = next((shape for name, shape in shapes.items() if pattern.search(name)), None)
    if not found:
        raise NotThis("its UNet has no cross-attention")
    return found


def _heads(widths: list[int], known: Mapping[str, Any]) -> list[int]:
    """What diffusers calls `attention_head_dim` is, by an old mistake it keeps, the number of heads."""
    if "heads" in known:
        return [known["heads"]] * len(widths)
    return [max(1, width // known["head_width"]) for width in widths]


def vae_config(shapes: Shapes, scaling: float) -> dict[str, Any]:
    """Of an autoencoder by names without prefix. Raises `NotThis`."""
    widths: list[int] = []
    while convolution := shapes.get(f"encoder.down.{len(widths)}.block.0.conv1.weight"):
        widths.append(convolution[0])
    pattern = re.compile(r"encoder\.down\.0\.block\.\d+\.conv1\.weight")
    if not widths:
        raise NotThis("its VAE has no levels")
    return {
        "block_out_channels": widths,
        "down_block_types": ["DownEncoderBlock2D"] * len(widths),
        "up_block_types": ["UpDecoderBlock2D"] * len(widths),
        "layers_per_block": sum(pattern.fullmatch(name) is not None for name in shapes),
        "latent_channels": _shape(shapes, "decoder.conv_in.weight", 4)[1],
        "sample_size": 8 * _SMALL_SIDE,
        "scaling_factor": scaling,
    }


def text_config(shapes: Shapes, known: Mapping[str, Any]) -> dict[str, Any]:
    """Of a CLIP text encoder by names without prefix, in either layout. Raises `NotThis`."""
    clip = known["layout"] == "clip"
    table = "embeddings.token_embedding.weight" if clip else "token_embedding.weight"
    positions = "embeddings.position_embedding.weight" if clip else "positional_embedding"
    inner = "encoder.layers.0.mlp.fc1.weight" if clip else "transformer.resblocks.0.mlp.c_fc.weight"
    tokens, width = _shape(shapes, table, 2)
    config = {
        "vocab_size": tokens,
        "hidden_size": width,
        "intermediate_size": _shape(shapes, inner, 2)[0],
        "num_hidden_layers": _text_layers(shapes) - bool(known.get("without_last_layer")),
        "num_attention_heads": known.get("heads") or max(1, width // 64),
        "max_position_embeddings": _shape(shapes, positions, 2)[0],
        "hidden_act": known["hidden_act"],
        "bos_token_id": 49_406,
        "eos_token_id": 49_407,
    }
    return config | ({"projection_dim": _shape(shapes, "text_projection", 2)[1]} if not clip else {})


def _text_layers(shapes: Shapes) -> int:
    layer = re.compile(r"(encoder\.layers|transformer\.resblocks)\.(\d+)\.")
    return len({found[2] for found in map(layer.match, shapes) if found})


def _shape(shapes: Shapes, name: str, dimensions: int) -> tuple[int, ...]:
    shape = shapes.get(name)
    if shape is None:
        raise NotThis(f"its tensor {name} is missing")
    if len(shape) != dimensions or 0 in shape:
        raise NotThis(f"its tensor {name} has the shape {list(shape)}")
    return shape


def native_side(
    config: Mapping[str, Any], standard: int, *, velocity: bool, architecture: Architecture
) -> int:
    """Pixels of the square a checkpoint was trained on; Stable Diffusion 2's v-prediction ones on 768."""
    if config["block_out_channels"][0] not in _STANDARD_WIDTHS:
        return _SMALL_SIDE
    return 768 if architecture is Architecture.SD2 and velocity else standard
