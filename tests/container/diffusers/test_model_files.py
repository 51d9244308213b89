"""What model files are told from their header alone, and what is refused: with one error, at once."""

import itertools
import json
import struct
import tracemalloc
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from container.diffusers_engine.architecture import NotThis, identify
from container.diffusers_engine.checkpoint import open_checkpoint
from container.diffusers_engine.errors import BadHeader, UnusableFile
from container.diffusers_engine.safetensors_header import parse_header, read_header
from container.serving.engine import Model
from container.serving.errors import NotSupported
from container.serving.model_folder import ModelFile
from tests.container.diffusers import checkpoints

FAMILIES = {
    "Stable Diffusion 3": ["model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight"],
    "FLUX": ["double_blocks.0.img_attn.qkv.weight", "single_blocks.0.linear1.weight"],
    "FLUX.2": ["double_stream_modulation_img.lin.weight", "double_blocks.0.img_attn.qkv.weight"],
    "Chroma": ["distilled_guidance_layer.in_proj.weight", "double_blocks.0.img_attn.qkv.weight"],
    "Qwen-Image": ["transformer_blocks.0.img_mod.1.weight", "transformer_blocks.0.attn.add_q_proj.weight"],
    "Z-Image": ["x_pad_token", "noise_refiner.0.attention.qkv.weight"],
    "Lumina": ["noise_refiner.0.attention.qkv.weight"],
    "Sana": ["blocks.0.cross_attn.q_linear.weight", "blocks.0.mlp.inverted_conv.conv.weight"],
    "PixArt": ["blocks.0.cross_attn.q_linear.weight", "y_embedder.y_proj.fc1.weight"],
    "AuraFlow": ["double_layers.0.attn.w1q.weight"],
    "HiDream": ["double_stream_blocks.0.block.attn1.to_q.weight"],
    "Hunyuan-DiT": ["mlp_t5.0.weight"],
    "HunyuanVideo": ["txt_in.individual_token_refiner.blocks.0.norm1.weight", "double_blocks.0.img_attn.x"],
    "Wan": ["blocks.0.self_attn.norm_q.weight"],
    "Stable Cascade": ["clip_txt_mapper.weight"],
    "Stable Video Diffusion": ["model.diffusion_model.input_blocks.1.0.time_stack.in_layers.2.weight"],
}


def load(path: Path):
    file = ModelFile(path=path, model=Model(name=path.name))
    return open_checkpoint(file, allow_pickle=False, device=torch.device("cpu"), dtype=torch.float32)


def written(path: Path, header: object, body: bytes = b"", *, length: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + body)
    return path


def entry(begin: int, end: int, shape: list[int] | None = None, dtype: str = "U8") -> dict:
    return {"dtype": dtype, "shape": [end - begin] if shape is None else shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize("family", FAMILIES)
def test_families_not_drawn_yet_are_named(tmp_path: Path, family: str) -> None:
    path = checkpoints.save(
        tmp_path / "x.safetensors", {name: torch.zeros(2, 2) for name in FAMILIES[family]}
    )

    with pytest.raises(NotSupported) as refusal:
        load(path)

    assert f"it is {family}, which is not supported yet" in refusal.value.message
    assert refusal.value.status == 422


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (checkpoints.lora, "a LoRA; it belongs into Lora/"),
        (lambda path: checkpoints.lora(path, naming="diffusers"), "a LoRA; it belongs into Lora/"),
        (lambda path: checkpoints.lora(path, kind="loha"), "a LoRA; it belongs into Lora/"),
        (checkpoints.vae, "a VAE; it belongs into VAE/"),
        (checkpoints.embedding, "a textual inversion; it belongs into embeddings/"),
        (checkpoints.controlnet, "a ControlNet; it belongs into ControlNet/"),
        (
            lambda path: checkpoints.controlnet(path, layout="diffusers"),
            "a ControlNet; it belongs into ControlNet/",
        ),
        (lambda path: checkpoints.save(path, {"w": torch.zeros(3)}), "no kind of model this engine knows"),
        (
            lambda path: checkpoints.save(path, {"down_blocks.0.resnets.0.conv1.weight": torch.zeros(3)}),
            "a UNet in diffusers' layout alone",
        ),
    ],
)
def test_what_is_no_checkpoint_is_refused_by_what_it_is(tmp_path: Path, make, what: str) -> None:
    path = make(tmp_path / "x.safetensors")

    with pytest.raises(UnusableFile) as refusal:
        load(path)

    assert what in refusal.value.message


