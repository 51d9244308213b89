"""Opening a checkpoint: what it is, its networks, and how it was trained."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from container.diffusers_engine import bundled
from container.diffusers_engine.architecture import NotThis, identify, marks_of
from container.diffusers_engine.errors import UnusableFile
from container.diffusers_engine.loaded_model import Architecture, LoadedModel, Prediction
from container.diffusers_engine.single_file import (
    Network,
    Part,
    Placement,
    load_text_encoder,
    load_unet,
    load_vae,
)
from container.diffusers_engine.tensor_files import TensorFile, open_tensors
from container.serving.model_folder import ModelFile

TIMESTEPS = 1000
_NEARLY_NO_SIGNAL = 2.0**-24
"""What stands for a signal of 0, which would be an infinite noise level."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A loaded model and the networks behind it: "unet", "vae", "text_encoder", perhaps "text_encoder_2".

    `facts`: what `bundled.facts` says of it.
    """

    model: LoadedModel
    networks: Mapping[str, Network]
    facts: Mapping[str, Any]

    @property
    def bytes(self) -> int:
        return sum(network.bytes for network in self.networks.values())


def open_checkpoint(
    file: ModelFile, *, allow_pickle: bool, device: torch.device, dtype: torch.dtype
) -> Checkpoint:
    """Raises `UnusableFile`, before it allocates anything, for what this engine cannot draw with."""
    return load_checkpoint(file, open_tensors(file, allow_pickle=allow_pickle), device=device, dtype=dtype)


def load_checkpoint(
    file: ModelFile, tensors: TensorFile, *, device: torch.device, dtype: torch.dtype
) -> Checkpoint:
    """`open_checkpoint` of a file that is open already."""
    try:
        return _load(file, tensors, device, dtype)
    except NotThis as reason:
        raise UnusableFile(file.model.name, str(reason)) from reason


def bytes_in_memory(tensors: TensorFile, dtype: torch.dtype) -> int:
    """What a checkpoint will take once loaded, estimated from its header."""
    numbers = sum(math.prod(shape) for name, shape in tensors.shapes.items() if _is_drawn_with(name))
    return numbers * int(dtype.itemsize)


def _is_drawn_with(name: str) -> bool:
    return name.startswith(
        ("model.diffusion_model.", "first_stage_model.", "cond_stage_model.", "conditioner.")
    )


def _load(file: ModelFile, tensors: TensorFile, device: torch.device, dtype: torch.dtype) -> Checkpoint:
    architecture = identify(tensors.shapes)
    try:
        return _load_as(architecture, file, tensors, device, dtype)
    except NotThis as reason:
        article = "an" if architecture.startswith("SD") else "a"
        raise NotThis(f"it is not {article} {architecture} checkpoint: {reason}") from reason


def _load_as(
    architecture: Architecture, file: ModelFile, tensors: TensorFile, device: torch.device, dtype: torch.dtype
) -> Checkpoint:
    known = bundled.facts(architecture, tensors.shapes)
    placement = Placement(device=device, dtype=dtype, channels_last=device.type == "cuda")
    vae_placement = Placement(
        device=device, dtype=vae_dtype(architecture, dtype), channels_last=placement.channels_last
    )
    networks = {
        "unet": load_unet(Part(file=tensors, prefix="model.diffusion_model."), known["unet"], placement),
        "vae": load_vae(
            Part(file=tensors, prefix="first_stage_model."), known["latent_scaling"], vae_placement
        ),
        **_text_encoders(tensors, known, placement),
    }
    model = _model(architecture, file, tensors, networks, known)
    return Checkpoint(model=model, networks=networks, facts=known)


def _text_encoders(tensors: TensorFile, known: Mapping[str, Any], placement: Placement) -> dict[str, Network]:
    return {
        f"text_encoder{'' if index == 0 else '_2'}": load_text_encoder(
            _text_part(tensors, facts), facts, placement
        )
        for index, facts in enumerate(known["text_encoders"])
    }


def _text_part(tensors: TensorFile, facts: Mapping[str, Any]) -> Part:
    """Some early checkpoints leave "text_model." out of the names."""
    prefix = facts["prefix"]
    if not any(name.startswith(prefix) for name in tensors.shapes):
        prefix = prefix.removesuffix("text_model.")
    return Part(file=tensors, prefix=prefix)


def _model(
    architecture: Architecture,
    file: ModelFile,
    tensors: TensorFile,
    networks: Mapping[str, Network],
    known: Mapping[str, Any],
) -> LoadedModel:
    unet, vae = networks["unet"], networks["vae"]
    marks = marks_of(tensors.shapes, tensors.metadata)
    prediction = marks.prediction or _prediction(architecture, unet)
    return LoadedModel(
        architecture=architecture,
        unet=unet.module,
        vae=vae.module,
        text_encoders=tuple(networks[name].module for name in networks if name.startswith("text_encoder")),
        tokenizers=bundled.tokenizers(facts["pad"] for facts in known["text_encoders"]),
        prediction_type=prediction,
        zero_terminal_snr=marks.zero_terminal_snr,
        alphas_cumprod=alphas_cumprod(zero_terminal_snr=marks.zero_terminal_snr),
        device=unet.placement.device,
        dtype=unet.placement.dtype,
        vae_dtype=vae.placement.dtype,
        vae_scale_factor=2 ** (len(vae.module.config.block_out_channels) - 1),
        latent_scaling=known["latent_scaling"],
        native_side=bundled.native_side(
            unet.module.config,
            known["native_side"],
            velocity=prediction == "v_prediction",
            architecture=architecture,
        ),
        name=file.model.name,
        hash=file.model.hash,
    )


def vae_dtype(architecture: Architecture, dtype: torch.dtype) -> torch.dtype:
    """SDXL's VAE overflows in float16 (its published configuration has `force_upcast`), so it stays wider."""
    wide = architecture in {Architecture.SDXL, Architecture.SDXL_REFINER} and dtype is torch.float16
    return torch.float32 if wide else dtype


