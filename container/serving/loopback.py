"""On a person's own machine, keep web pages out: a page in a browser can reach loopback ports too."""

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from container.serving.settings import is_loopback


class LoopbackOnly:
    """Refuse requests whose Host is not a loopback name (DNS rebinding) or that a web page sent (Origin)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _is_local(dict(scope["headers"])):
            await self._app(scope, receive, send)
            return
        body = {"code": "forbidden", "message": "only for programs on this machine", "field": None}
        await JSONResponse({"error": body}, status_code=403)(scope, receive, send)


def _is_local(headers: dict[bytes, bytes]) -> bool:
    host = headers.get(b"host", b"").decode("latin-1")
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    return b"origin" not in headers and is_loopback(name.strip("[]"))
