"""What a running webui has: its models, samplers and the like, and which generation of its API it speaks.

Three generations are told apart by their routes. Before 1.9 a schedule is part of the sampler's name ("DPM++
2M Karras"); from 1.9 on there is `/schedulers`. Forge lists VAEs as modules.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from container.serving.engine import Catalogue, Feature, Model
from container.serving.errors import EngineCrash, UnknownName
from container.serving.model_folder import ModelFolder
from container.serving.names import nearest
from container.serving.samplers import SCHEDULES
from container.webui.api import Api
from container.webui.launch import SAFE_FLAGS

_OWN_SCHEDULE = frozenset({"ddim", "ddim cfg++", "plms", "unipc", "dpm fast", "dpm adaptive", "lcm"})
"""Samplers that follow no schedule but their own, in lower case (mostly webui's `sd_samplers_timesteps`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A model file of webui's. `model` is how this server names it, `title` how webui wants it named."""

    model: Model
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Offers:
    """What one running webui offers. `schedules`: by sampler, in the order webui lists them.

    `splits_schedules`: schedule and sampler are sent apart (from 1.9 on). `modules`: VAEs are sent as modules
    (Forge). `checkpoint`: the title of the model it began with.
    """

    checkpoints: tuple[File, ...]
    checkpoint: str
    samplers: tuple[str, ...]
    schedules: Mapping[str, tuple[str, ...]]
    upscalers: tuple[str, ...]
    loras: tuple[File, ...]
    vaes: tuple[File, ...]
    controlnets: tuple[File, ...]
    control_modules: tuple[str, ...]
    embeddings: tuple[Model, ...]
    splits_schedules: bool
    modules: bool

    def catalogue(self) -> Catalogue:
        features = set(Feature) - ({Feature.CONTROLNET} if not self.controlnets else set())
        return Catalogue(
            models=tuple(file.model for file in self.checkpoints),
            samplers=self.samplers,
            schedules=self.schedules,
            upscalers=self.upscalers,
            loras=tuple(file.model for file in self.loras),
            controlnets=tuple(file.model for file in self.controlnets),
            vaes=tuple(file.model for file in self.vaes),
            embeddings=self.embeddings,
            features=frozenset(features),
        )

    def checkpoint_file(self, name: str | None) -> File:
        """The checkpoint of that name, or the one webui began with. Raises `UnknownName`."""
        wanted = self.checkpoint if name is None else name
        for file in self.checkpoints:
            if wanted in {file.model.name, file.title}:
                return file
        names = [file.model.name for file in self.checkpoints]
        raise UnknownName("model", wanted, nearest=nearest(wanted, names), field="model")


def read_offers(api: Api, *, folder: ModelFolder | None) -> Offers:
    """Ask webui what it has. Raises `EngineCrash` where it has no model or does not answer as webui does."""
    try:
        return _read(api, folder)
    except (KeyError, TypeError, AttributeError) as error:
        raise EngineCrash(f"webui's lists are not as expected ({type(error).__name__})") from None


def check_flags(api: Api) -> None:
    """Raises `EngineCrash` where webui runs with a flag or option that this server does not allow."""
    flags, options = api.get("/sdapi/v1/cmd-flags"), api.get("/sdapi/v1/options")
    wrong = [name for name, value in SAFE_FLAGS.items() if bool(flags.get(name, value)) is not value]
    if options.get("api_enable_requests"):  # unknown to webui before 1.6, which never fetched pictures
        wrong.append("api_enable_requests")
    if wrong:
        raise EngineCrash(f"webui runs with unsafe settings: {', '.join(wrong)}; look at WEBUI_FLAGS")


def _read(api: Api, folder: ModelFolder | None) -> Offers:
    known = folder.files if folder is not None else {}
    checkpoints = _checkpoints(api.get("/sdapi/v1/sd-models"), known.get("checkpoints", ()))
    if not checkpoints:
        raise EngineCrash("webui finds no checkpoint: put one into Stable-diffusion/ of the model folder")
    names = [item["name"] for item in api.get("/sdapi/v1/samplers")]
    listed = api.offered("/sdapi/v1/schedulers")
    schedules = _split(names) if listed is None else _apart(names, [item["label"] for item in listed])
    sd_vae, modules = api.offered("/sdapi/v1/sd-vae"), api.offered("/sdapi/v1/sd-modules")
    control = api.offered("/controlnet/model_list") or {}
    control_modules = api.offered("/controlnet/module_list") or {}
    return Offers(
        checkpoints=checkpoints,
        checkpoint=_loaded(api, checkpoints),
        samplers=tuple(schedules),
        schedules=schedules,
        upscalers=_upscalers(api.get("/sdapi/v1/upscalers")),
        loras=_files(
            api.offered("/sdapi/v1/loras"), known.get("loras", ()), name="name", path="path", title="name"
        ),
        vaes=_files(
            modules if sd_vae is None else sd_vae,
            known.get("vaes", ()),
            name="model_name",
            path="filename",
            title="model_name" if modules is None else "filename",  # Forge takes whole paths
        ),
        controlnets=_controlnets(control.get("model_list", ()), known.get("controlnets", ())),
        control_modules=tuple(control_modules.get("module_list", ())),
        embeddings=tuple(
            Model(name=name) for name in (api.offered("/sdapi/v1/embeddings") or {}).get("loaded", ())
        ),
        splits_schedules=listed is not None,
        modules=sd_vae is None,
    )


def _checkpoints(items: Iterable[Any], known: Sequence[Model]) -> tuple[File, ...]:
    """A title is the path below its folder, and " [hash]" where it knows the hash."""
    files = []
    for item in items:
        name = _without_hash(item["title"])
        listed = next((model for model in known if model.name == name), Model(name=name))
        sha256 = item.get("sha256") or listed.sha256
        model = Model(name=name, hash=sha256[:10] or item.get("hash") or "", sha256=sha256)
        files.append(File(model=model, title=item["title"]))
    return tuple(files)


def _files(
    items: Iterable[Any] | None, known: Sequence[Model], *, name: str, path: str, title: str
) -> tuple[File, ...]:
    """Files under the name and hash of the listed file that their `path` ends in, or else under `name`."""
    files = []
    for item in items or ():
        ends = str(item.get(path)).replace(os.sep, "/")
        listed = next((model for model in known if ends.endswith(f"/{model.name}")), Model(name=""))
        files.append(File(model=replace(listed, name=listed.name or item[name]), title=item[title]))
    return tuple(files)


def _controlnets(titles: Iterable[str], known: Sequence[Model]) -> tuple[File, ...]:
    """Titles are a file's stem and its short hash; the extension wants them whole."""
    files = []
    for title in titles:
        if title == "None":
            continue
        stem = _without_hash(title)
        listed = next((model for model in known if Path(model.name).stem == stem), Model(name=stem))
        files.append(File(model=listed, title=title))
    return tuple(files)


def _without_hash(title: str) -> str:
    return title.rpartition(" [")[0] if title.endswith("]") and " [" in title else title


def _loaded(api: Api, checkpoints: Sequence[File]) -> str:
    told = _without_hash(str(api.get("/sdapi/v1/options").get("sd_model_checkpoint") or ""))
    matching = [file.title for file in checkpoints if told in {file.model.name, _without_hash(file.title)}]
    return matching[0] if matching else checkpoints[0].title


def _split(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Joined names of older webuis, taken apart: each sampler with the schedules it comes with."""
    schedules: dict[str, list[str]] = {}
    for name in names:
        ends = next((ending for ending in SCHEDULES if name.endswith(f" {ending}")), "")
        base = name.removesuffix(f" {ends}") if ends else name
        schedules.setdefault(base, []).extend([ends] if ends else [])
    return {name: tuple(found) for name, found in schedules.items()}


def _apart(names: Iterable[str], labels: Sequence[str]) -> dict[str, tuple[str, ...]]:
    return {name: () if name.lower() in _OWN_SCHEDULE else tuple(labels) for name in names}


def _upscalers(items: Iterable[Any]) -> tuple[str, ...]:
    """Those at hand: webui also lists some that it would download when first used."""
    return tuple(
        item["name"]
        for item in items
        if item["name"] != "None" and not str(item.get("model_path") or "").startswith(("http:", "https:"))
    )
