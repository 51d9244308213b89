"""What a tensor of a diffusers model is called in the original single-file layout ("LDM").

Names are module paths with the parameter's name, without the prefix of the network they stand in.
"""

import re
from collections.abc import Sequence

_RESNET = {"norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1"}
_RESNET |= {"norm2": "out_layers.0", "conv2": "out_layers.3", "conv_shortcut": "skip_connection"}
_UNET_ENDS = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
    "controlnet_mid_block": "middle_block_out.0",
    "controlnet_cond_embedding.conv_in": "input_hint_block.0",
    "controlnet_cond_embedding.conv_out": "input_hint_block.14",
}
_VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
_OPEN_CLIP = {"layer_norm1": "ln_1", "layer_norm2": "ln_2", "fc1": "c_fc", "fc2": "c_proj"}
_OPEN_CLIP |= {"self_attn": "attn"}
_OPEN_CLIP_ENDS = {
    "embeddings.position_embedding.weight": "positional_embedding",
    "embeddings.token_embedding.weight": "token_embedding.weight",
    "final_layer_norm.weight": "ln_final.weight",
    "final_layer_norm.bias": "ln_final.bias",
    "text_projection.weight": "text_projection",
}


def unet_name(path: str, *, layers: int, up_attention: Sequence[bool]) -> str:
    """Of a tensor or a module of a UNet or a ControlNet.

    `layers` is diffusers' `layers_per_block`; `up_attention` tells which blocks on the way up have attention.
    """
    for ours, theirs in _UNET_ENDS.items():
        if path == ours or path.startswith(f"{ours}."):
            return theirs + path[len(ours) :]
    if match := re.fullmatch(r"controlnet_down_blocks\.(\d+)(.*)", path):
        return f"zero_convs.{match[1]}.0{match[2]}"
    if match := re.fullmatch(r"controlnet_cond_embedding\.blocks\.(\d+)(.*)", path):
        return f"input_hint_block.{2 * int(match[1]) + 2}{match[2]}"
    if match := re.fullmatch(r"mid_block\.(resnets|attentions)\.(\d)\.?(.*)", path):
        place = 1 if match[1] == "attentions" else 2 * int(match[2])
        return _joined(f"middle_block.{place}", match[1], match[3])
    match = re.fullmatch(r"(down|up)_blocks\.(\d)\.(\w+)\.(\d)\.?(.*)", path)
    if match is None:
        return path
    side, level, kind, index, rest = match[1], int(match[2]), match[3], int(match[4]), match[5]
    first = level * (layers + 1)
    if kind == "downsamplers":
        return f"input_blocks.{first + layers + 1}.0.{rest.replace('conv', 'op', 1)}"
    if kind == "upsamplers":
        return f"output_blocks.{first + layers}.{2 if up_attention[level] else 1}.{rest}"
    block = f"input_blocks.{1 + first + index}" if side == "down" else f"output_blocks.{first + index}"
    return _joined(f"{block}.{1 if kind == 'attentions' else 0}", kind, rest)


def _joined(block: str, kind: str, rest: str) -> str:
    if kind == "resnets":
        part, dot, end = rest.partition(".")
        rest = f"{_RESNET.get(part, part)}{dot}{end}"
    return f"{block}.{rest}" if rest else block


def vae_name(path: str, *, levels: int) -> str:
    """Of a tensor of an autoencoder with so many levels."""
    path = path.replace("conv_shortcut", "nin_shortcut").replace("conv_norm_out", "norm_out")
    if match := re.fullmatch(r"(\w+)\.mid_block\.resnets\.(\d)\.(.+)", path):
        return f"{match[1]}.mid.block_{int(match[2]) + 1}.{match[3]}"
    if match := re.fullmatch(r"(\w+)\.mid_block\.attentions\.0\.(.+)\.(\w+)", path):
        return f"{match[1]}.mid.attn_1.{_VAE_ATTENTION[match[2]]}.{match[3]}"
    match = re.fullmatch(r"(encoder\.down|decoder\.up)_blocks\.(\d)\.(\w+)\.(\d)\.(.+)", path)
    if match is None:
        return path
    level = int(match[2]) if match[1] == "encoder.down" else levels - 1 - int(match[2])
    place = f"block.{match[4]}" if match[3] == "resnets" else match[3].removesuffix("rs")
    return f"{match[1]}.{level}.{place}.{match[5]}"


def open_clip_name(path: str) -> tuple[str, int | None]:
    """Of a CLIP text encoder's tensor in OpenCLIP's layout, and which third of that one it is, if any."""
    if path in _OPEN_CLIP_ENDS:
        return _OPEN_CLIP_ENDS[path], None
    words = [_OPEN_CLIP.get(word, word) for word in path.removeprefix("encoder.layers.").split(".")]
    name = f"transformer.resblocks.{'.'.join(words)}"
    if match := re.fullmatch(r"(.+\.attn)\.([qkv])_proj\.(\w+)", name):
        return f"{match[1]}.in_proj_{match[3]}", "qkv".index(match[2])
    return name, None
