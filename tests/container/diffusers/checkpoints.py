"""Tiny checkpoints with random weights in the layouts of real files; each takes a fraction of a second.

Every maker takes the path to write, `.safetensors` or `.ckpt` (nested in `state_dict`, as training tools
save), and returns it. The same seed gives the same file. Widths: text 32 (SDXL: 32 and 32), UNet
32-64-64(-64), VAE 32-32-32-32; they draw 64 pixels natively.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from safetensors.torch import save_file
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from container.diffusers_engine.ldm_names import open_clip_name, unet_name, vae_name

Tensors = dict[str, Tensor]
TEXT_WIDTH = 32
_CROSS, _PLAIN = "CrossAttnDownBlock2D", "DownBlock2D"
_UNETS: dict[str, dict[str, object]] = {
    "sd1": {
        "block_out_channels": [32, 64, 64, 64],
        "down_block_types": [_CROSS, _CROSS, _CROSS, _PLAIN],
        "up_block_types": ["UpBlock2D", *["CrossAttnUpBlock2D"] * 3],
        "cross_attention_dim": TEXT_WIDTH,
        "attention_head_dim": 8,
    },
    "sd2": {
        "block_out_channels": [32, 64, 64, 64],
        "down_block_types": [_CROSS, _CROSS, _CROSS, _PLAIN],
        "up_block_types": ["UpBlock2D", *["CrossAttnUpBlock2D"] * 3],
        "cross_attention_dim": TEXT_WIDTH,
        "attention_head_dim": [1, 1, 1, 1],
        "use_linear_projection": True,
    },
    "sdxl": {
        "block_out_channels": [32, 64, 64],
        "down_block_types": [_PLAIN, _CROSS, _CROSS],
        "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
        "cross_attention_dim": 2 * TEXT_WIDTH,
        "attention_head_dim": [1, 1, 1],
        "transformer_layers_per_block": [1, 1, 2],
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": TEXT_WIDTH + 6 * 256,
    },
}
_UNETS["sdxl_refiner"] = _UNETS["sdxl"] | {
    "cross_attention_dim": TEXT_WIDTH,
    "projection_class_embeddings_input_dim": TEXT_WIDTH + 5 * 256,
}
SHAPES = tuple(_UNETS)
"""What `checkpoint` can make."""


def checkpoint(
    path: Path,
    shape: str = "sd1",
    *,
    seed: int = 0,
    in_channels: int = 4,
    marks: Sequence[str] = (),
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """A whole checkpoint. `shape` is one of `SHAPES`; 9 `in_channels` make it an inpainting one.

    `marks` are the empty tensors community files carry: "v_pred", "ztsnr".
    """
    tensors = checkpoint_tensors(shape, seed=seed, in_channels=in_channels)
    return save(path, tensors | {mark: torch.empty(0) for mark in marks}, metadata)


def checkpoint_tensors(shape: str = "sd1", *, seed: int = 0, in_channels: int = 4) -> Tensors:
    """What `checkpoint` writes, for tests that change something first."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tensors = _under("model.diffusion_model.", _unet(shape, in_channels))
        tensors |= _under("first_stage_model.", vae_tensors(seed=None))
        tensors |= _text_encoders(shape)
    return {name: tensor.half().contiguous() for name, tensor in tensors.items()} | {
        "alphas_cumprod": torch.linspace(1, 0.005, 1000)  # a leftover of training that every real file has
    }


def vae(path: Path, *, seed: int = 1, prefix: str = "") -> Path:
    """An autoencoder alone, as VAE files are; some keep `first_stage_model.` as the prefix."""
    tensors = {name: tensor.half() for name, tensor in vae_tensors(seed=seed).items()}
    return save(path, _under(prefix, tensors))


def vae_tensors(*, seed: int | None) -> Tensors:
    """An autoencoder's tensors without a prefix; None draws on from the current random state."""
    if seed is not None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return vae_tensors(seed=None)
    model = AutoencoderKL(
        block_out_channels=[32, 32, 32, 32],
        down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4,
        layers_per_block=1,
        latent_channels=4,
    )
    tensors = {vae_name(name, levels=4): tensor for name, tensor in model.state_dict().items()}
    return {name: _as_convolution(name, tensor) for name, tensor in tensors.items()}