@pytest.mark.parametrize(
    ("left_out", "reason"),
    [
        ("cond_stage_model.", "a UNet without its text encoder"),
        ("first_stage_model.", "it has no VAE"),
        ("model.diffusion_model.input_blocks.2.0.op.bias", "1 of its"),
        ("first_stage_model.decoder.conv_out", "2 of its"),
    ],
)
def test_an_incomplete_checkpoint_is_refused_by_what_it_lacks(
    tmp_path: Path, left_out: str, reason: str
) -> None:
    tensors = checkpoints.checkpoint_tensors()
    kept = {name: tensor for name, tensor in tensors.items() if not name.startswith(left_out)}

    with pytest.raises(UnusableFile, match=reason):
        load(checkpoints.save(tmp_path / "x.safetensors", kept))


@pytest.mark.parametrize(
    ("name", "shape", "reason"),
    [
        ("model.diffusion_model.time_embed.0.weight", (7, 7), "not an SD1.x checkpoint: 1 of its"),
        ("model.diffusion_model.input_blocks.1.1.norm.weight", (), "not an SD1.x checkpoint: 1 of its"),
        ("model.diffusion_model.surprise.weight", (4,), "have no place in it"),
        ("model.diffusion_model.input_blocks.0.0.weight", (32, 5, 3, 3), "a depth model"),
        ("model.diffusion_model.input_blocks.0.0.weight", (32, 8, 3, 3), r"an editing \(pix2pix\) model"),
        ("model.diffusion_model.out.0.scale_weight", (1,), "quantised"),
    ],
)
def test_a_tensor_of_the_wrong_shape_is_named_and_nothing_breaks(
    tmp_path: Path, name: str, shape: tuple[int, ...], reason: str
) -> None:
    tensors = checkpoints.checkpoint_tensors() | {name: torch.zeros(shape)}

    with pytest.raises(UnusableFile, match=reason):
        load(checkpoints.save(tmp_path / "x.safetensors", tensors))


def test_a_unet_that_listens_to_another_text_encoder_is_refused(tmp_path: Path) -> None:
    sd1, sdxl = checkpoints.checkpoint_tensors("sd1"), checkpoints.checkpoint_tensors("sdxl")
    mixed = sd1 | {name: tensor for name, tensor in sdxl.items() if name.startswith("model.")}

    with pytest.raises(UnusableFile, match="64 values a token, its text encoder gives 32"):
        load(checkpoints.save(tmp_path / "x.safetensors", mixed))


WRONG_HEADERS = {
    "empty": (b"", "no header"),
    "html": (b"<!DOCTYPE html><html>", "no safetensors header"),
    "pickle": (b"PK\x03\x04" + b"0" * 60, "a pickle under a false name"),
    "old pickle": (b"\x80\x02}q\x00." + b"0" * 60, "a pickle under a false name"),
    "huge length": (struct.pack("<Q", 2**62) + b"{}", "claims"),
    "beyond the end": (struct.pack("<Q", 500) + b"{}", "ends inside its header"),
    "not JSON": (struct.pack("<Q", 4) + b"{{{{", "not JSON"),
    "not UTF-8": (struct.pack("<Q", 4) + b'{"\xff\xff', "not JSON"),
    "deep": (struct.pack("<Q", 100_005) + b'{"a":' + b"[" * 100_000, "not JSON"),
}


