"""The words for what a model file is. Their values are what `--json` and the catalogue hold."""

from enum import StrEnum


class Kind(StrEnum):
    CHECKPOINT = "checkpoint"
    LORA = "lora"
    CONTROLNET = "controlnet"
    VAE = "vae"
    EMBEDDING = "embedding"
    UPSCALER = "upscaler"
    DENOISER = "denoiser"  # the UNet or transformer alone: text encoder and VAE come from elsewhere
    TEXT_ENCODER = "text_encoder"
    UNKNOWN = "unknown"


class Architecture(StrEnum):
    """What a file draws with, or what it was made for. A VAE's tells whose latents it decodes."""

    SD1 = "sd1"
    SD2 = "sd2"
    SDXL = "sdxl"
    SDXL_REFINER = "sdxl_refiner"
    SD3 = "sd3"
    FLUX = "flux"
    FLUX2 = "flux2"
    CHROMA = "chroma"
    QWEN_IMAGE = "qwen_image"
    Z_IMAGE = "z_image"
    LUMINA2 = "lumina2"
    AURAFLOW = "auraflow"
    PIXART = "pixart"
    SANA = "sana"
    HUNYUAN_DIT = "hunyuan_dit"
    HIDREAM = "hidream"
    WAN = "wan"
    CASCADE = "cascade"
    ESRGAN = "esrgan"
    SWINIR = "swinir"
    HAT = "hat"
    DAT = "dat"
    UNKNOWN = "unknown"


class Prediction(StrEnum):
    """What the network predicts. A file without a mark is `EPSILON` for SD1 and SDXL, as webui reads it."""

    EPSILON = "epsilon"
    V = "v"
    FLOW = "flow"
    UNKNOWN = "unknown"


class Format(StrEnum):
    SAFETENSORS = "safetensors"
    TORCH_ZIP = "torch_zip"
    TORCH_LEGACY = "torch_legacy"
