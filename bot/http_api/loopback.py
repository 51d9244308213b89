"""The API behind this machine's own web server: the same operations, and the pictures that links open."""

from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl, urlsplit

from bot.http_api.app import Api
from bot.http_api.exchange import Request, Response
from bot.http_api.generations import too_large
from bot.http_api.links import PATH, SignedLinks
from bot.http_api.problems import Problem

READY = "/ready"


class Loopback:
    """`handle` is what `bot.local.web_server.WebServer` serves."""

    def __init__(self, api: Api, links: SignedLinks) -> None:
        self._api = api
        self._links = links

    def handle(self, method: str, target: str, headers: Sequence[tuple[str, str]], body: bytes) -> Response:
        """Answer one request. Never raises."""
        path, query = split_target(target)
        if (method, path) == ("GET", READY):
            return Response(status=200, headers={}, body=b"")
        if method in ("GET", "HEAD") and path.startswith(PATH):
            try:
                return self._links.serve(path, query)
            except Problem as problem:
                return problem.response()
        request = Request(method=method, path=path, query=query, headers=joined(headers), body=body)
        return self._api(request)


def refused(status: int) -> Response:
    """What the server itself refuses before a body is read, as a problem."""
    return too_large().response() if status == 413 else _REFUSALS[status].response()


_REFUSALS: Mapping[int, Problem] = {
    400: Problem(400, "malformed", "The Content-Length is no length.", fix="Send one whole number."),
    403: Problem(
        403,
        "foreign_host",
        "The Host or Origin is not this machine's.",
        fix="Call http://127.0.0.1, or pass the Host on unchanged.",
    ),
    411: Problem(411, "length_required", "The body's length is not told.", fix="Send Content-Length."),
}


def split_target(target: str) -> tuple[str, Mapping[str, str]]:
    """Path and parameters of a request target; what cannot be read has no parameters."""
    try:
        parts = urlsplit(target)
        return parts.path, dict(parse_qsl(parts.query, keep_blank_values=True))
    except ValueError:
        return target, {}


def joined(headers: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Repeated headers by comma, as API Gateway joins them: two credentials are none.

    The blanks around a value are none of it (RFC 9110, 5.5).
    """
    found: dict[str, str] = {}
    for name, padded in headers:
        value = padded.strip(" \t")
        found[name] = f"{found[name]},{value}" if name in found else value
    return found
