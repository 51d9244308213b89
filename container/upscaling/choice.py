"""All upscalers of an engine behind one."""

from __future__ import annotations

from collections.abc import Sequence

from container.serving.engine import Picture, Upscaler, UpscaleRequest
from container.serving.errors import UnknownName
from container.serving.model_folder import ModelFolder
from container.serving.resampling import Resampling
from container.upscaling.esrgan import EsrganFiles
from container.upscaling.tiny import TinyNetwork, TinyUpscaler


class Choice:
    """Implements `container.serving.engine.Upscaler` with several; of two of one name the first is taken."""

    def __init__(self, upscalers: Sequence[Upscaler]) -> None:
        self._by_name = {name: upscaler for upscaler in reversed(upscalers) for name in upscaler.names}
        self._names = tuple(dict.fromkeys(name for upscaler in upscalers for name in upscaler.names))

    @property
    def names(self) -> tuple[str, ...]:
        return self._names

    def upscale(self, request: UpscaleRequest) -> Picture:
        """The picture at exactly the size asked for. Raises `UnknownName`, or as the one asked for does."""
        if request.upscaler_name not in self._by_name:
            raise UnknownName("upscaler", request.upscaler_name, nearest=self._names[:3], field="upscaler_1")
        return self._by_name[request.upscaler_name].upscale(request)


def open_upscalers(
    folder: ModelFolder | None = None, *, tiny: TinyNetwork | None = None, threads: int = 2
) -> Upscaler:
    """The networks of the folder's `ESRGAN/`, each loaded when first asked for, the tiny one, and resampling.

    `tiny`: the tiny network where it is loaded already, else it is loaded here, with `threads`. Raises
    `OSError` or `ValueError` where its files are missing or damaged.
    """
    files = EsrganFiles(folder) if folder is not None and folder.contents["upscalers"] else None
    own = TinyUpscaler(tiny or TinyNetwork(threads=threads)), Resampling()
    return Choice([files, *own] if files else own)
