"""What the server asks of an engine: the whole seam between HTTP and drawing.

The server calls `setup`, `generate`, `generate_together`, `upscale` and `interrogate` from one drawing
thread, never two calls at once; `info`, `catalogue` and `joins` may be called from any thread once `setup`
has returned. An engine knows nothing of HTTP, JSON, base64 or PNG.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
"""RGB, shape (height, width, 3)."""

OnStep = Callable[[int, int], None]
"""Called after each step with (steps done, steps in all), 1 <= done <= all. May raise `Cancelled`.

"In all" is the engine's own count: a second pass or a weak redrawing makes it another than the request's.
"""


class Feature(StrEnum):
    """What an engine may be able to do beyond text-to-image and image-to-image.

    The server refuses or names as without effect what asks for a feature that is not in the catalogue.
    """

    CLIP_SKIP = "clip_skip"
    CONTROLNET = "controlnet"
    ETA = "eta"
    HIRES = "hires"
    INPAINT = "inpaint"
    RESIZE_MODE = "resize_mode"
    TILING = "tiling"
    VAE = "vae"


class Fill(StrEnum):
    """What stands under an inpainting mask before it is drawn: webui's `inpainting_fill` 0 to 3, in order."""

    FILL = "fill"
    ORIGINAL = "original"
    LATENT_NOISE = "latent noise"
    LATENT_NOTHING = "latent nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mask:
    """Where to draw anew in a picture: white in `file` (black where `inverted`), of any size.

    `blur_x`, `blur_y`: standard deviation of its soft edge, in pixels. `only_masked`: draw the masked part at
    the full size asked for, with `padding` pixels around it, and put it back (webui's `inpaint_full_res`).
    """

    file: bytes
    inverted: bool = False
    blur_x: float = 4
    blur_y: float = 4
    fill: Fill = Fill.FILL
    only_masked: bool = True
    padding: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Hires:
    """A second pass at `width` x `height` pixels over what the first pass drew (webui's "hires fix").

    `upscaler_name`: one of the catalogue's upscalers, or of `LATENT_UPSCALERS`. `steps` 0 means as many as
    the first pass. None means "as in the first pass".
    """

    width: int
    height: int
    upscaler_name: str = "Latent"
    steps: int = 0
    denoising_strength: float = 0.75
    sampler_name: str | None = None
    schedule: str | None = None
    prompt: str | None = None
    negative_prompt: str | None = None
    cfg_scale: float | None = None


