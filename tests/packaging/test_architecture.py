"""What a file is, from names and shapes; what no rule knows is unknown and never SD1.5."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_packaging.architecture import identify
from model_packaging.kinds import Architecture, Kind, Prediction
from model_packaging.tensors import Tensor, precision_of
from tests.packaging.sparse_models import (
    LORA_XL,
    SD1,
    SD1_UNET,
    SDXL,
    SDXL_TEXT,
    SDXL_UNET,
    UNET,
    VAE,
    checkpoint_of,
    tensors,
    under,
    with_inputs,
    with_width,
)

A, K = Architecture, Kind
OPEN_CLIP = {"cond_stage_model.model.token_embedding.weight": (49408, 1024)}
FLUX = {
    "double_blocks.0.img_attn.qkv.weight": (9216, 3072),
    "single_blocks.0.linear1.weight": (21504, 3072),
    "img_in.weight": (3072, 64),
    "guidance_in.in_layer.weight": (3072, 256),
}
QWEN = {
    "transformer_blocks.0.img_mlp.net.0.proj.weight": (12288, 3072),
    "transformer_blocks.0.attn.add_q_proj.weight": (3072, 3072),
    "txt_norm.weight": (3584,),
    "img_in.weight": (3072, 64),
}
DIFFUSERS_SD1 = {
    "conv_in.weight": (320, 4, 3, 3),
    "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight": (320, 768),
    "mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight": (1280, 768),
}
ATTENTION = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k"

FILES = {
    "SD1.5": (SD1, K.CHECKPOINT, A.SD1, ""),
    "SD1.5 inpainting": (checkpoint_of(with_inputs(SD1_UNET, 9)), K.CHECKPOINT, A.SD1, "inpainting"),
    "SD1.5 instruct-pix2pix": (checkpoint_of(with_inputs(SD1_UNET, 8)), K.CHECKPOINT, A.SD1, "edit"),
    "SD2": (checkpoint_of(with_width(SD1_UNET, 1024), OPEN_CLIP), K.CHECKPOINT, A.SD2, ""),
    "SD2 depth": (
        checkpoint_of(with_inputs(with_width(SD1_UNET, 1024), 5), OPEN_CLIP),
        K.CHECKPOINT,
        A.SD2,
        "depth",
    ),
    "SDXL": (SDXL, K.CHECKPOINT, A.SDXL, ""),
    "SDXL inpainting": (
        checkpoint_of(with_inputs(SDXL_UNET, 9), SDXL_TEXT),
        K.CHECKPOINT,
        A.SDXL,
        "inpainting",
    ),
    "SDXL refiner": (checkpoint_of(with_width(SDXL_UNET, 1280), SDXL_TEXT), K.CHECKPOINT, A.SDXL_REFINER, ""),
    "SD1.5's UNet alone": (DIFFUSERS_SD1, K.DENOISER, A.SD1, ""),
    "SD3": (
        under(UNET, {"joint_blocks.0.context_block.attn.qkv.weight": (4608, 1536)})
        | {"text_encoders.clip_l.transformer.text_model.embeddings.position_embedding.weight": (77, 768)},
        K.CHECKPOINT,
        A.SD3,
        "",
    ),
    "SD3 of diffusers": (
        {"transformer_blocks.0.attn.add_q_proj.weight": (1536, 1536)},
        K.DENOISER,
        A.SD3,
        "",
    ),
    "Flux dev": (FLUX, K.DENOISER, A.FLUX, ""),
    "Flux dev with all its parts": (
        under(UNET, FLUX)
        | {"text_encoders.t5xxl.transformer.shared.weight": (32128, 4096), "vae.decoder.x": (1,)},
        K.CHECKPOINT,
        A.FLUX,
        "",
    ),
    "Flux schnell": (
        {name: shape for name, shape in FLUX.items() if "guidance" not in name},
        K.DENOISER,
        A.FLUX,
        "schnell",
    ),
    "Flux fill": (FLUX | {"img_in.weight": (3072, 384)}, K.DENOISER, A.FLUX, "fill"),
    "Flux.2": (
        {"double_blocks.0.img_attn.qkv.weight": (1, 1), "single_stream_modulation.lin.weight": (1, 1)},
        K.DENOISER,
        A.FLUX2,
        "",
    ),
    "Chroma": (FLUX | {"distilled_guidance_layer.in_proj.bias": (5120,)}, K.DENOISER, A.CHROMA, ""),
    "Qwen-Image": (QWEN, K.DENOISER, A.QWEN_IMAGE, ""),
    "Lumina 2": (
        {"noise_refiner.0.attention.qkv.weight": (1, 1), "cap_embedder.0.weight": (2304,)},
        K.DENOISER,
        A.LUMINA2,
        "",
    ),
    "Z-Image": (
        {"noise_refiner.0.attention.qkv.weight": (1, 1), "cap_embedder.0.weight": (2560,)},
        K.DENOISER,
        A.Z_IMAGE,
        "",
    ),
    "AuraFlow": ({"double_layers.0.attn.w1q.weight": (3072, 3072)}, K.DENOISER, A.AURAFLOW, ""),
    "Sana": (
        {"blocks.0.cross_attn.q_linear.weight": (2240, 2240), "blocks.0.mlp.depth_conv.conv.weight": (1, 1)},
        K.DENOISER,
        A.SANA,
        "",
    ),
    "PixArt": ({"blocks.0.cross_attn.q_linear.weight": (1152, 1152)}, K.DENOISER, A.PIXART, ""),
    "Wan": (
        {"blocks.0.self_attn.q.weight": (1536, 1536), "head.modulation": (1, 2, 1536)},
        K.DENOISER,
        A.WAN,
        "",
    ),
    "HunyuanVideo": (
        FLUX | {"txt_in.individual_token_refiner.blocks.0.adaLN_modulation.1.bias": (1,)},
        K.DENOISER,
        A.UNKNOWN,
        "",
    ),
    "LTX, whose attention is as wide as SDXL's": (
        {"transformer_blocks.0.attn2.to_k.weight": (2048, 2048), "patchify_proj.weight": (2048, 128)},
        K.DENOISER,
        A.UNKNOWN,
        "",
    ),
    "a UNet of another width": (checkpoint_of(with_width(SD1_UNET, 128)), K.CHECKPOINT, A.UNKNOWN, ""),
    "a UNet of two widths": (checkpoint_of({**SD1_UNET, **SDXL_UNET}), K.CHECKPOINT, A.UNKNOWN, ""),
    "LoRA SD1.5": ({f"{ATTENTION}.lora_down.weight": (8, 768)}, K.LORA, A.SD1, ""),
    "LoRA SD2": ({f"{ATTENTION}.lora_down.weight": (8, 1024)}, K.LORA, A.SD2, ""),
    "LoRA SDXL": (LORA_XL, K.LORA, A.SDXL, ""),
    "LoRA SDXL of diffusers": (
        {"unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.lora_A.weight": (8, 2048)},
        K.LORA,
        A.SDXL,
        "",
    ),
    "LoHa SD1.5": (
        {f"{ATTENTION}.hada_w1_b": (8, 768), f"{ATTENTION}.hada_w1_a": (640, 8)},
        K.LORA,
        A.SD1,
        "",
    ),
    "LoKr of nobody knows what": ({f"{ATTENTION}.lokr_w1": (8, 8)}, K.LORA, A.UNKNOWN, ""),
    "LoRA of the text encoder, SD1.5": (
        {"lora_te_text_model_encoder_layers_0_self_attn_q_proj.lora_down.weight": (8, 768)},
        K.LORA,
        A.SD1,
        "",
    ),
    "LoRA of the text encoders, SDXL": (
        {"lora_te2_text_model_encoder_layers_0_self_attn_q_proj.lora_down.weight": (8, 1280)},
        K.LORA,
        A.SDXL,
        "",
    ),
    "LoRA Flux, kohya": (
        {"lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight": (8, 3072)},
        K.LORA,
        A.FLUX,
        "",
    ),
    "LoRA Flux, diffusers": (
        {"transformer.single_transformer_blocks.0.attn.to_q.lora_A.weight": (8, 3072)},
        K.LORA,
        A.FLUX,
        "",
    ),
    "LoRA Qwen-Image": (
        {"transformer_blocks.0.img_mlp.net.2.lora_A.default.weight": (8, 12288)},
        K.LORA,
        A.QWEN_IMAGE,
        "",
    ),
    "LoRA SD3": (
        {"lora_unet_joint_blocks_0_context_block_attn_qkv.lora_down.weight": (8, 1536)},
        K.LORA,
        A.SD3,
        "",
    ),
    "ControlNet SD1.5": (
        under("control_model.", SD1_UNET | {"zero_convs.0.0.weight": (320, 320, 1, 1)}),
        K.CONTROLNET,
        A.SD1,
        "",
    ),
    "ControlNet SDXL of diffusers": (
        {
            "controlnet_cond_embedding.conv_in.weight": (16, 3, 3, 3),
            "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.weight": (640, 2048),
        },
        K.CONTROLNET,
        A.SDXL,
        "",
    ),
    "T2I adapter": (
        {"adapter.body.0.resnets.0.block1.weight": (320, 320, 3, 3)},
        K.CONTROLNET,
        A.UNKNOWN,
        "",
    ),
    "VAE of the older families": (
        {"encoder.conv_in.weight": (128, 3, 3, 3), "decoder.conv_in.weight": (512, 4, 3, 3)},
        K.VAE,
        A.UNKNOWN,
        "",
    ),
    "VAE of Flux.2": ({"decoder.conv_in.weight": (512, 32, 3, 3)}, K.VAE, A.FLUX2, ""),
    "embedding SD1.5": ({"emb_params": (4, 768)}, K.EMBEDDING, A.SD1, ""),
    "embedding SD2": ({"emb_params": (1, 1024)}, K.EMBEDDING, A.SD2, ""),
    "embedding SDXL": ({"clip_l": (2, 768), "clip_g": (2, 1280)}, K.EMBEDDING, A.SDXL, ""),
    "embedding of diffusers": ({"<cat>": (768,)}, K.EMBEDDING, A.SD1, ""),
    "ESRGAN": (
        {"body.0.rdb1.conv1.weight": (32, 64, 3, 3), "conv_first.weight": (64, 3, 3, 3)},
        K.UPSCALER,
        A.ESRGAN,
        "",
    ),
    "ESRGAN of old": ({"model.1.sub.0.RDB1.conv1.0.weight": (32, 64, 3, 3)}, K.UPSCALER, A.ESRGAN, ""),
    "Real-ESRGAN's small network": (
        {"body.0.weight": (64, 3, 3, 3), "body.1.weight": (64,)},
        K.UPSCALER,
        A.ESRGAN,
        "",
    ),
    "SwinIR": ({"layers.0.residual_group.blocks.0.attn.qkv.weight": (540, 180)}, K.UPSCALER, A.SWINIR, ""),
    "HAT": ({"layers.0.residual_group.overlap_attn.qkv.weight": (540, 180)}, K.UPSCALER, A.HAT, ""),
    "DAT": ({"layers.0.blocks.0.attn.attns.0.pos.pos_proj.weight": (1, 2)}, K.UPSCALER, A.DAT, ""),
    "CLIP": (
        {"text_model.encoder.layers.0.self_attn.q_proj.weight": (768, 768)},
        K.TEXT_ENCODER,
        A.UNKNOWN,
        "",
    ),
    "T5": ({"encoder.block.0.layer.0.SelfAttention.q.weight": (4096, 4096)}, K.TEXT_ENCODER, A.UNKNOWN, ""),
    "a network of something else": (
        {"layer1.0.conv1.weight": (64, 64, 3, 3), "fc.weight": (9, 9)},
        K.UNKNOWN,
        A.UNKNOWN,
        "",
    ),
    "nothing": ({}, K.UNKNOWN, A.UNKNOWN, ""),
}


@pytest.mark.parametrize("name", FILES)
def test_files_are_what_their_tensors_say(name: str):
    shapes, kind, architecture, variant = FILES[name]

    seen = identify(tensors(shapes), {})

    assert (seen.kind, seen.architecture, seen.variant) == (kind, architecture, variant)


@given(
    names=st.dictionaries(
        st.text(max_size=30), st.lists(st.integers(0, 9), max_size=4).map(tuple), max_size=20
    )
)
def test_names_nobody_uses_are_never_an_architecture(names: dict):
    assert identify(tensors(names), {}).architecture is A.UNKNOWN


MARKS = {
    "a plain SDXL": (SDXL, {}, Prediction.EPSILON, False),
    "tensors named v_pred and ztsnr": (SDXL | {"v_pred": (0,), "ztsnr": (0,)}, {}, Prediction.V, True),
    "modelspec": (SDXL, {"modelspec.prediction_type": "v"}, Prediction.V, False),
    "kohya": (LORA_XL, {"ss_v_parameterization": "True", "ss_zero_terminal_snr": "True"}, Prediction.V, True),
    "kohya says no": (LORA_XL, {"ss_v_parameterization": "False"}, Prediction.EPSILON, False),
    "SD2, which comes in both": (
        checkpoint_of(with_width(SD1_UNET, 1024), OPEN_CLIP),
        {},
        Prediction.UNKNOWN,
        False,
    ),
    "Flux": (FLUX, {}, Prediction.FLOW, False),
    "a VAE": ({"decoder.conv_in.weight": (512, 4, 3, 3)}, {}, Prediction.UNKNOWN, False),
}


@pytest.mark.parametrize("name", MARKS)
def test_what_the_network_predicts(name: str):
    shapes, metadata, prediction, zero_terminal_snr = MARKS[name]

    seen = identify(tensors(shapes), metadata)

    assert (seen.prediction, seen.zero_terminal_snr) == (prediction, zero_terminal_snr)


@pytest.mark.parametrize(
    ("stated", "architecture"),
    [
        ("stable-diffusion-xl-v1-base/lora", A.SDXL),
        ("stable-diffusion-v1/lora", A.SD1),
        ("stable-diffusion-v2-768-v/lora", A.SD2),
        ("flux-1-dev/lora", A.FLUX),
        ("something else", A.UNKNOWN),
    ],
)
def test_metadata_settles_what_a_loras_shapes_leave_open(stated: str, architecture: Architecture):
    seen = identify(tensors({f"{ATTENTION}.lokr_w1": (8, 8)}), {"modelspec.architecture": stated})

    assert seen.architecture is architecture
    assert any("metadata states" in note for note in seen.notes) is (architecture is not A.UNKNOWN)


def test_metadata_never_overrules_the_shapes():
    assert identify(tensors(LORA_XL), {"ss_base_model_version": "sd_v1"}).architecture is A.SDXL


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("x.weight.quant_state.bitsandbytes__nf4", "nf4"),
        ("scaled_fp8", "fp8"),
        ("transformer_blocks.0.attn.to_q.qweight", "Nunchaku"),
    ],
)
def test_weights_the_server_cannot_load_are_told(name: str, word: str):
    notes = identify(tensors(FLUX | {name: (1,)}), {}).notes

    assert any(word in note and "cannot load" in note for note in notes)


def test_missing_parts_of_a_checkpoint_are_told():
    without_vae = {name: shape for name, shape in SD1.items() if name not in VAE}

    assert "it holds no VAE" in identify(tensors(without_vae), {}).notes
    assert identify(tensors(SD1), {}).notes == ()


def test_the_precision_is_that_of_most_numbers():
    mixed = {"a": Tensor(dtype="F32", shape=(10,)), "b": Tensor(dtype="BF16", shape=(100,))}

    assert precision_of(mixed) == "bf16"
    assert precision_of({}) == ""
