"""Stable Diffusion 1.x's single-file layout: the original (LDM) name of each diffusers tensor."""

from __future__ import annotations

import re

_RESNET = {
    "norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0", "conv2": "out_layers.3", "conv_shortcut": "skip_connection",
}  # fmt: skip
_UNET_ENDS = {
    "conv_in": "input_blocks.0.0", "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2", "conv_norm_out": "out.0", "conv_out": "out.2",
}  # fmt: skip
_VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}


def unet_key(key: str, *, layers: int) -> str:
    """The LDM name of a UNet tensor; `layers` is diffusers' layers_per_block."""
    return f"model.diffusion_model.{_unet_body(key, layers=layers)}"


def _unet_body(key: str, *, layers: int) -> str:
    for ours, theirs in _UNET_ENDS.items():
        if key.startswith(f"{ours}."):
            return key.replace(ours, theirs, 1)
    if match := re.fullmatch(r"mid_block\.(resnets|attentions)\.(\d)\.(.+)", key):
        kind, index, rest = match.groups()
        return (
            f"middle_block.1.{rest}"
            if kind == "attentions"
            else f"middle_block.{2 * int(index)}.{_resnet(rest)}"
        )
    match = re.fullmatch(r"(down|up)_blocks\.(\d)\.(\w+)\.(\d)\.(.+)", key)
    if match is None:
        raise ValueError(f"no place for the UNet tensor {key}")
    side, level, kind, index, rest = match[1], int(match[2]), match[3], int(match[4]), match[5]
    if side == "down":
        block = f"input_blocks.{1 + level * (layers + 1) + index}"
        if kind == "downsamplers":
            return f"input_blocks.{(level + 1) * (layers + 1)}.0.{rest.replace('conv', 'op', 1)}"
    else:
        block = f"output_blocks.{level * (layers + 1) + index}"
        if kind == "upsamplers":
            return f"output_blocks.{level * (layers + 1) + layers}.{1 if level == 0 else 2}.{rest}"
    return f"{block}.1.{rest}" if kind == "attentions" else f"{block}.0.{_resnet(rest)}"


def _resnet(rest: str) -> str:
    name, _, end = rest.rpartition(".")
    return f"{_RESNET[name]}.{end}"


def vae_key(key: str, *, levels: int = 4) -> str:
    """The LDM name of an autoencoder tensor."""
    return f"first_stage_model.{_vae_body(key, levels=levels)}"


def _vae_body(key: str, *, levels: int) -> str:
    key = key.replace("conv_shortcut", "nin_shortcut").replace("conv_norm_out", "norm_out")
    if match := re.fullmatch(r"(\w+)\.mid_block\.resnets\.(\d)\.(.+)", key):
        return f"{match[1]}.mid.block_{int(match[2]) + 1}.{match[3]}"
    if match := re.fullmatch(r"(\w+)\.mid_block\.attentions\.0\.(.+)\.(\w+)", key):
        return f"{match[1]}.mid.attn_1.{_VAE_ATTENTION[match[2]]}.{match[3]}"
    if match := re.fullmatch(r"encoder\.down_blocks\.(\d)\.(resnets|downsamplers)\.(\d)\.(.+)", key):
        place = f"block.{match[3]}" if match[2] == "resnets" else "downsample"
        return f"encoder.down.{match[1]}.{place}.{match[4]}"
    if match := re.fullmatch(r"decoder\.up_blocks\.(\d)\.(resnets|upsamplers)\.(\d)\.(.+)", key):
        place = f"block.{match[3]}" if match[2] == "resnets" else "upsample"
        return f"decoder.up.{levels - 1 - int(match[1])}.{place}.{match[4]}"
    return key


def text_key(key: str) -> str:
    """The LDM name of a CLIP text-encoder tensor."""
    return f"cond_stage_model.transformer.text_model.{key.removeprefix('text_model.')}"