def controlnet(path: Path, shape: str = "sd1", *, seed: int = 2, layout: str = "original") -> Path:
    """For a checkpoint of that shape; `layout` is "original", "bare" (without prefix) or "diffusers"."""
    up_attention = _up_attention(shape)
    names = [key for key in _UNETS[shape] if key != "up_block_types"]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = ControlNetModel(layers_per_block=1, **{key: _UNETS[shape][key] for key in names})
        for zero in (*model.controlnet_down_blocks, model.controlnet_mid_block):
            torch.nn.init.normal_(zero.weight, std=0.05)  # untrained ones are zero and would steer nothing
    tensors = {name: tensor.half() for name, tensor in model.state_dict().items()}
    if layout == "diffusers":
        return save(path, tensors)
    ldm = {unet_name(name, layers=1, up_attention=up_attention): tensor for name, tensor in tensors.items()}
    return save(path, _under("control_model." if layout == "original" else "", ldm))


def save(path: Path, tensors: Tensors, metadata: Mapping[str, str] | None = None) -> Path:
    """Write them in the format the ending says, making folders as needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".safetensors":
        whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
        save_file(whole, path, {"format": "pt", **(metadata or {})})
    else:
        torch.save({"state_dict": tensors, "global_step": 1}, path)
    return path


def _unet(shape: str, in_channels: int) -> Tensors:
    model = UNet2DConditionModel(layers_per_block=1, in_channels=in_channels, **_UNETS[shape])
    up_attention = _up_attention(shape)
    return {unet_name(n, layers=1, up_attention=up_attention): t for n, t in model.state_dict().items()}


def _up_attention(shape: str) -> list[bool]:
    kinds = _UNETS[shape]["up_block_types"]
    assert isinstance(kinds, list)
    return [str(kind).startswith("CrossAttn") for kind in kinds]


def _text_encoders(shape: str) -> Tensors:
    match shape:
        case "sd1":
            return _under("cond_stage_model.transformer.text_model.", _clip())
        case "sd2":
            return _under("cond_stage_model.model.", _open_clip())
        case "sdxl_refiner":
            return _under("conditioner.embedders.0.model.", _open_clip())
    first = _under("conditioner.embedders.0.transformer.text_model.", _clip())
    return first | _under("conditioner.embedders.1.model.", _open_clip())


def _text_config(**more: object) -> CLIPTextConfig:
    sizes = {"hidden_size": TEXT_WIDTH, "intermediate_size": 64, "num_hidden_layers": 3}
    return CLIPTextConfig(vocab_size=49408, num_attention_heads=1, **sizes, **more)


def _clip() -> Tensors:
    state = CLIPTextModel(_text_config()).state_dict()
    return {name.removeprefix("text_model."): tensor for name, tensor in state.items()}


def _open_clip() -> Tensors:
    """OpenCLIP stacks query, key and value, and multiplies by its projection from the other side."""
    model = CLIPTextModelWithProjection(_text_config(projection_dim=TEXT_WIDTH, hidden_act="gelu"))
    tensors: Tensors = {"logit_scale": torch.tensor(1.0)}
    stacked: dict[str, dict[int, Tensor]] = {}
    for path, tensor in model.state_dict().items():
        name, third = open_clip_name(path.removeprefix("text_model."))
        if third is None:
            tensors[name] = tensor.T if name == "text_projection" else tensor
        else:
            stacked.setdefault(name, {})[third] = tensor
    return tensors | {name: torch.cat([thirds[k] for k in range(3)]) for name, thirds in stacked.items()}


def _as_convolution(name: str, tensor: Tensor) -> Tensor:
    """The original autoencoder writes its attention as 1x1 convolutions."""
    is_attention = re.search(r"\.attn_1\.(q|k|v|proj_out)\.weight$", name)
    return tensor[:, :, None, None] if is_attention else tensor


def _under(prefix: str, tensors: Tensors) -> Tensors:
    return {f"{prefix}{name}": tensor for name, tensor in tensors.items()}


KINDS_OF_LORA = ("lora", "locon", "tucker", "loha", "lokr", "lokr-factored")


def lora(
    path: Path,
    shape: str = "sd1",
    *,
    kind: str = "lora",
    naming: str = "kohya",
    parts: Sequence[str] = ("unet", "text_encoder", "text_encoder_2"),
    rank: int = 2,
    alpha: float = 1.0,
    seed: int = 3,
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """A LoRA for a checkpoint of that shape. `kind` is one of `KINDS_OF_LORA`.

    `naming`: "kohya", "original" (kohya's with SDXL's own block names), "diffusers" (which has no alpha).
    """
    tensors: Tensors = {}
    generator = torch.Generator().manual_seed(seed)
    for network, module, weight in _lora_modules(shape, convolutions=kind in {"locon", "tucker"}):
        if network not in parts:
            continue
        stem = _lora_name(shape, network, module, naming)
        factors = _lora_factors(kind, weight, rank, generator)
        if naming == "diffusers":
            names = {"lora_down.weight": "lora_A.weight", "lora_up.weight": "lora_B.weight"}
            tensors |= {f"{stem}.{names[end]}": factor for end, factor in factors.items()}
        else:
            tensors |= {f"{stem}.{end}": factor for end, factor in factors.items()}
            tensors[f"{stem}.alpha"] = torch.tensor(alpha)
    return save(path, tensors, metadata)


def embedding(path: Path, *, vectors: int = 2, widths: Sequence[int] = (TEXT_WIDTH,), seed: int = 4) -> Path:
    """A textual inversion: two `widths` for SDXL's two text encoders; `.pt` is webui's form."""
    generator = torch.Generator().manual_seed(seed)
    made = [torch.randn((vectors, width), generator=generator) for width in widths]
    if len(made) == 2:
        return save(path, {"clip_l": made[0], "clip_g": made[1]})
    if path.suffix == ".safetensors":
        return save(path, {"emb_params": made[0]})
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"string_to_token": {"*": 265}, "string_to_param": {"*": made[0]}, "name": path.stem}, path)
    return path


def _lora_modules(shape: str, *, convolutions: bool) -> list[tuple[str, str, tuple[int, ...]]]:
    """Network, module path and shape of the weight."""
    with torch.device("meta"):
        unet = UNet2DConditionModel(layers_per_block=1, **_UNETS[shape])
        text = CLIPTextModel(_text_config())
    wanted = re.compile(
        r"(to_[qkv]|to_out\.0|proj_in|ff\.net\.2)$" + (r"|conv1$|conv_in$" if convolutions else "")
    )
    found = [("unet", path, module) for path, module in unet.named_modules() if wanted.search(path)]
    layers = re.compile(r"(?:text_model\.)?(encoder\.layers\.[01]\.(self_attn\.[qkv]_proj|mlp\.fc1))$")
    texts = [(match[1], module) for path, module in text.named_modules() if (match := layers.match(path))]
    for network in ("text_encoder", "text_encoder_2")[: 2 if shape == "sdxl" else 1]:
        found += [(network, path, module) for path, module in texts]
    return [(network, path, tuple(module.weight.shape)) for network, path, module in found]


def _lora_name(shape: str, network: str, module: str, naming: str) -> str:
    if naming == "diffusers":
        return f"{network}.{module}" if network == "unet" else f"{network}.text_model.{module}"
    if network != "unet":
        kohya = "te" if shape != "sdxl" else "te1" if network == "text_encoder" else "te2"
        return f"lora_{kohya}_text_model_{module.replace('.', '_')}"
    if naming == "original":
        module = unet_name(module, layers=1, up_attention=_up_attention(shape))
    return f"lora_unet_{module.replace('.', '_')}"


def _lora_factors(kind: str, weight: tuple[int, ...], rank: int, generator: torch.Generator) -> Tensors:
    def random(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator) * 0.2

    out, inner, kernel = weight[0], weight[1], weight[2:]
    spatial = torch.Size(kernel).numel()
    match kind:
        case "tucker" if kernel and spatial > 1:
            ones = (1,) * len(kernel)
            return {
                "lora_down.weight": random(rank, inner, *ones),
                "lora_mid.weight": random(rank, rank, *kernel),
                "lora_up.weight": random(out, rank, *ones),
            }
        case "loha":
            return {
                "hada_w1_a": random(out, rank),
                "hada_w1_b": random(rank, inner * spatial),
                "hada_w2_a": random(out, rank),
                "hada_w2_b": random(rank, inner * spatial),
            }
        case "lokr":
            return {"lokr_w1": random(4, 4), "lokr_w2": random(out // 4, inner // 4, *kernel)}
        case "lokr-factored":
            return {
                "lokr_w1": random(4, 4),
                "lokr_w2_a": random(out // 4, rank),
                "lokr_w2_b": random(rank, inner // 4 * spatial),
            }
    up = (out, rank, *(1,) * len(kernel))
    return {"lora_down.weight": random(rank, inner, *kernel), "lora_up.weight": random(*up)}
