"""Small model files with real headers."""

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file


def lora(place: Path, *, seed: int = 0, rows: int = 64) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    weights = np.random.default_rng(seed).standard_normal((rows, 64)).astype("float16")
    save_file({"lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight": weights}, place)
    return place


def checkpoint(place: Path, *, seed: int = 1, mebibytes: int = 1) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    weights = np.random.default_rng(seed).standard_normal((mebibytes * 512, 1024)).astype("float16")
    small = np.zeros((4, 4), "float16")
    parts = {"cond_stage_model.transformer.text_model.final_layer_norm.weight": small}
    parts["first_stage_model.decoder.conv_in.weight"] = small
    save_file({"model.diffusion_model.input_blocks.0.0.weight": weights, **parts}, place)
    return place


def model_folder(root: Path, *, mebibytes: int = 1) -> Path:
    checkpoint(root / "Stable-diffusion/base.safetensors", mebibytes=mebibytes)
    lora(root / "Lora/ink.safetensors")
    return root
