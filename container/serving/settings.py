"""What a deployment may change about the server, and the one place that reads the environment for it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one request may ask for. Sizes and steps are stable-diffusion-webui's own ranges."""

    body_bytes: int = 32 * 2**20
    prompt_characters: int = 20_000
    min_side: int = 64
    max_side: int = 2048
    max_steps: int = 150
    max_images: int = 16
    max_pixels: int = 2**24  # over all images of one request: 16 of 1024x1024, 4 of 2048x2048
    init_image_pixels: int = 16 * 10**6
    sent_pixels: int = 32 * 10**6  # over all pictures sent with one request: start, mask, control maps
    control_units: int = 4
    mask_blur: int = 256
    waiting: int = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The server's behaviour. Durations are seconds.

    `stall_s`: a generation that makes no step for so long is stuck. `failures_until_unhealthy`: engine
    failures in a row. `finish_s`: how long a drawing may go on after SIGTERM before it is told to stop;
    `closing_s`: how much longer its last step may take before it is answered without a picture. Together
    they stay under the 25 s the container promises (SageMaker kills after 30). `embed_parameters`: write
    prompt and settings into each picture file. `control`: offer the loopback control routes. `checkpoint`:
    path of the model file to begin with. `allow_pickle`: load pickled model files that no catalogue vouches
    for. `image_check`: score every picture. `warm_up`: draw larger pictures for practice once the server is
    healthy and nobody waits, where the engine gains by it.
    """

    limits: Limits = field(default_factory=Limits)
    stall_s: float = 120.0
    failures_until_unhealthy: int = 3
    finish_s: float = 15.0
    closing_s: float = 5.0
    embed_parameters: bool = False
    control: bool = False
    checkpoint: str | None = None
    allow_pickle: bool = False
    image_check: bool = True
    warm_up: bool = True

    @classmethod
    def from_environment(cls, *, host: str, environment: Mapping[str, str] | None = None) -> Self:
        """Settings of a server that listens on `host`.

        PNG_PARAMETERS=1 embeds the parameters; `ckpt`, as in the seed project, names the checkpoint;
        ALLOW_PICKLE=1 loads any pickle; IMAGE_CHECK=0 scores no picture; WARM_UP=0 draws none for practice.
        The control routes exist only on loopback, and not where SAGEMAKER_* variables tell that this is an
        endpoint.
        """
        env = os.environ if environment is None else environment  # noqa: TID251 (this is the config module)
        on_sagemaker = any(name.startswith("SAGEMAKER") for name in env)
        return cls(
            embed_parameters=env.get("PNG_PARAMETERS") == "1",
            checkpoint=env.get("ckpt") or None,
            control=is_loopback(host) and not on_sagemaker,
            allow_pickle=env.get("ALLOW_PICKLE") == "1",
            image_check=env.get("IMAGE_CHECK") != "0",
            warm_up=env.get("WARM_UP") != "0",
        )


def is_loopback(host: str) -> bool:
    """Whether a host name or address stays on this machine."""
    return host in {"127.0.0.1", "localhost", "::1"}
