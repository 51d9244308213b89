"""What a job needs to draw: one frozen value that travels from the parser to the endpoint."""

import json
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

SEED_SPACE = 2**32
"""Seeds are unsigned 32-bit numbers, as in Midjourney and the Stable Diffusion web UI."""

JSON_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraUse:
    """A LoRA by its exact file name (case matters to the endpoint) and the weight it is mixed in with."""

    name: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What a model draws when the person names nothing; the bare values fit the demo model (SD 1.5 shape)."""

    width: int = 512
    height: int = 512
    n: int = 1
    steps: int = 20
    guidance: float = 7.0
    sampler: str = "Euler a"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """Limits an admin sets for a model. `sizes` are the trained (width, height) pairs; empty means any."""

    max_steps: int = 50
    max_n: int = 4
    max_pixels: int = 1024 * 1024
    max_ratio: float = 3.0
    max_loras: int = 5
    max_prompt_chars: int = 2000
    sizes: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRequest:
    """One drawing order.

    Sizes are pixels, `guidance` is the classifier-free guidance scale (`cfg_scale` on the wire), `strength`
    the denoising strength 0-1 for a picture to start from, whose object key is `init_image`.
    `seed` is None until `with_seed` fixes it at accept; picture i is drawn from `seeds[i]`.
    `subseed` and `subseed_strength` 0-1 blend a second noise in, which is how a picture is varied.
    """

    prompt: str
    negative_prompt: str = ""
    width: int
    height: int
    n: int = 1
    steps: int
    guidance: float
    sampler: str
    seed: int | None = None
    subseed: int | None = None
    subseed_strength: float = 0.0
    model: str | None = None
    loras: tuple[LoraUse, ...] = ()
    style: str | None = None
    strength: float | None = None
    init_image: str | None = None

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seed of every picture: consecutive numbers that wrap at 2**32; empty while none is fixed."""
        if self.seed is None:
            return ()
        return tuple((self.seed + index) % SEED_SPACE for index in range(self.n))

    def with_seed(self, seed: int) -> Self:
        """The same request with `seed` (taken modulo 2**32) unless the person named one."""
        return self if self.seed is not None else replace(self, seed=seed % SEED_SPACE)

    def to_json(self) -> str:
        """Compact JSON that `from_json` of this and every later version reads."""
        values = {name: getattr(self, name) for name in _FIELDS}
        values["loras"] = [asdict(use) for use in self.loras]
        return json.dumps({"version": JSON_VERSION, **values}, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str, *, defaults: Defaults) -> Self:
        """Read `to_json` of any version: keys unknown here are ignored, missing ones come from `defaults`.

        Raises ValueError when the text is not a JSON object with a prompt.
        """
        stored = json.loads(text)
        prompt = stored.get("prompt") if isinstance(stored, dict) else None
        if prompt is None:
            raise ValueError("not a stored image request")
        known = {key: stored[key] for key in stored if key in _FIELDS}
        values: dict[str, Any] = asdict(defaults) | known
        values["loras"] = tuple(
            LoraUse(name=use["name"], weight=use.get("weight", 1.0)) for use in values.get("loras", ())
        )
        return cls(**values)


_FIELDS = tuple(field.name for field in fields(ImageRequest))