@pytest.mark.parametrize("fault", WRONG_HEADERS)
def test_a_corrupt_file_is_one_typed_error(tmp_path: Path, fault: str) -> None:
    content, reason = WRONG_HEADERS[fault]
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)

    with pytest.raises(UnusableFile, match=reason):
        load(path)


@pytest.mark.parametrize(
    ("header", "body", "reason"),
    [
        ({"a": entry(0, 4), "b": entry(2, 6)}, 6, "overlaps"),
        ({"a": entry(0, 4), "b": entry(6, 8)}, 8, "hole"),
        ({"a": entry(0, 8)}, 4, "ends 4 bytes too early"),
        ({"a": entry(0, 4)}, 9, "5 bytes at its end"),
        ({"a": entry(0, 4, [2])}, 4, "wrong size"),
        ({"a": entry(0, 4, [-1, -4])}, 4, "impossible shape"),
        ({"a": entry(0, 4, dtype="F128")}, 4, "unknown type"),
        ({"a": {"dtype": "U8"}}, 0, "no tensor"),
        ({"a": [1]}, 0, "no tensor"),
        ({"__metadata__": {"a": 1}}, 0, "metadata"),
        (b'{"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]},"a":{}}', 1, "twice"),
    ],
)
def test_a_header_that_lies_is_refused(tmp_path: Path, header, body: int, reason: str) -> None:
    path = written(tmp_path / "x.safetensors", header, bytes(body))

    with pytest.raises(BadHeader, match=reason):
        read_header(path)


def test_two_hundred_thousand_names_are_refused_before_they_are_parsed(tmp_path: Path) -> None:
    names = (f'"{index}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}' for index in range(200_000))
    path = written(tmp_path / "x.safetensors", f"{{{','.join(names)}}}".encode())

    tracemalloc.start()
    with pytest.raises(UnusableFile, match="more than 20,000 tensors"):
        load(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 2 * path.stat().st_size  # the header itself, and nothing made from it


def test_a_truncated_checkpoint_is_refused(tmp_path: Path) -> None:
    path = checkpoints.checkpoint(tmp_path / "x.safetensors")
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 1000)

    with pytest.raises(UnusableFile, match="ends 1,000 bytes too early"):
        load(path)


def test_a_file_that_is_gone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnusableFile, match="cannot be read"):
        load(tmp_path / "gone.safetensors")


SHAPES = st.dictionaries(
    st.sampled_from([*itertools.chain(*FAMILIES.values()), *checkpoints.checkpoint_tensors()])
    | st.text(max_size=20),
    st.lists(st.integers(0, 2000), max_size=4).map(tuple),
    max_size=12,
)


@given(shapes=SHAPES)
def test_a_handful_of_tensors_is_never_taken_for_a_checkpoint(shapes: dict) -> None:
    try:
        identify(shapes)
    except NotThis:
        return
    assert "model.diffusion_model.input_blocks.0.0.weight" in shapes
    assert any(name.startswith("first_stage_model.") for name in shapes)


@given(
    text=st.binary(max_size=200) | st.text('{}[]":,ab019.-', max_size=60).map(str.encode),
    size=st.integers(0, 99),
)
def test_any_header_is_read_or_refused(text: bytes, size: int) -> None:
    try:
        header = parse_header(text, body_bytes=size)
    except BadHeader:
        return
    assert set(header.shapes) == set(header.dtypes)


@given(sizes=st.lists(st.integers(0, 50), max_size=8))
def test_a_sound_header_is_read(sizes: list[int]) -> None:
    ends = [sum(sizes[: index + 1]) for index in range(len(sizes))]
    pairs = zip([0, *ends], ends, strict=False)
    header = {f"t{index}": entry(begin, end) for index, (begin, end) in enumerate(pairs)}

    read = parse_header(json.dumps(header).encode(), body_bytes=sum(sizes))

    assert list(read.shapes.values()) == [(size,) for size in sizes]
