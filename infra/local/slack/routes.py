"""What the bot calls: ``/api/<method>``, upload addresses, files, ``response_url``, Socket Mode; and
``/log``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from infra.local.slack.connections import Connections
from infra.local.slack.errors import SlackError
from infra.local.slack.faults import Fault, FaultKind
from infra.local.slack.json_text import read_object
from infra.local.slack.platform import Platform
from infra.local.slack.sessions import Sessions
from infra.local.slack.traffic import Exchange, without_secrets
from infra.local.slack.web_api import RateLimited, answer
from infra.local.slack.workspace import File, User

LOGIN_PAGE = "<!doctype html><title>Sign in</title><p>You need to sign in to see this file.</p>"


@dataclass(frozen=True, slots=True, kw_only=True)
class BotRoutes:
    platform: Platform
    connections: Connections
    sessions: Sessions

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/api/{method}", self.api, methods=["GET", "POST"]),
            Route("/upload/v1/{secret}", self.upload, methods=["POST", "PUT"]),
            Route("/files-pri/{address}/{name}", self.download),
            Route("/files-pri/{address}/download/{name}", self.download),
            Route("/commands/{team}/{secret}", self.response_url, methods=["POST"]),
            Route("/actions/{team}/{secret}", self.response_url, methods=["POST"]),
            WebSocketRoute("/link/", self.socket),
            Route("/log", self.log),
            Route("/faults", self.plan_fault, methods=["POST"]),
        ]

    async def api(self, request: Request) -> Response:
        method, started = request.path_params["method"], perf_counter()
        try:
            args, token = await read_call(request)
        except SlackError as refusal:
            return JSONResponse(refusal.to_json())

        def act() -> Response:
            return self._call(method, args, token, started)

        return await self._through_faults(request, method, act)

    def _call(self, method: str, args: dict[str, Any], token: str | None, started: float) -> Response:
        try:
            body = answer(self.platform, method, args, token=token)
        except RateLimited as limited:
            self._log(method, started, args, {"error": "ratelimited"}, status=429)
            return rate_limited(limited.seconds)
        self._log(method, started, args, body)
        return JSONResponse(body, headers={"X-OAuth-Scopes": ",".join(self.platform.app.scopes)})

    async def upload(self, request: Request) -> Response:
        content, started = await request.body(), perf_counter()

        def act() -> Response:
            refusal = self.platform.uploads.receive(request.path_params["secret"], content)
            body = {} if refusal is None else {"error": refusal}
            self._log("upload", started, {"length": len(content)}, {"ok": refusal is None, **body})
            if refusal is not None:
                return PlainTextResponse(refusal, status_code=400)
            return PlainTextResponse(f"OK - {len(content)}")

        return await self._through_faults(request, "upload", act)

    async def download(self, request: Request) -> Response:
        """The bytes, or what Slack shows a stranger: a sign-in page with status 200."""
        file = self.platform.workspace.files.get(request.path_params["address"].rpartition("-")[2])
        if file is None or file.deleted:
            return PlainTextResponse("not found", status_code=404)
        if not self._may_read(file, request):
            return HTMLResponse(LOGIN_PAGE)
        headers = {"Cache-Control": "private, max-age=3600", "X-Content-Type-Options": "nosniff"}
        if "/download/" in request.url.path:
            headers["Content-Disposition"] = "attachment"
        return Response(file.content, media_type=file.mimetype, headers=headers)

    async def response_url(self, request: Request) -> Response:
        started, raw = perf_counter(), await request.body()
        try:
            fields = read_object(raw)
        except SlackError:
            return JSONResponse(SlackError("invalid_payload").to_json(), status_code=400)

        def act() -> Response:
            try:
                self.platform.replies.use(request.path_params["secret"], fields)
            except SlackError as refusal:
                self._log("response_url", started, fields, refusal.to_json())
                return JSONResponse(refusal.to_json(), status_code=404)
            self._log("response_url", started, fields, {"ok": True})
            return PlainTextResponse("ok")

        return await self._through_faults(request, "response_url", act)

    async def socket(self, socket: WebSocket) -> None:
        await self.platform.sockets.serve(socket)

    async def log(self, _request: Request) -> Response:
        return JSONResponse({"exchanges": self.platform.traffic.to_json()})

    async def plan_fault(self, request: Request) -> Response:
        """Plan a fault from outside: ``{"method": …, "kind": …, "seconds": …, "error": …, "times": …}``."""
        try:
            asked = read_object(await request.body())
            seconds = asked.get("seconds")
            self.platform.faults.plan(
                str(asked["method"]),
                FaultKind(asked["kind"]),
                seconds=None if seconds is None else float(seconds),
                error=asked.get("error"),
                times=int(asked.get("times", 1)),
            )
        except (SlackError, ValueError, KeyError, TypeError) as wrong:
            return JSONResponse({"ok": False, "error": f"not a fault: {wrong}"}, status_code=400)
        return JSONResponse({"ok": True})

    def _may_read(self, file: File, request: Request) -> bool:
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        if bearer == self.platform.app.bot_token:
            return True
        user = self.sessions.user_of(request)
        return user is not None and self._sees(user, file)

    def _sees(self, user: User, file: File) -> bool:
        channels = self.platform.workspace.channels
        return any(user.id in channels[channel].members for channel in _where_shown(file))

    async def _through_faults(self, request: Request, name: str, act: Callable[[], Response]) -> Response:
        fault = self.platform.faults.take(name)
        if fault is None:
            return act()
        self._log(name, perf_counter(), {}, {"ok": False, "error": f"fault: {fault.kind}"})
        return await self._misbehave(request, fault, act)

    async def _misbehave(self, request: Request, fault: Fault, act: Callable[[], Response]) -> Response:
        match fault.kind:
            case FaultKind.RATE_LIMITED:
                return rate_limited(fault.seconds)
            case FaultKind.SERVER_ERROR:
                return HTMLResponse("<h1>Internal Server Error</h1>", status_code=500)
            case FaultKind.REFUSED:
                return JSONResponse(SlackError(fault.error or "internal_error").to_json())
            case FaultKind.SLOW:
                response = act()
                await self.platform.clock.sleep(fault.seconds or 0)
                return response
            case FaultKind.CUT_SHORT:
                return first_half(act())
            case FaultKind.DROP_AFTER:
                act()
            case FaultKind.LATE:
                self.platform.background.start(self._later(fault.seconds or 0, act))
            case FaultKind.DROP_BEFORE:
                pass
        await self.connections.abort(request.scope["client"])
        return Response()

    async def _later(self, seconds: float, act: Callable[[], Response]) -> None:
        await self.platform.clock.sleep(seconds)
        act()

    def _log(
        self, name: str, started: float, request: dict[str, Any], response: dict[str, Any], status: int = 200
    ) -> None:
        self.platform.traffic.record(
            Exchange(
                at=self.platform.clock.now(),
                direction="in",
                name=name,
                ok=bool(response.get("ok")),
                error=response.get("error"),
                status=status,
                ms=round((perf_counter() - started) * 1000, 1),
                request=without_secrets(request),
                response=without_secrets(response),
            )
        )


def _where_shown(file: File) -> set[str]:
    return {message.channel for message in file.shares} | file.shown_in


def rate_limited(seconds: float | None) -> Response:
    headers = {} if seconds is None else {"Retry-After": str(int(seconds))}
    return JSONResponse(SlackError("ratelimited").to_json(), status_code=429, headers=headers)


def first_half(whole: Response) -> Response:
    """As much of an answer, under a length that says it is all."""
    half = bytes(whole.body)[: len(whole.body) // 2]
    return Response(half, status_code=whole.status_code, media_type=whole.media_type)


async def read_call(request: Request) -> tuple[dict[str, Any], str | None]:
    """Arguments from query, form or JSON body, and the token from the header or an argument."""
    args: dict[str, Any] = dict(request.query_params)
    if request.method == "POST":
        args |= read_body(request.headers.get("content-type", ""), await request.body())
    header = request.headers.get("authorization", "")
    token = header.removeprefix("Bearer ") if header.startswith("Bearer ") else args.pop("token", None)
    return args, token


def read_body(content_type: str, body: bytes) -> dict[str, Any]:
    """Raises ``invalid_json``, ``json_not_object``, ``invalid_form_data`` or ``invalid_post_type``."""
    if not body:
        return {}
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/json":
        return read_object(body)
    if kind == "application/x-www-form-urlencoded":
        try:
            return dict(parse_qsl(body.decode(), keep_blank_values=True))
        except UnicodeDecodeError:
            raise SlackError("invalid_form_data") from None
    raise SlackError("invalid_post_type" if kind else "missing_post_type")
