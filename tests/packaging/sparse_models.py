"""Model files with the headers of real ones and no weights on the disk: names and shapes as published."""

import json
import os
import struct
from collections.abc import Mapping
from pathlib import Path

from model_packaging.tensors import Tensor, Tensors

Shapes = Mapping[str, tuple[int, ...]]

UNET = "model.diffusion_model."
TEXT_1 = "cond_stage_model.transformer.text_model.embeddings.position_embedding.weight"
VAE = {
    "first_stage_model.encoder.conv_in.weight": (128, 3, 3, 3),
    "first_stage_model.decoder.conv_in.weight": (512, 4, 3, 3),
}
SD1_UNET = {
    "input_blocks.0.0.weight": (320, 4, 3, 3),
    "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": (320, 768),
    "middle_block.1.transformer_blocks.0.attn2.to_k.weight": (1280, 768),
    "output_blocks.11.0.skip_connection.weight": (320, 640, 1, 1),
}
SDXL_UNET = {
    "input_blocks.0.0.weight": (320, 4, 3, 3),
    "input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight": (640, 2048),
    "middle_block.1.transformer_blocks.9.attn2.to_k.weight": (1280, 2048),
    "label_emb.0.0.weight": (1280, 2816),
}
SDXL_TEXT = {"conditioner.embedders.1.model.transformer.resblocks.9.mlp.c_proj.bias": (1280,)}


def under(prefix: str, shapes: Shapes) -> dict[str, tuple[int, ...]]:
    return {f"{prefix}{name}": shape for name, shape in shapes.items()}


def with_width(shapes: Shapes, width: int) -> dict[str, tuple[int, ...]]:
    """The same UNet for text vectors of another width."""
    return {name: (*shape[:-1], width) if "attn2" in name else shape for name, shape in shapes.items()}


def with_inputs(shapes: Shapes, channels: int) -> dict[str, tuple[int, ...]]:
    return {**shapes, "input_blocks.0.0.weight": (320, channels, 3, 3)}


def checkpoint_of(unet: Shapes, text: Shapes | None = None) -> dict[str, tuple[int, ...]]:
    return {**under(UNET, unet), **({TEXT_1: (77, 768)} if text is None else text), **VAE}


SD1 = checkpoint_of(SD1_UNET)
SDXL = checkpoint_of(SDXL_UNET, SDXL_TEXT)
LORA_XL = {
    "lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k.lora_down.weight": (16, 2048),
    "lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k.lora_up.weight": (640, 16),
    "lora_te2_text_model_encoder_layers_0_self_attn_q_proj.lora_down.weight": (16, 1280),
}


def tensors(shapes: Shapes, dtype: str = "F16") -> Tensors:
    return {name: Tensor(dtype=dtype, shape=shape) for name, shape in shapes.items()}


def write(
    place: Path, shapes: Shapes, *, dtype: str = "F16", metadata: Mapping[str, str] | None = None
) -> Path:
    """A sparse file: as long as the real one, with nothing but its header on the disk."""
    header: dict[str, object] = {"__metadata__": dict(metadata or {})}
    offset = 0
    for name, tensor in tensors(shapes, dtype).items():
        places = [offset, offset + tensor.bytes]
        header[name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": places}
        offset = places[1]
    text = json.dumps(header).encode()
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        os.truncate(file.fileno(), 8 + len(text) + offset)
    return place
