"""The HTTP API: which path and method does what. Never raises; every error is a problem document."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from bot.domain.errors import Busy, PeerError
from bot.http_api import generations
from bot.http_api.clients import Authentication, Client
from bot.http_api.exchange import Request, Response, json_response
from bot.http_api.generations import MAX_BODY, Desk, too_large
from bot.http_api.models import models
from bot.http_api.openapi import GENERATION, GENERATIONS, MODELS, OPENAPI, document
from bot.http_api.problems import Problem, crashed, unavailable

Operation = Callable[[Desk, Client, Request], Response]

OPERATIONS: Mapping[str, Mapping[str, Operation]] = {
    GENERATIONS: {"GET": generations.listing, "POST": generations.create},
    GENERATION: {"DELETE": generations.remove, "GET": generations.read},
    MODELS: {"GET": models},
}
"""By path and method; the paths are those of the OpenAPI document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """Answers requests. HEAD is answered as GET, without the body."""

    desk: Desk
    authenticate: Authentication

    def __call__(self, request: Request) -> Response:
        """Never raises: a defect is a 500 that says nothing of itself, and its kind is in the journal."""
        try:
            return self._answer(request)
        except Problem as problem:
            return problem.response()
        except PeerError as down:
            self.desk.core.journal.event("api_peer_failed", code=down.code)
            wait = down.retry_after if isinstance(down, Busy) else None
            return unavailable(down.code, retry_after=int(wait or 5)).response()
        except Exception as error:  # noqa: BLE001  the last line of defence: somebody waits for an answer
            self.desk.core.journal.event("handler_failed", handler="api", kind=type(error).__name__)
            return crashed().response()

    def _answer(self, request: Request) -> Response:
        if request.method == "HEAD":
            return replace(self._routed(replace(request, method="GET")), body=b"")
        return self._routed(request)

    def _routed(self, request: Request) -> Response:
        if request.path == OPENAPI:
            _one_of(request, ("GET",))
            return json_response(200, document(self.desk.core.policy))
        methods = OPERATIONS.get(_pattern(request.path))
        if methods is None:
            raise Problem(
                404, "no_such_route", "There is nothing at this path.", fix=f"GET {OPENAPI} lists the paths."
            )
        _one_of(request, tuple(methods))
        if len(request.body) > MAX_BODY:
            raise too_large()
        client = self.authenticate(request)
        return methods[request.method](self.desk, client, request)


def _pattern(path: str) -> str:
    """The path of the document that a path fits."""
    head, _, name = path.rpartition("/")
    return GENERATION if head == GENERATIONS and name else path


def _one_of(request: Request, methods: tuple[str, ...]) -> None:
    if request.method in methods:
        return
    allowed = sorted({*methods, *(("HEAD",) if "GET" in methods else ())})
    raise Problem(
        405,
        "method_not_allowed",
        "This path does not take that method.",
        fix=f"Use one of: {', '.join(allowed)}.",
        headers={"allow": ", ".join(allowed)},
    )
