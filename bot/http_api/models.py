"""GET /v1/models: what the endpoint draws with, as far as anybody has told."""

from typing import Any

from bot.domain.prompt.catalogue import Catalogue, Kind
from bot.http_api.clients import Client
from bot.http_api.exchange import Request, Response, json_response
from bot.http_api.generations import Desk
from bot.services.offers import offered


def models(desk: Desk, client: Client, request: Request) -> Response:
    """Models, LoRAs, samplers and styles that may be named. Raises PeerError."""
    del client, request
    catalogue = offered(desk.core)
    return json_response(
        200,
        {
            "models": [_file(catalogue, Kind.MODEL, name) for name in catalogue.models],
            "loras": [_file(catalogue, Kind.LORA, name) for name in catalogue.loras],
            "samplers": list(catalogue.samplers),
            "styles": list(catalogue.styles),
            "release": catalogue.release.name or None,
            "is_complete": not catalogue.leaves_to_endpoint,
        },
    )


def _file(catalogue: Catalogue, kind: Kind, name: str) -> dict[str, Any]:
    file = catalogue.file(kind, name)
    if file is None:
        return {"name": name}
    return {
        "name": name,
        "alias": file.alias or None,
        "architecture": file.architecture or None,
        "trigger_words": list(file.trigger_words),
        "is_default": kind is Kind.MODEL and name == catalogue.release.default_model,
        "width": file.width,
        "height": file.height,
        "steps": file.steps,
    }
