"""Drawing with stable-diffusion-webui or Forge in a process of its own, one request at a time."""

import atexit
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from container.serving.engine import (
    Catalogue,
    Drawing,
    DrawRequest,
    EngineInfo,
    OnStep,
    Picture,
    UpscaleRequest,
)
from container.serving.errors import EngineCrash, NotReady, NotSupported, OutOfMemory, Stuck
from container.serving.model_folder import ModelFolder, read_model_folder
from container.webui.api import Api, Gone
from container.webui.offers import File, Offers, check_flags, read_offers
from container.webui.payload import drawing_payload, interrogation_payload, upscaling_payload
from container.webui.reply import read_caption, read_drawing, read_upscaled
from container.webui.settings import WebuiSettings
from container.webui.supervisor import Supervisor
from container.webui.watch import carry_out

LABEL = "tested against a stand-in only, never with the real webui"


class WebuiEngine:
    """Implements `container.serving.engine.Engine` with a webui that it starts, watches and ends.

    `folder`: models in the seed's layout, read in place by webui; None leaves it to webui's own folders.
    `checkpoint`: the path or name of the model to begin with. `close` ends webui and all it started; it is
    also called when the interpreter ends, and should this process be killed, webui ends with it.
    """

    def __init__(
        self, folder: Path | None, *, settings: WebuiSettings, checkpoint: str | None = None
    ) -> None:
        self._settings = settings
        self._models = folder.absolute() if folder else None
        self._folder: ModelFolder | None = read_model_folder(folder, default=checkpoint) if folder else None
        self._checkpoint = self._folder.default if self._folder else checkpoint
        self._running: Supervisor | None = None
        self._offers: Offers | None = None
        self._drew: File | None = None
        self._warm: Api | None = None
        self._failures = 0

    def setup(self) -> None:
        """Start webui, or start it anew, and wait until it answers.

        Raises `EngineCrash` where it does not, or runs with settings that are not safe.
        """
        self.close()
        atexit.register(self.close)
        self._running = Supervisor(
            self._settings, models=self._models, checkpoint=self._checkpoint, accept=self._accept
        )
        self._running.start()

    def close(self) -> None:
        """End webui and everything it started. May be called more than once."""
        atexit.unregister(self.close)
        if self._running is not None:
            self._running.stop()
        self._running = None

    def generate(self, request: DrawRequest, *, on_step: OnStep) -> Drawing:
        """Draw one batch. Raises as the protocol says, and `Stuck` where webui makes no progress."""
        counted = request.subseed if request.subseed_strength > 0 else request.seed
        wraps = 2**32 - counted
        if wraps < request.batch_size:  # where our seeds begin again, webui's would go on counting
            return _joined(
                self._drawn(request.part(0, wraps), on_step),
                self._drawn(request.part(wraps, request.batch_size - wraps), on_step),
            )
        return self._drawn(request, on_step)

    def upscale(self, request: UpscaleRequest) -> Picture:
        """The picture at exactly the size asked for. Raises as `generate` does."""
        with self._api() as api:
            answer = self._asked(api, "extra-single-image", upscaling_payload(request))
            return read_upscaled(answer, request)

    def interrogate(self, picture: Picture) -> str:
        """A caption by webui. Raises `NotSupported` where its captioner is not at hand."""
        with self._api() as api:
            try:
                return read_caption(self._asked(api, "interrogate", interrogation_payload(picture)))
            except Gone:
                raise
            except EngineCrash as error:
                raise NotSupported(
                    "webui has no captioner at hand: it fetches the weights when first used, and this server "
                    "has no network; build them into the image",
                    field="task",
                ) from error

    def info(self) -> EngineInfo:
        model = (self._drew or self._known().checkpoint_file(None)).model
        return EngineInfo(
            name="webui", model=PurePosixPath(model.name).stem, model_hash=model.hash, label=LABEL
        )

    def catalogue(self) -> Catalogue:
        return self._known().catalogue()

    def _drawn(self, request: DrawRequest, on_step: OnStep) -> Drawing:
        with self._api() as api:
            offers = self._known()
            checkpoint = offers.checkpoint_file(request.model)
            payload = drawing_payload(request, offers, checkpoint=checkpoint)
            route = "img2img" if request.init_images else "txt2img"
            answer = self._asked(api, route, payload, steps=request.steps, on_step=on_step)
            drawing = read_drawing(answer, request, offers, checkpoint=checkpoint)
        self._drew = checkpoint
        return drawing

    @contextmanager
    def _api(self) -> Iterator[Api]:
        """The running webui's, and what its failures inside the block lead to."""
        api = self._supervisor().api()
        try:
            yield api
        except (EngineCrash, OutOfMemory, Stuck) as error:
            self._failures += 1
            if isinstance(error, Gone) or self._failures >= self._settings.failures_until_restart:
                self._failures = 0
                self._supervisor().restart(api)
            raise
        self._failures = 0
        self._warm = api
        self._supervisor().proven()

    def _asked(
        self,
        api: Api,
        route: str,
        payload: Mapping[str, Any],
        *,
        steps: int = 1,
        on_step: OnStep = lambda _done, _steps: None,
    ) -> Any:
        self._supervisor().mute()
        return carry_out(
            api,
            f"/sdapi/v1/{route}",
            payload,
            steps=steps,
            on_step=on_step,
            settings=self._settings if api is self._warm else self._settings.while_loading(),
            end=lambda: self._supervisor().restart(api),
        )

    def _supervisor(self) -> Supervisor:
        if self._running is None:
            raise NotReady("webui has not been started")
        return self._running

    def _accept(self, api: Api) -> None:
        """Look at a webui that has just begun to answer, before it is sent anything of a person's."""
        check_flags(api)
        self._offers = read_offers(api, folder=self._folder)

    def _known(self) -> Offers:
        if self._offers is None:
            raise NotReady("webui has not answered yet")
        return self._offers


def _joined(first: Drawing, second: Drawing) -> Drawing:
    return Drawing(
        images=first.images + second.images,
        seeds=first.seeds + second.seeds,
        subseeds=first.subseeds + second.subseeds,
        notes=tuple(dict.fromkeys((*first.notes, *second.notes))),
    )
