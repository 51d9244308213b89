"""What a model file is, told from the names and shapes of its tensors. What no rule knows is refused.

Kinds come first, by parts that only one kind has; then families this engine does not draw with; then the four
it does, each of which must have its own text encoder of the width its UNet listens to.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from container.diffusers_engine.loaded_model import Architecture, Prediction

Shapes = Mapping[str, tuple[int, ...]]


class NotThis(Exception):
    """The file is something else than was asked for; the message says what, to follow "it is" or "it has"."""


_KINDS = (
    ("a ControlNet; it belongs into ControlNet/", r"^control_model\.|^(zero_convs|input_hint_block)\."),
    ("a ControlNet; it belongs into ControlNet/", r"(^|\.)controlnet_(cond_embedding|down_blocks|blocks)\."),
    ("a LoRA; it belongs into Lora/", r"(^|[._])lora[._](up|down|mid|A|B)([._]|$)|^(lora|lycoris)_\w+_"),
    ("a LoRA; it belongs into Lora/", r"\.(hada_w[12]_[ab]|lokr_w[12]|oft_blocks|oft_diag|dora_scale)"),
    ("a textual inversion; it belongs into embeddings/", r"^(emb_params|clip_[gl]|string_to_param\..*)$"),
    ("an upscaler; it belongs into ESRGAN/", r"^(model\.1\.sub\.\d+\.RDB|RRDB_trunk\.|body\.\d+\.rdb)"),
    ("a motion module", r"\.(motion_modules|temporal_transformer)\."),
)
_FAMILIES = (
    ("Stable Video Diffusion", r"\.time_stack\.|\.time_mixer\."),
    ("FLUX.2", r"(^|\.)(double_stream_modulation_img|single_stream_modulation)\."),
    ("Chroma", r"(^|\.)distilled_guidance_layer\."),
    ("HunyuanVideo", r"(^|\.)(individual_)?token_refiner\."),
    ("HiDream", r"(^|\.)double_stream_blocks\.\d"),
    ("AuraFlow", r"(^|\.)(double_layers|joint_transformer_blocks)\.\d"),
    ("FLUX", r"(^|\.)double_blocks\.\d+\.img_attn\.|(^|\.)single_transformer_blocks\.\d"),
    ("Stable Diffusion 3", r"(^|\.)joint_blocks\.\d"),
    ("Qwen-Image", r"(^|\.)transformer_blocks\.\d+\.(img|txt)_(mlp|mod)\."),
    (
        "Stable Diffusion 3",
        r"(^|\.)transformer_blocks\.\d+\.(attn\.add_[qkv]_proj|ff_context|norm1_context)\.",
    ),
    ("Z-Image", r"(^|\.)(x_pad_token|cap_pad_token|all_x_embedder)(\.|$)"),
    ("Lumina", r"(^|\.)(noise_refiner|context_refiner)\.\d"),
    ("Sana", r"(^|\.)blocks\.\d+\.mlp\.(inverted|depth)_conv\.|(^|\.)attention_y_norm\."),
    ("PixArt", r"(^|\.)blocks\.\d+\.cross_attn\.(q_linear|kv_linear)\.|(^|\.)y_embedder\.y_proj\."),
    ("Wan", r"(^|\.)blocks\.\d+\.self_attn\.norm_q\.|(^|\.)head\.modulation$"),
    ("Cosmos", r"(^|\.)blocks\.\d+\.adaln_modulation_self_attn\."),
    (
        "LTX-Video",
        r"(^|\.)(patchify_proj|caption_projection)\.|(^|\.)transformer_blocks\.\d+\.scale_shift_table$",
    ),
    ("Hunyuan-DiT", r"(^|\.)mlp_t5\.|(^|\.)pooler\.positional_embedding$"),
    ("Stable Cascade", r"(^|\.)clip_txt_mapper\.|(^|\.)down_blocks\.\d+\.\d+\.channelwise\."),
)
_QUANTISED = (
    r"\.(scale_weight|scale_input|absmax|quant_map|qweight|wscales)$|(^|\.)scaled_fp8$|\.quant_state\."
)
_UNET = "model.diffusion_model."
_CONV_IN = f"{_UNET}input_blocks.0.0.weight"
_TEXT_ENCODERS = {
    Architecture.SDXL: r"^conditioner\.embedders\.1\.model\.",
    Architecture.SDXL_REFINER: r"^conditioner\.embedders\.0\.model\.",
    Architecture.SD2: r"^cond_stage_model\.model\.transformer\.",
    Architecture.SD1: r"^cond_stage_model\.transformer\.",
}
_LATENT_CHANNELS = {5: "a depth model", 7: "an upscaling model", 8: "an editing (pix2pix) model"}


def identify(shapes: Shapes) -> Architecture:
    """Of a whole checkpoint. Raises `NotThis` for everything else, saying what it is."""
    _refuse_other_kinds(shapes)
    if _CONV_IN not in shapes:
        raise NotThis(_without_unet(shapes))
    found = next((name for name, pattern in _TEXT_ENCODERS.items() if _any(pattern, shapes)), None)
    if found is None:
        raise NotThis("it is a UNet without its text encoder; a whole checkpoint is needed")
    if not _any(r"^first_stage_model\.", shapes):
        raise NotThis("it has no VAE; a whole checkpoint is needed")
    _check_channels(shapes)
    _check_context(found, shapes)
    return found


def kind_of(shapes: Shapes) -> str | None:
    """What a file that is no checkpoint is, and where it belongs, in words; None if no rule knows."""
    found = next((kind for kind, pattern in _KINDS if _any(pattern, shapes)), None)
    if found or _CONV_IN in shapes:
        return found
    if _any(r"^(first_stage_model\.)?(encoder|decoder)\.(conv_in|mid)", shapes) and not _has_denoiser(shapes):
        return "a VAE; it belongs into VAE/"
    return None


def family_of(shapes: Shapes) -> str | None:
    """The name of a known family that this engine does not draw with, or None."""
    return next((name for name, pattern in _FAMILIES if _any(pattern, shapes)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What a file says of how it was trained; `prediction` is None where it says nothing."""

    prediction: Prediction | None
    zero_terminal_snr: bool


