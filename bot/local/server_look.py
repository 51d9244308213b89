"""A look at the models of one machine's inference server, written to the shared cell `catalogue`."""

from bot.domain.errors import PeerError
from bot.domain.prompt.release_file import read_server_list, shared
from bot.local.inference_server import InferenceServer, json_object
from bot.services.core import Core
from bot.services.settings import CATALOGUE, change


class ServerLook:
    """Asks when the process starts, and whenever the server has another model loaded."""

    def __init__(self, server: InferenceServer, core: Core) -> None:
        self._server = server
        self._core = core
        self._asked_with: list[object] = []

    def refresh(self) -> None:
        """Ask and tell, if there is somebody to ask and reason to. Raises CellMoved.

        Who does not answer is asked the next time. The ping is this look's own: the endpoint's memory of how
        the server was seen is for the cards.
        """
        try:
            ping = self._server.ping()
            model = json_object(ping.body).get("model")
            if ping.status != 200 or self._asked_with == [model]:
                return
            answer = self._server.catalogue()
        except PeerError:
            return
        self._asked_with = [model]
        if answer.status != 200:
            self._core.journal.event("catalogue_refused", status=answer.status)
            return
        told = shared(read_server_list(json_object(answer.body)))
        change(self._core.cells, CATALOGUE, lambda _: told)
        self._core.bulletin.forget()
