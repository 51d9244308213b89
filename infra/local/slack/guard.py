"""Only this machine's own pages and programs may speak to the workspace."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})


class LoopbackGuard:
    """Refuses what another site can make a browser send here.

    A foreign ``Host`` is how DNS rebinding shows, a foreign ``Origin`` how a script or form elsewhere does,
    and ``Sec-Fetch-Site`` how an image or a link elsewhere does (a link may only lead to the page itself).
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"} or _is_ours(scope):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            refusal = PlainTextResponse("foreign Host or Origin", status_code=403)
            await refusal(scope, receive, send)


def _is_ours(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    host, origin = headers.get("host", ""), headers.get("origin")
    if _name_in(host) not in LOOPBACK_NAMES:
        return False
    if origin is not None and origin != f"http://{host}":
        return False
    from_elsewhere = headers.get("sec-fetch-site") in {"cross-site", "same-site"}
    return not from_elsewhere or _is_a_visit(scope, headers)


def _name_in(host: str) -> str | None:
    """Without the port; None for what is no host (an open bracket, say)."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _is_a_visit(scope: Scope, headers: Headers) -> bool:
    path = scope["path"]
    return headers.get("sec-fetch-mode") == "navigate" and (path == "/" or path.startswith("/archives/"))
