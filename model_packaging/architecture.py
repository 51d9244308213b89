"""What a file is, told from the names and shapes of its tensors. What no rule knows is unknown.

First the kind, from parts that only one kind has; then the architecture, within that kind. Rules name the
parts that the published layouts have (LDM, diffusers, kohya, original repositories); numbers are widths
from their configurations: text context 768 SD1, 1024 SD2, 2048 SDXL, 1280 its refiner.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from model_packaging.kinds import Architecture, Kind, Prediction
from model_packaging.tensors import Tensors

A, K = Architecture, Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """`variant`: "" for the plain model, else "inpainting", "edit", "depth", "fill" or "schnell"."""

    kind: Kind
    architecture: Architecture
    variant: str
    prediction: Prediction
    zero_terminal_snr: bool
    notes: tuple[str, ...]


def identify(tensors: Tensors, metadata: Mapping[str, str]) -> Identity:
    """From a header's tensors; `metadata` only adds training marks and, for a LoRA, what the shapes leave
    open.
    """
    kind = _kind(tensors)
    architecture, notes = _architecture(kind, tensors, metadata)
    return Identity(
        kind=kind,
        architecture=architecture,
        variant=_variant(architecture, tensors) if kind in _DRAWING else "",
        prediction=_prediction(kind, architecture, tensors, metadata),
        zero_terminal_snr="ztsnr" in tensors or _is_true(metadata.get("ss_zero_terminal_snr")),
        notes=(*notes, *_quantisation(tensors), *_missing_parts(kind, tensors)),
    )


def _kind(tensors: Tensors) -> Kind:
    return next((kind for kind, fits in _KINDS if fits(tensors)), K.UNKNOWN)


def _has(*parts: str) -> Callable[[Tensors], bool]:
    """Whether some tensor's name has one of these regular expressions in it."""
    pattern = re.compile("|".join(parts))
    return lambda tensors: any(map(pattern.search, tensors))


def _is_embedding(tensors: Tensors) -> bool:
    """Webui's `emb_params` or `string_to_param`, SDXL's pair, or diffusers' one vector under the token's
    name.
    """
    if not tensors or len(tensors) > 8:
        return False
    if "emb_params" in tensors or any(name.startswith("string_to_param.") for name in tensors):
        return True
    if {"clip_g", "clip_l"} <= set(tensors):
        return True
    [tensor] = list(tensors.values()) if len(tensors) == 1 else [None]
    return tensor is not None and _is_vectors(tensor.shape)


def _is_vectors(shape: tuple[int, ...]) -> bool:
    """One vector, or no more of them than a prompt has places."""
    return len(shape) in {1, 2} and shape[-1] in {768, 1024, 1280} and (len(shape) == 1 or shape[0] <= 77)


_has_denoiser = _has(
    r"^model\.diffusion_model\.",
    r"^(unet\.)?(down_blocks\.\d+\.(attentions|resnets)|input_blocks\.\d+)\.",
    r"(^|\.)(joint_blocks|double_blocks|double_layers|double_stream_blocks|transformer_blocks)\.\d+\.",
    r"(^|\.)(noise_refiner|context_refiner)\.\d+\.",
    r"^blocks\.\d+\.(cross_attn|self_attn|attn[12])\.",
    r"^clip_txt_mapper\.",
)
_has_text_encoder = _has(r"^(cond_stage_model|conditioner\.embedders|text_encoders?(_\d)?)\.")
_has_vae = _has(r"^(first_stage_model|vae)\.")
_is_bare_vae = _has(r"^(first_stage_model\.)?(encoder|decoder)\.(conv_in|conv1)\.", r"^decoder\.project_in\.")
_is_text_encoder = _has(
    r"^(transformer\.)?text_model\.encoder\.layers\.\d+\.",
    r"^encoder\.block\.\d+\.layer\.",
    r"^model\.(language_model\.)?layers\.\d+\.self_attn\.",
)


def _is_checkpoint(tensors: Tensors) -> bool:
    return _has_denoiser(tensors) and (_has_text_encoder(tensors) or _has_vae(tensors))


def _is_compact_upscaler(tensors: Tensors) -> bool:
    """Real-ESRGAN's small network: nothing but numbered convolutions and PReLU slopes."""
    first = tensors.get("body.0.weight")
    return (
        first is not None and first.shape[1:2] == (3,) and all(name.startswith("body.") for name in tensors)
    )


