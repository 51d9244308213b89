"""The upscaling networks in a model folder's `ESRGAN/`, of the many architectures that spandrel knows.

torch and spandrel are imported when the first file is loaded.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePosixPath

from container.serving.engine import Picture, UpscaleRequest
from container.serving.errors import OutOfMemory
from container.serving.model_folder import ModelFile, ModelFolder
from container.upscaling.tiles import Network, enlarged


class EsrganFiles:
    """Implements `container.serving.engine.Upscaler` with the folder's files, by their names without ending.

    A file is read, by `open_file`, when it is first asked for and kept until another one is.
    """

    def __init__(
        self, folder: ModelFolder, *, open_file: Callable[[ModelFile], Network] | None = None
    ) -> None:
        self._open = open_file or (lambda file: _opened(file, allow_pickle=folder.allow_pickle))
        self._files = _by_stem(folder.contents["upscalers"])
        self._loaded: tuple[str, Network] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._files)

    def upscale(self, request: UpscaleRequest) -> Picture:
        """The picture at exactly the size asked for.

        Raises `UnusableFile` for a file that is no network for this, `OutOfMemory` where it does not fit.
        """
        try:
            network = self._network(request.upscaler_name)
            return enlarged(request.picture, network, width=request.width, height=request.height)
        except RuntimeError as error:
            if not _is_out_of_memory(error):
                raise
            message = f"{request.upscaler_name} does not fit the device's memory"
            raise OutOfMemory(message, field="upscaler_1") from error

    def _network(self, name: str) -> Network:
        if self._loaded is None or self._loaded[0] != name:
            self._loaded = None  # its memory goes before the next one comes
            self._loaded = name, self._open(self._files[name])
        return self._loaded[1]


def _opened(file: ModelFile, *, allow_pickle: bool) -> Network:
    from container.upscaling.spandrel_network import open_network  # noqa: PLC0415  imports torch

    return open_network(file, allow_pickle=allow_pickle)


def _is_out_of_memory(error: RuntimeError) -> bool:
    """CUDA has a class for it, the CPU's allocator only words."""
    return type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error)


def _by_stem(files: tuple[ModelFile, ...]) -> dict[str, ModelFile]:
    """By their stems, as webui calls them; of two that share one, the later keeps its whole name."""
    named: dict[str, ModelFile] = {}
    for file in files:
        stem = str(PurePosixPath(file.model.name).with_suffix(""))
        named[file.model.name if stem in named else stem] = file
    return named
