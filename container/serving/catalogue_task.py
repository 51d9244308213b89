"""The task catalogue: what may be asked of this server. Answered at once, whatever is being drawn."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from container.serving.engine import Catalogue, EngineInfo, Model
from container.serving.model_folder import ModelFolder


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueTask:
    """A question for the catalogue; it has no parameters."""

    def reply(self, catalogue: Catalogue, *, engine: EngineInfo | None, folder: ModelFolder | None) -> bytes:
        """Names and hashes as JSON.

        `engine` is None where it has drawn nothing yet. `folder`: what lies in the model folder, whether this
        engine reads it or not.
        """
        answer: dict[str, Any] = {
            "engine": _engine(engine),
            "models": _models(catalogue.models),
            "loras": _models(catalogue.loras or ()),
            "controlnets": _models(catalogue.controlnets),
            "vaes": _models(catalogue.vaes),
            "embeddings": _models(catalogue.embeddings),
            "samplers": catalogue.samplers,
            "schedules": dict(catalogue.schedules),
            "features": sorted(catalogue.features),
            "upscalers": ("None", *catalogue.upscalers),
            "max_width": catalogue.max_width,
            "max_height": catalogue.max_height,
        }
        if folder is not None:
            answer["folder"] = {
                "default": folder.default,
                **{kind: _models(files) for kind, files in folder.files.items()},
            }
        return json.dumps(answer).encode()


def _engine(engine: EngineInfo | None) -> dict[str, str] | None:
    if engine is None:
        return None
    return {key: value for key, value in dataclasses.asdict(engine).items() if value or key != "label"}


def _models(models: Sequence[Model]) -> list[dict[str, str | None]]:
    """As webui lists checkpoints: a title that requests may use, and null where a hash is unknown."""
    return [
        {
            "name": model.name,
            "title": f"{model.name} [{model.hash}]" if model.hash else model.name,
            "hash": model.hash or None,
            "sha256": model.sha256 or None,
        }
        for model in models
    ]
