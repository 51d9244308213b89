"""The checkpoint file: its format, and Stable Diffusion 1.x's names."""

import json
from pathlib import Path

import numpy as np
import pytest

from container.embedded.training.layout import text_key, unet_key, vae_key
from container.weights import read_tensors


def write_checkpoint(path: Path, header: dict[str, object], data: bytes) -> Path:
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def test_half_precision_tensors_are_read_in_their_shape(tmp_path: Path) -> None:
    values = np.arange(6, dtype="<f2")
    entry = {"dtype": "F16", "shape": [2, 3], "data_offsets": [0, 12]}
    file = write_checkpoint(
        tmp_path / "m.safetensors", {"__metadata__": {"format": "pt"}, "a": entry}, values.tobytes()
    )
    tensors = read_tensors(file)
    assert list(tensors) == ["a"]
    assert tensors["a"].dtype == np.float32
    assert tensors["a"].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_attention_convolutions_of_the_autoencoder_are_read_as_matrices(tmp_path: Path) -> None:
    name = "first_stage_model.encoder.mid.attn_1.q.weight"
    entry = {"dtype": "F32", "shape": [2, 2, 1, 1], "data_offsets": [0, 16]}
    file = write_checkpoint(tmp_path / "m.safetensors", {name: entry}, np.zeros(4, "<f4").tobytes())
    assert read_tensors(file)[name].shape == (2, 2)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\xff" * 64])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.safetensors").write_bytes(content)
    with pytest.raises(ValueError, match="not a safetensors file"):
        read_tensors(tmp_path / "m.safetensors")


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("conv_in.weight", "input_blocks.0.0.weight"),
        ("time_embedding.linear_1.bias", "time_embed.0.bias"),
        ("down_blocks.0.resnets.0.conv1.weight", "input_blocks.1.0.in_layers.2.weight"),
        ("down_blocks.0.downsamplers.0.conv.weight", "input_blocks.3.0.op.weight"),
        ("down_blocks.1.resnets.0.conv_shortcut.weight", "input_blocks.4.0.skip_connection.weight"),
        (
            "down_blocks.2.attentions.1.transformer_blocks.0.attn2.to_k.weight",
            "input_blocks.8.1.transformer_blocks.0.attn2.to_k.weight",
        ),
        ("mid_block.attentions.0.proj_in.weight", "middle_block.1.proj_in.weight"),
        ("mid_block.resnets.1.time_emb_proj.bias", "middle_block.2.emb_layers.1.bias"),
        ("up_blocks.0.upsamplers.0.conv.weight", "output_blocks.2.1.conv.weight"),
        ("up_blocks.1.upsamplers.0.conv.bias", "output_blocks.5.2.conv.bias"),
        ("up_blocks.3.attentions.2.norm.weight", "output_blocks.11.1.norm.weight"),
        ("conv_out.bias", "out.2.bias"),
    ],
)
def test_unet_tensors_have_the_names_of_stable_diffusion(ours: str, theirs: str) -> None:
    """Pairs as in the published SD 1.5 checkpoint, which has two layers a block."""
    assert unet_key(ours, layers=2) == f"model.diffusion_model.{theirs}"


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (
            "encoder.down_blocks.1.resnets.0.conv_shortcut.weight",
            "encoder.down.1.block.0.nin_shortcut.weight",
        ),
        ("encoder.down_blocks.0.downsamplers.0.conv.bias", "encoder.down.0.downsample.conv.bias"),
        ("decoder.up_blocks.0.upsamplers.0.conv.weight", "decoder.up.3.upsample.conv.weight"),
        ("decoder.mid_block.attentions.0.to_out.0.bias", "decoder.mid.attn_1.proj_out.bias"),
        ("decoder.mid_block.resnets.1.norm2.weight", "decoder.mid.block_2.norm2.weight"),
        ("decoder.conv_norm_out.weight", "decoder.norm_out.weight"),
        ("quant_conv.weight", "quant_conv.weight"),
    ],
)
def test_autoencoder_tensors_have_the_names_of_stable_diffusion(ours: str, theirs: str) -> None:
    assert vae_key(ours) == f"first_stage_model.{theirs}"


def test_text_tensors_have_the_names_of_stable_diffusion() -> None:
    prefix = "cond_stage_model.transformer.text_model"
    assert text_key("final_layer_norm.bias") == f"{prefix}.final_layer_norm.bias"


def test_a_tensor_without_a_place_is_an_error() -> None:
    with pytest.raises(ValueError, match="add_embedding"):
        unet_key("add_embedding.linear_1.weight", layers=2)