_KINDS: tuple[tuple[Kind, Callable[[Tensors], bool]], ...] = (
    (
        K.CONTROLNET,
        _has(
            r"^control_model\.",
            r"(^|\.)(controlnet_cond_embedding|controlnet_down_blocks|controlnet_blocks|controlnet_x_embedder)\.",
            r"^lora_controlnet$",
            r"^(zero_convs|input_hint_block|controlnet_mid_block)\.",
            r"^control_(layers|all_x_embedder)\.",
            r"^(adapter\.)?body\.\d+\.(resnets\.\d+\.)?block1\.",
        ),
    ),
    (
        K.LORA,
        _has(
            r"(^|[._])lora[._](up|down|mid|A|B)([._]|$)",
            r"\.(hada_w[12]|hada_t[12]|lokr_w[12]|lokr_t2|oft_blocks|oft_diag|dora_scale|glora|ia3|on_input)",
            r"^(lora|lycoris)_(unet|te\d?|prior|transformer)_",
        ),
    ),
    (K.EMBEDDING, _is_embedding),
    (
        K.UPSCALER,
        _has(
            r"^(model\.)?1\.sub\.\d+\.RDB\d\.conv1\.",
            r"^(body|RRDB_trunk)\.\d+\.(rdb1|RDB1)\.conv1\.",
            r"^layers\.\d+\.(residual_group\.)?(blocks|overlap_attn)\.",
            r"^upsampl(er|e)\.\d+\.",
        ),
    ),
    (K.UPSCALER, _is_compact_upscaler),
    (K.CHECKPOINT, _is_checkpoint),
    (K.VAE, lambda tensors: _is_bare_vae(tensors) and not _has_denoiser(tensors)),
    (K.DENOISER, _has_denoiser),
    (K.TEXT_ENCODER, _is_text_encoder),
)
_DRAWING = {K.CHECKPOINT, K.DENOISER, K.CONTROLNET}


def _architecture(
    kind: Kind, tensors: Tensors, metadata: Mapping[str, str]
) -> tuple[Architecture, tuple[str, ...]]:
    match kind:
        case K.CHECKPOINT | K.DENOISER | K.CONTROLNET:
            return _by_layout(tensors), ()
        case K.LORA:
            return _of_lora(tensors, metadata)
        case K.EMBEDDING:
            return _of_embedding(tensors), ()
        case K.VAE:
            return _of_vae(tensors)
        case K.UPSCALER:
            return next((name for name, fits in _UPSCALERS if fits(tensors)), A.ESRGAN), ()
        case _:
            return A.UNKNOWN, ()


_UPSCALERS: tuple[tuple[Architecture, Callable[[Tensors], bool]], ...] = (
    (A.HAT, _has(r"overlap_attn")),
    (A.DAT, _has(r"^layers\.\d+\.blocks\.\d+\.attn\.attns\.")),
    (A.SWINIR, _has(r"^layers\.\d+\.residual_group\.blocks\.")),
)

# Dots or underscores between the parts of a name: kohya's LoRA names have underscores throughout.
_PARTS: tuple[tuple[Architecture, Callable[[Tensors], bool]], ...] = (
    (A.FLUX2, _has(r"(^|[._])(single_stream_modulation|double_stream_modulation_img)[._]lin")),
    (A.CHROMA, _has(r"(^|[._])distilled_guidance_layer[._]")),
    (A.HIDREAM, _has(r"(^|[._])double_stream_blocks[._]\d+[._]")),
    (
        A.UNKNOWN,
        _has(r"(^|[._])(individual_)?token_refiner[._]"),
    ),  # HunyuanVideo, whose blocks are named as Flux's
    (
        A.AURAFLOW,
        _has(r"(^|[._])double_layers[._]\d+[._]attn[._]w[12]q", r"(^|[._])joint_transformer_blocks[._]\d"),
    ),
    (
        A.FLUX,
        _has(
            r"(^|\.)double_blocks\.\d+\.img_attn\.",
            r"^lora_unet_double_blocks_\d+_img_attn",
            r"(^|[._])single_transformer_blocks[._]\d+[._]",
        ),
    ),
    (A.SD3, _has(r"(^|[._])joint_blocks[._]\d+[._]")),
    (A.QWEN_IMAGE, _has(r"(^|[._])transformer_blocks[._]\d+[._](img|txt)_(mlp|mod)[._]")),
    (
        A.SD3,
        _has(r"(^|[._])transformer_blocks[._]\d+[._](attn2?[._]add_[qkv]_proj|ff_context|norm1_context)[._]"),
    ),
    (A.WAN, _has(r"(^|[._])blocks[._]\d+[._]self_attn[._][qkvo]([._]|$)", r"(^|\.)head\.modulation$")),
    (A.HUNYUAN_DIT, _has(r"^mlp_t5\.\d\.", r"^(model\.)?pooler\.positional_embedding$")),
    (A.SANA, _has(r"^(model\.)?blocks\.\d+\.cross_attn\.q_linear\.weight$")),
    (A.CASCADE, _has(r"^(model\.diffusion_model\.)?(clip_txt_mapper\.|down_blocks\.1\.0\.channelwise\.)")),
)