LATENT_UPSCALERS = (
    "Latent",
    "Latent (antialiased)",
    "Latent (bicubic)",
    "Latent (bicubic antialiased)",
    "Latent (nearest)",
    "Latent (nearest-exact)",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlUnit:
    """One ControlNet and the picture that steers it; fields as in webui's ControlNet extension.

    `model` is one of the catalogue's `controlnets`, `image` a picture file, already a map where `module` is
    "none". `control_mode`: 0 balanced, 1 prompt first, 2 ControlNet first. `resize_mode`: 0 just resize, 1
    crop and resize, 2 resize and fill. `start` and `end`: from which to which part of the steps, 0 to 1.
    """

    image: bytes
    model: str
    module: str = "none"
    weight: float = 1.0
    start: float = 0.0
    end: float = 1.0
    control_mode: int = 0
    resize_mode: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawRequest:
    """One batch to draw. The server has already checked every range and resolved random seeds.

    `sampler_name` is one of the engine's `Catalogue.samplers`; `model` one of its model names, or None for
    the loaded one. `width` and `height` are pixels of the picture wanted, multiples of 8 within the
    catalogue's sizes. `seed` and `subseed` lie in 0 .. 2**32-1. As in stable-diffusion-webui, picture k of
    the batch uses `seed + k`, or, where `subseed_strength` > 0, `seed` for all and `subseed + k`; sums wrap
    at 2**32.

    `init_images` holds no file (text-to-image) or one that serves the whole batch: a PNG, JPEG or WEBP which
    the server has seen decode, of any size up to 16 megapixels and any colour mode. `denoising_strength` from
    0 to 1 says how far to leave it. `resize_mode` is webui's: 0 stretch, 1 crop, 2 fill, 3 stretch latents.

    `schedule` is one of those the catalogue has for the sampler. `clip_skip` counts from 1, the last layer.
    `exact` asks for the very same pixels every time: never drawn together with other requests. The rest is
    only ever asked of an engine with the `Feature` for it.
    """

    prompt: str
    negative_prompt: str = ""
    width: int = 512
    height: int = 512
    steps: int = 20
    cfg_scale: float = 7.0
    sampler_name: str = "Euler"
    seed: int = 0
    subseed: int = 0
    subseed_strength: float = 0.0
    batch_size: int = 1
    init_images: tuple[bytes, ...] = ()
    denoising_strength: float = 0.75
    resize_mode: int = 0
    model: str | None = None
    schedule: str = "Automatic"
    eta: float | None = None
    exact: bool = False
    clip_skip: int = 1
    tiling: bool = False
    vae: str | None = None
    mask: Mask | None = None
    hires: Hires | None = None
    controls: tuple[ControlUnit, ...] = ()

    def part(self, first: int, count: int) -> "DrawRequest":
        """`count` pictures of the batch, or of a longer one, from number `first` on, with their own seeds."""
        varied = self.subseed_strength > 0
        return replace(
            self,
            batch_size=count,
            seed=self.seed if varied else (self.seed + first) % 2**32,
            subseed=(self.subseed + first) % 2**32,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class UpscaleRequest:
    """A picture to resize to `width` x `height` pixels with one of the engine's `Catalogue.upscalers`."""

    picture: Picture
    upscaler_name: str
    width: int
    height: int


class Upscaler(Protocol):
    """One or more ways to enlarge pictures; what an engine upscales with."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names it answers to, the best one first. An upscaler of webui's has webui's name."""

    def upscale(self, request: UpscaleRequest) -> Picture:
        """The picture at exactly the size asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """The pictures of one request, in order.

    `images`: uint8 arrays of shape (height, width, 3), RGB, exactly the size asked for, `batch_size` of them.
    `seeds` and `subseeds`: those each picture really used. `notes`: plain sentences about anything asked for
    that had no effect or was done differently. `unknown_words`: words of the prompt the model never learned.
    """

    images: tuple[Picture, ...]
    seeds: tuple[int, ...]
    subseeds: tuple[int, ...]
    notes: tuple[str, ...] = ()
    unknown_words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineInfo:
    """Who draws, and with which model just now.

    `model` is one of the catalogue's names, with or without its ending. `model_hash` is webui's: the first 10
    hex digits of the file's SHA-256, or "" if unknown. `label`: what a person should know about the engine,
    or "".
    """

    name: str
    model: str
    model_hash: str
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model file on offer. Requests may name a checkpoint by `name`, "name [hash]", file stem or hash.

    `hash` is webui's, `sha256` the whole digest; each is "" where nobody has computed it.
    """

    name: str
    hash: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """What may be asked for. Sampler and upscaler names are stable-diffusion-webui's; sizes are pixels.

    `schedules`: by sampler, the noise schedules it can follow beside its own; webui's names. `loras` is None
    for an engine that takes none: prompts are drawn without theirs, and a note says so. `warm_up_sides`: of
    squares, in pixels, that are worth drawing once for practice, because the first of a size is slow.
    """

    models: tuple[Model, ...]
    samplers: tuple[str, ...]
    upscalers: tuple[str, ...] = ()
    loras: tuple[Model, ...] | None = None
    controlnets: tuple[Model, ...] = ()
    vaes: tuple[Model, ...] = ()
    embeddings: tuple[Model, ...] = ()
    schedules: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    features: frozenset[Feature] = frozenset()
    max_width: int = 2048
    max_height: int = 2048
    warm_up_sides: tuple[int, ...] = ()


class Engine(Protocol):
    """A way to draw pictures."""

    def setup(self) -> None:
        """Load everything needed to draw. Any exception means the engine cannot serve.

        Called once at start, and again after a crash that left the engine unable to draw: it then lets go of
        what it held and begins anew.
        """

    def generate(self, request: DrawRequest, *, on_step: OnStep) -> Drawing:
        """Draw one batch, calling `on_step` after every step and letting what it raises through.

        Raises `OutOfMemory` (or `MemoryError`) when it does not fit, `BadRequest` or `UnknownName` for what
        only the engine can judge. Anything else raised counts as an engine crash.
        """

    def upscale(self, request: UpscaleRequest) -> Picture:
        """The picture at exactly the size asked for. Raises as `generate` does."""

    def interrogate(self, picture: Picture) -> str:
        """A caption for the picture. Raises `NotSupported` where the engine cannot, else as `generate`."""

    def info(self) -> EngineInfo:
        """The engine's name and its loaded model."""

    def catalogue(self) -> Catalogue:
        """Models, samplers, upscalers and sizes on offer."""


@runtime_checkable
class BatchingEngine(Engine, Protocol):
    """An engine that can draw several requests in one go."""

    def joins(self, request: DrawRequest) -> Hashable | None:
        """What requests must agree on to be drawn together, or None for one that must be drawn alone.

        Prompts, negative prompts and seeds may differ within one key.
        """

    def largest_together(self, request: DrawRequest) -> int:
        """How many pictures like this request's fit into one batch, at least 1."""

    def generate_together(self, requests: Sequence[DrawRequest], *, on_step: OnStep) -> tuple[Drawing, ...]:
        """One drawing for each request, in order; all have the same key.

        Each equals what `generate` draws for it, within 1/255. Raises as `generate` does; then none was
        drawn.
        """
