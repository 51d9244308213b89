"""What people may draw with: the team's rules over the files that the endpoint holds."""

from bot.domain.prompt.catalogue import Catalogue
from bot.domain.prompt.drawing_defaults import drawing_defaults
from bot.domain.request import Defaults, ImageRequest
from bot.services.core import Core


def offered(core: Core) -> Catalogue:
    """As everybody was last told, at most `Times.settings_for` seconds ago. Raises PeerError."""
    release = core.bulletin.release(core.cells, now=core.clock.now(), times=core.times)
    return core.policy.catalogue.offering(release)


def defaults_of(core: Core, request: ImageRequest) -> Defaults:
    """What a line with the request's model draws by itself. Raises PeerError."""
    policy = core.policy
    return drawing_defaults(request.model, policy.defaults, caps=policy.caps, catalogue=offered(core))
