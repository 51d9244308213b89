"""Which files to draw with: named beside the payload or in webui's `override_settings`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from container.serving.engine import Catalogue, Feature
from container.serving.errors import BadRequest
from container.serving.names import find
from container.serving.webui_fields import integer, optional_text, without_effect


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What stands beside the payload and says how to draw it. `exact`: never together with others."""

    model: str | None = None
    vae: str | None = None
    exact: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The checkpoint and VAE by the catalogue's names, None for those loaded; `clip_skip` counts from 1."""

    model: str | None
    vae: str | None
    clip_skip: int
    notes: tuple[str, ...]


_OPTIONS = {"sd_model_checkpoint", "sd_vae", "CLIP_stop_at_last_layers"}
_NEUTRAL: tuple[Any, ...] = (None, "", [], {})


def choose(settings: Any, envelope: Envelope, *, catalogue: Catalogue) -> Choice:
    """What `override_settings` and the envelope, which wins, ask for.

    Every other option of webui could change files, folders or the server itself. Raises `BadRequest` naming
    the option, or `UnknownName`.
    """
    options = _options(settings)
    model = envelope.model or optional_text(options.get("sd_model_checkpoint"), _field("sd_model_checkpoint"))
    found = find(model, catalogue.models, kind="model", field="model").name if model else None
    vae, vae_notes = _vae(options, envelope, catalogue)
    clip_skip, clip_notes = _clip_skip(options, catalogue)
    return Choice(model=found, vae=vae, clip_skip=clip_skip, notes=(*vae_notes, *clip_notes))


def _options(settings: Any) -> Mapping[str, Any]:
    if not settings:
        return {}
    if not isinstance(settings, dict):
        raise BadRequest("must be an object", field="override_settings")
    for name, value in settings.items():
        if name not in _OPTIONS and value not in _NEUTRAL:
            raise BadRequest("this option cannot be set by a request", field=_field(name[:80]))
    return settings


def _vae(
    options: Mapping[str, Any], envelope: Envelope, catalogue: Catalogue
) -> tuple[str | None, list[str]]:
    """The VAE named; "Automatic" and "None" both leave the checkpoint its own."""
    beside = envelope.vae is not None
    field = "vae" if beside else _field("sd_vae")
    asked = envelope.vae if beside else optional_text(options.get("sd_vae"), field)
    if asked in (None, "Automatic", "None"):
        return None, []
    if Feature.VAE not in catalogue.features:
        return None, without_effect(["vae" if beside else "sd_vae"])
    return find(asked, catalogue.vaes, kind="VAE", field=field).name, []


def _clip_skip(options: Mapping[str, Any], catalogue: Catalogue) -> tuple[int, list[str]]:
    name = "CLIP_stop_at_last_layers"
    if options.get(name) is None:
        return 1, []
    layers = integer(1, 12)(options[name], _field(name))
    if Feature.CLIP_SKIP in catalogue.features:
        return layers, []
    return 1, without_effect([name] if layers != 1 else [])


def _field(option: str) -> str:
    return f"override_settings.{option}"