def _by_layout(tensors: Tensors) -> Architecture:
    found = _by_parts(tensors)
    return _by_context(tensors) if found is None else found


def _by_parts(tensors: Tensors) -> Architecture | None:
    """Transformers: a part of a name that only one of them has. PixArt and Sana share names: depthwise
    tells.
    """
    found = next((name for name, fits in _PARTS if fits(tensors)), None) or _single_stream(tensors)
    if found is A.SANA and not _has(r"mlp\.(depth|inverted)_conv")(tensors):
        return A.PIXART
    return found


def _single_stream(tensors: Tensors) -> Architecture | None:
    """Lumina 2 and Z-Image share all names; the width of the caption's vectors tells (2304 Gemma, 2560
    Qwen).
    """
    if not _has(r"(^|[._])(noise_refiner|context_refiner)[._]\d")(tensors):
        return None
    widths = {
        tensor.shape[0]
        for name, tensor in tensors.items()
        if name.endswith("cap_embedder.0.weight") and tensor.shape
    }
    return {2304: A.LUMINA2, 2560: A.Z_IMAGE}.get(min(widths, default=0))


_CONTEXTS = {768: A.SD1, 1024: A.SD2, 2048: A.SDXL, 1280: A.SDXL_REFINER}
_CROSS_ATTENTION = re.compile(
    r"(input_blocks|output_blocks|middle_block|down_blocks|up_blocks|mid_block)[._].*"
    r"attn2[._]to_k[._](weight|lora[._](down|A)([._]\w+)*[._]weight|hada_w[12]_b|down\.weight)$"
)


def _by_context(tensors: Tensors) -> Architecture:
    """UNets: the width of the text vectors that every cross-attention takes. Two widths fit no UNet."""
    widths = {
        tensor.shape[-1] for name, tensor in tensors.items() if tensor.shape and _CROSS_ATTENTION.search(name)
    }
    return _CONTEXTS.get(widths.pop(), A.UNKNOWN) if len(widths) == 1 else A.UNKNOWN


_STATED = (
    (re.compile(r"xl|sdxl|pony|illustrious|noob", re.IGNORECASE), A.SDXL),
    (re.compile(r"flux", re.IGNORECASE), A.FLUX),
    (re.compile(r"sd3|stable-diffusion-v?3|stable-diffusion-3", re.IGNORECASE), A.SD3),
    (re.compile(r"(sd|stable-diffusion)[-_ ]?v?2", re.IGNORECASE), A.SD2),
    (re.compile(r"(sd|stable-diffusion)[-_ ]?v?1", re.IGNORECASE), A.SD1),
)
_STATED_FIELDS = ("modelspec.architecture", "ss_base_model_version")


def _of_lora(tensors: Tensors, metadata: Mapping[str, str]) -> tuple[Architecture, tuple[str, ...]]:
    found = _by_layout(tensors)
    if found is A.UNKNOWN:
        found = _by_text_encoders(tensors)
    if found is not A.UNKNOWN:
        return found, ()
    stated = " ".join(metadata.get(field, "") for field in _STATED_FIELDS)
    told = next((name for pattern, name in _STATED if pattern.search(stated)), A.UNKNOWN)
    return told, () if told is A.UNKNOWN else ("the architecture is what the file's metadata states",)


def _by_text_encoders(tensors: Tensors) -> Architecture:
    """A LoRA that leaves cross-attention alone: SDXL numbers its text encoders; SD1 and SD2 differ in
    width.
    """
    if _has(r"^lora_te2_", r"^text_encoder_2\.")(tensors):
        return A.SDXL
    widths = {
        tensor.shape[-1]
        for name, tensor in tensors.items()
        if tensor.shape and re.search(r"^(lora_te_|text_encoder\.).*self_attn[._]q_proj.*(down|\bA\b)", name)
    }
    return {768: A.SD1, 1024: A.SD2}.get(widths.pop(), A.UNKNOWN) if len(widths) == 1 else A.UNKNOWN


def _of_embedding(tensors: Tensors) -> Architecture:
    if {"clip_g", "clip_l"} <= set(tensors):
        return A.SDXL
    widths = {tensor.shape[-1] for tensor in tensors.values() if tensor.shape}
    return {768: A.SD1, 1024: A.SD2}.get(widths.pop(), A.UNKNOWN) if len(widths) == 1 else A.UNKNOWN