def alphas_cumprod(*, zero_terminal_snr: bool) -> torch.Tensor:
    """Stable Diffusion's schedule: signal power left at each timestep, float32.

    With zero terminal SNR it is shifted and scaled so that the last is (nearly) 0: Lin et al. 2023,
    algorithm 1.
    """
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, TIMESTEPS, dtype=torch.float64) ** 2
    power = torch.cumprod(1 - betas, dim=0)
    if zero_terminal_snr:
        roots = power.sqrt()
        power = ((roots - roots[-1]) * roots[0] / (roots[0] - roots[-1])) ** 2
        power = power.clamp_min(_NEARLY_NO_SIGNAL)
    return power.float()


def _prediction(architecture: Architecture, unet: Network) -> Prediction:
    """Of an unmarked file. Stable Diffusion 2 comes with both, in files that differ in values only."""
    if architecture is not Architecture.SD2:
        return "epsilon"
    return "epsilon" if finds_noise(unet) else "v_prediction"


def finds_noise(unet: Network) -> bool:
    """Whether a UNet, shown nothing but noise, answers with that noise: only epsilon-prediction does.

    Velocity at the noisiest timestep is nearly the negative picture, which has little to do with the noise.
    """
    config, placement = unet.module.config, unet.placement
    drawn = torch.Generator().manual_seed(0)
    noise = torch.randn((1, config.in_channels, 8, 8), generator=drawn)
    context = torch.zeros((1, 77, config.cross_attention_dim))
    with torch.inference_mode():
        answer = unet.module(placement.place(noise), TIMESTEPS - 1, placement.place(context)).sample
    pair = torch.stack([answer.float().cpu().flatten(), noise[:, : answer.shape[1]].flatten()])
    return bool(torch.corrcoef(pair)[0, 1] > 0.5)
