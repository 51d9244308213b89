"""One upscaling network from a file, recognised and built by spandrel."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from types import ModuleType
from typing import Any, NoReturn

import torch

from container.diffusers_engine.errors import UnusableFile
from container.diffusers_engine.tensor_files import open_tensors
from container.graphs import Array
from container.serving.model_folder import ModelFile

_CONTEXT = 32
"""Deep networks look farther in theory; beyond this many pixels no difference of 1/255 shows."""

_WRAPPERS = ("params_ema", "params-ema", "params", "model_state_dict", "model", "net")
"""What training tools put around the weights; of two, the first is the smoother."""


def open_network(file: ModelFile, *, allow_pickle: bool) -> SpandrelNetwork:
    """Raises `UnusableFile`: not readable, a pickle nobody allows, or no network that enlarges pictures."""
    content = dict(open_tensors(file, allow_pickle=allow_pickle).tensors())
    spandrel = _spandrel()
    try:
        model = spandrel.ModelLoader(device="cpu").load_from_state_dict(_unwrapped(content))
    except spandrel.UnsupportedModelError as error:
        raise UnusableFile(file.model.name, "its architecture is none that spandrel knows") from error
    except (KeyError, RuntimeError, ValueError) as error:
        raise UnusableFile(file.model.name, "its tensors are not those of its architecture") from error
    if not isinstance(model, spandrel.ImageModelDescriptor) or model.purpose == "FaceSR":
        name = model.architecture.name
        raise UnusableFile(file.model.name, f"{name} does not enlarge pictures as they are")
    if (model.input_channels, model.output_channels) != (3, 3):
        raise UnusableFile(file.model.name, "it is not for pictures in colour")
    return SpandrelNetwork(model)


class SpandrelNetwork:
    """Implements `container.upscaling.tiles.Network` on the GPU where there is one."""

    context = _CONTEXT

    def __init__(self, model: Any) -> None:
        self.factor: int = model.scale
        on_gpu = torch.cuda.is_available()
        self._dtype = torch.float16 if on_gpu and model.supports_half else torch.float32
        self._device = torch.device("cuda" if on_gpu else "cpu")
        self._model = model.to(device=self._device, dtype=self._dtype).eval()

    def __call__(self, pictures: Array, /) -> Array:
        given = torch.from_numpy(pictures).to(device=self._device, dtype=self._dtype)
        with torch.inference_mode():
            drawn: Array = self._model(given).float().cpu().numpy()
        return drawn


def _unwrapped(content: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    for wrapper in _WRAPPERS:
        prefix = f"{wrapper}."
        inner = {
            name.removeprefix(prefix): value for name, value in content.items() if name.startswith(prefix)
        }
        # ESRGAN's own first layers are called model.0, model.1, ...: no wrapper.
        if inner and not all(name[0].isdigit() for name in inner):
            return inner
    return content


def _spandrel() -> Any:
    if "spandrel" in sys.modules or importlib.util.find_spec("torchvision"):
        return importlib.import_module("spandrel")
    with _torchvision_stand_in():
        return importlib.import_module("spandrel")


class _InterpolationMode(Enum):
    NEAREST = "nearest"
    BILINEAR = "bilinear"


def _absent(*_arguments: object, **_options: object) -> NoReturn:
    raise ModuleNotFoundError("this architecture needs torchvision", name="torchvision")


@contextmanager
def _torchvision_stand_in() -> Iterator[None]:
    """Lets spandrel be imported without torchvision.

    It imports every architecture, and two of them (LaMa, which inpaints, and RestoreFormer, which repairs
    faces; `open_network` refuses both) take three names from torchvision. Nobody else sees the stand-in.
    """
    package, transforms, functional = (
        ModuleType(name)
        for name in ("torchvision", "torchvision.transforms", "torchvision.transforms.functional")
    )
    for name, value in (
        ("InterpolationMode", _InterpolationMode),
        ("rotate", _absent),
        ("normalize", _absent),
    ):
        setattr(functional, name, value)
    modules = {module.__name__: module for module in (package, transforms, functional)}
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name in modules:
            del sys.modules[name]
