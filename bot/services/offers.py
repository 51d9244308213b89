"""What people may draw with: the team's rules over the files that the endpoint holds."""

from bot.domain.errors import Refused
from bot.domain.prompt.catalogue import Catalogue, Kind, nearest_names
from bot.domain.prompt.drawing_defaults import drawing_defaults
from bot.domain.request import Defaults, ImageRequest
from bot.services.core import Core


def offered(core: Core) -> Catalogue:
    """As everybody was last told, at most `Times.settings_for` seconds ago. Raises PeerError."""
    release = core.bulletin.release(core.cells, now=core.clock.now(), times=core.times)
    return core.policy.catalogue.offering(release)


def check_files(core: Core, request: ImageRequest) -> None:
    """What drew once may have been switched off, forbidden or removed since.

    Raises Refused("file_refused") with the nearest names, and PeerError.
    """
    catalogue = offered(core)
    models = [(Kind.MODEL, request.model)] if request.model else []
    for kind, name in (*models, *((Kind.LORA, use.name) for use in request.loras)):
        why = catalogue.refusal(kind, name) or ("" if catalogue.find(kind, name) else _GONE)
        if why and not (why == _GONE and kind in catalogue.leaves_to_endpoint):
            near = ", ".join(nearest_names(name, catalogue.names(kind)))
            raise Refused("file_refused", name=name, why=why, near=near or f"/imagine {kind}s lists them")


_GONE = "it is not offered any more"


def defaults_of(core: Core, request: ImageRequest) -> Defaults:
    """What a line with the request's model draws by itself. Raises PeerError."""
    policy = core.policy
    return drawing_defaults(request.model, policy.defaults, caps=policy.caps, catalogue=offered(core))