def marks_of(shapes: Shapes, metadata: Mapping[str, str]) -> Marks:
    """From tensors named `v_pred` and `ztsnr`, which community files carry, or from training metadata."""
    said = metadata.get("modelspec.prediction_type", "").lower()
    velocity = "v_pred" in shapes or said in {"v", "v_prediction"} or _true(metadata, "ss_v_parameterization")
    noise = said in {"e", "eps", "epsilon"}
    return Marks(
        prediction="v_prediction" if velocity else "epsilon" if noise else None,
        zero_terminal_snr="ztsnr" in shapes or _true(metadata, "ss_zero_terminal_snr"),
    )


def _true(metadata: Mapping[str, str], key: str) -> bool:
    return metadata.get(key, "").lower() == "true"


def _any(pattern: str, shapes: Shapes) -> bool:
    search = re.compile(pattern).search
    return any(search(name) for name in shapes)


def _refuse_other_kinds(shapes: Shapes) -> None:
    if kind := kind_of(shapes):
        raise NotThis(f"it is {kind}")
    if family := family_of(shapes):
        raise NotThis(f"it is {family}, which is not supported yet")
    if _any(_QUANTISED, shapes):
        raise NotThis("its weights are quantised, which is not supported yet; use an fp16 or fp32 file")


def _without_unet(shapes: Shapes) -> str:
    if _has_denoiser(shapes):
        return "it is a UNet in diffusers' layout alone; a whole checkpoint in one file is needed"
    if _any(r"(^|\.)text_model\.encoder\.layers\.|^encoder\.block\.\d", shapes):
        return "it is a text encoder; a whole checkpoint is needed"
    return "it is no kind of model this engine knows"


def _has_denoiser(shapes: Shapes) -> bool:
    return _any(r"^(unet\.)?down_blocks\.\d+\.(attentions|resnets)\.", shapes)


def _check_channels(shapes: Shapes) -> None:
    channels = shapes[_CONV_IN][1] if len(shapes[_CONV_IN]) == 4 else 0
    if channels not in {4, 9}:
        what = _LATENT_CHANNELS.get(channels, f"a UNet for {channels} channels")
        raise NotThis(f"it is {what}, which is not supported yet")


def _check_context(architecture: Architecture, shapes: Shapes) -> None:
    """The text encoders together must be as wide as what the UNet's cross-attention takes."""
    context = {shape[1] for name, shape in shapes.items() if _is_context(name, shape)}
    widths = [shape[1] for name, shape in shapes.items() if _is_token_table(name, shape)]
    if context != {sum(widths)}:
        raise NotThis(
            f"it is not {_article(architecture)} {architecture} checkpoint: its UNet listens to"
            f" {_listed(context)} values a token, its text encoder gives {sum(widths)}"
        )


def _is_context(name: str, shape: tuple[int, ...]) -> bool:
    return name.startswith(_UNET) and name.endswith("attn2.to_k.weight") and len(shape) == 2


def _is_token_table(name: str, shape: tuple[int, ...]) -> bool:
    return name.endswith("token_embedding.weight") and len(shape) == 2


def _listed(numbers: set[int]) -> str:
    return " and ".join(map(str, sorted(numbers))) or "no"


def _article(architecture: Architecture) -> str:
    return "an" if architecture.startswith("SD") else "a"