def _of_vae(tensors: Tensors) -> tuple[Architecture, tuple[str, ...]]:
    """Families share VAE layouts, so most can only be narrowed down."""
    if _has(r"^decoder\.middle\.0\.residual\.0\.gamma$")(tensors):
        return A.UNKNOWN, ("a VAE of Wan or Qwen-Image; their layouts are the same",)
    channels = {
        tensor.shape[1]
        for name, tensor in tensors.items()
        if name.removeprefix("first_stage_model.") == "decoder.conv_in.weight" and len(tensor.shape) == 4
    }
    note = _LATENTS.get(channels.pop() if len(channels) == 1 else 0)
    return (A.FLUX2, ()) if note == "Flux.2" else (A.UNKNOWN, (f"a VAE of {note}",) if note else ())


_LATENTS = {
    4: "SD1, SD2 or SDXL; their layouts are the same",
    16: "SD3 or Flux; their layouts are the same",
    32: "Flux.2",
}
_FIRST_CONVOLUTION = re.compile(r"(^|\.)(input_blocks\.0\.0|conv_in)\.weight$")
_UNET_INPUTS = {5: "depth", 8: "edit", 9: "inpainting"}
_FLUX_INPUTS = {384: "fill", 128: "control"}
_UNETS = {A.SD1, A.SD2, A.SDXL}
_FLOWS = set(A) - _UNETS - {A.SDXL_REFINER, A.UNKNOWN, A.CASCADE, A.PIXART, A.HUNYUAN_DIT}
_FLOWS -= {A.ESRGAN, A.SWINIR, A.HAT, A.DAT}


def _variant(architecture: Architecture, tensors: Tensors) -> str:
    """The plain UNet takes four channels; what takes more draws over a picture it is given."""
    if architecture in _UNETS:
        return _UNET_INPUTS.get(_inputs(tensors, _FIRST_CONVOLUTION), "")
    if architecture is not A.FLUX:
        return ""
    if given := _FLUX_INPUTS.get(_inputs(tensors, re.compile(r"(^|\.)(img_in|x_embedder)\.weight$"))):
        return given
    return "" if _has(r"(^|\.)(guidance_in|guidance_embedder)\.")(tensors) else "schnell"


def _inputs(tensors: Tensors, pattern: re.Pattern[str]) -> int:
    """Channels into the denoiser's first layer; encoder and decoder of a VAE have a first layer too."""
    found = {
        tensor.shape[1]
        for name, tensor in tensors.items()
        if len(tensor.shape) > 1 and pattern.search(name) and not re.search(r"(en|de)coder\.", name)
    }
    return found.pop() if len(found) == 1 else 0


def _prediction(
    kind: Kind, architecture: Architecture, tensors: Tensors, metadata: Mapping[str, str]
) -> Prediction:
    """Marks first: tensors named `v_pred` or `edm_vpred…`, modelspec's and kohya's fields."""
    stated = metadata.get("modelspec.prediction_type", "").lower()
    if (
        "v_pred" in tensors
        or stated in {"v", "v_prediction"}
        or _is_true(metadata.get("ss_v_parameterization"))
    ):
        return Prediction.V
    if any(name.startswith("edm_vpred") for name in tensors):
        return Prediction.V
    if kind in {K.VAE, K.EMBEDDING, K.UPSCALER, K.TEXT_ENCODER, K.UNKNOWN}:
        return Prediction.UNKNOWN
    if architecture in _FLOWS:
        return Prediction.FLOW
    return Prediction.EPSILON if architecture in {A.SD1, A.SDXL, A.SDXL_REFINER} else Prediction.UNKNOWN


def _is_true(text: str | None) -> bool:
    return (text or "").lower() in {"true", "1"}


_QUANTISED = (
    (_has(r"\.quant_state\.", r"bitsandbytes__"), "nf4 (bitsandbytes)"),
    (_has(r"(^|\.)scaled_fp8$", r"\.(scale_weight|weight_scale)$"), "scaled fp8"),
    (_has(r"\.(qweight|wscales)$"), "Nunchaku or GPTQ"),
)


def _quantisation(tensors: Tensors) -> tuple[str, ...]:
    return tuple(
        f"quantised as {name}: the inference server cannot load it; take the fp16 or bf16 file"
        for fits, name in _QUANTISED
        if fits(tensors)
    )


def _missing_parts(kind: Kind, tensors: Tensors) -> tuple[str, ...]:
    if kind is K.DENOISER:
        return ("the denoiser alone: text encoder and VAE must come from elsewhere",)
    if kind is not K.CHECKPOINT:
        return ()
    return tuple(f"it holds no {part}" for part, has in _PARTS_OF_A_CHECKPOINT if not has(tensors))


_PARTS_OF_A_CHECKPOINT = (("text encoder", _has_text_encoder), ("VAE", _has_vae))
