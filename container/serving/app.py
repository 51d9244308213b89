"""The HTTP side: `/ping`, `/invocations`, and on loopback `/control/progress` and `/control/cancel`."""

import asyncio
import logging
import re
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from container.serving.catalogue_task import CatalogueTask
from container.serving.drawing_queue import DrawingQueue, State
from container.serving.engine import Engine
from container.serving.errors import (
    BadRequest,
    BodyTooLarge,
    Cancelled,
    EngineCrash,
    ServingError,
    UnknownName,
)
from container.serving.image_check import ImageCheck, open_image_check
from container.serving.image_files import FileOptions, accepted_format
from container.serving.invocation import Task, parse_invocation
from container.serving.loopback import LoopbackOnly
from container.serving.model_folder import ModelFolder
from container.serving.output import log_crash
from container.serving.settings import Settings
from container.serving.tickets import Ticket

log = logging.getLogger("container.serving")

INFERENCE_ID_HEADER = "X-Amzn-SageMaker-Inference-Id"


def create_app(
    engine: Engine,
    *,
    settings: Settings,
    folder: ModelFolder | None = None,
    check: ImageCheck | None = None,
    choose_seed: Callable[[], int] = lambda: secrets.randbelow(2**32),
    clock: Callable[[], float] = time.monotonic,
) -> Starlette:
    """The application around one engine. Its lifespan starts the drawing thread and drains it at the end.

    `folder` is shown in the catalogue, `check` scores the pictures (by default as the settings say). The
    queue is reachable as `app.state.queue`, for a server that begins to drain when told to stop.
    """
    server = _Server(
        engine,
        settings=settings,
        folder=folder,
        check=check or open_image_check(wanted=settings.image_check),
        choose_seed=choose_seed,
        clock=clock,
    )
    routes = [
        Route("/ping", server.ping, methods=["GET"]),
        Route("/invocations", server.invocations, methods=["POST"]),
    ]
    if settings.control:
        routes += [
            Route("/control/progress", server.progress, methods=["GET"]),
            Route("/control/cancel", server.cancel, methods=["POST"]),
        ]
    app = Starlette(
        routes=routes,
        lifespan=server.lifespan,
        middleware=[Middleware(LoopbackOnly)] if settings.control else [],
        exception_handlers={ServingError: _answer_error, HTTPException: _answer_http},
    )
    app.state.queue = server.queue
    return app


class _Server:
    """The routes and what they share."""

    def __init__(
        self,
        engine: Engine,
        *,
        settings: Settings,
        folder: ModelFolder | None,
        check: ImageCheck,
        choose_seed: Callable[[], int],
        clock: Callable[[], float],
    ) -> None:
        self.queue = DrawingQueue(engine, settings=settings, clock=clock)
        self._check = check
        self._settings = settings
        self._folder = folder
        self._choose_seed = choose_seed
        self._clock = clock
        self._started_at = clock()

    @asynccontextmanager
    async def lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        self.queue.start()
        watch = asyncio.create_task(self._watch())
        yield
        watch.cancel()
        self.queue.drain()
        self.queue.abort()

    async def ping(self, _request: Request) -> Response:
        """SageMaker's health check; answered from a snapshot, never by the engine."""
        health = self.queue.health()
        ready = health.state is State.READY
        report = {
            "status": "Healthy" if ready else "Unhealthy",
            "state": health.state,
            "reason": health.reason,
            "waiting": health.waiting,
            "uptime_s": round(self._clock() - self._started_at, 1),
            "image_check": self._check.state,
        }
        if info := health.engine:
            report |= {"engine": info.name, "model": info.model, "model_hash": info.model_hash}
            report |= {"label": info.label} if info.label else {}
        return JSONResponse(report, status_code=200 if ready else 503)

    async def invocations(self, request: Request) -> Response:
        """Do the task. The reply is one body with a Content-Length, or a typed error."""
        try:
            return await self._answer(request)
        except ServingError:
            raise
        except ClientDisconnect as error:
            raise Cancelled("the client went away") from error
        except Exception as error:  # noqa: BLE001 (left to the framework, its message would reach the log)
            log_crash(error)
            raise EngineCrash(f"the server failed with {type(error).__name__}") from None

    async def _answer(self, request: Request) -> Response:
        began = self._clock()
        self.queue.refuse_unless_serving()
        body = await _read_body(request, limit=self._settings.limits.body_bytes)
        task = await run_in_threadpool(self._parse, body)
        if isinstance(task, CatalogueTask):
            return _json(
                task.reply(self.queue.catalogue(), engine=self.queue.health().engine, folder=self._folder)
            )
        ticket = self.queue.submit(task, inference_id=_inference_id(request))
        result = await self._outcome(ticket, request)
        files = FileOptions(
            format=accepted_format(request.headers.get("accept", "")),
            embed_parameters=self._settings.embed_parameters,
        )
        reply = await run_in_threadpool(task.reply, result, files=files, check=self._check)
        log.info("%s: %.2f s", task.summary(), self._clock() - began)
        return _json(reply)

    async def progress(self, _request: Request) -> Response:
        """Open invocations, the drawing one first."""
        return JSONResponse(
            {
                "invocations": [
                    {
                        "id": ticket.inference_id,
                        "state": ticket.state,
                        "step": ticket.step,
                        "steps": ticket.steps,
                    }
                    for ticket in self.queue.open_tickets()
                ]
            }
        )

    async def cancel(self, request: Request) -> Response:
        """Cancel by inference id: a waiting invocation at once, a drawing one between steps."""
        try:
            inference_id = (await request.json())["id"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise BadRequest("must be the id of an invocation", field="id") from error
        if not isinstance(inference_id, str):
            raise BadRequest("must be the id of an invocation", field="id")
        return JSONResponse({"cancelled": self.queue.cancel_inference(inference_id)})

    def _parse(self, body: bytes) -> Task | CatalogueTask:
        return parse_invocation(
            body,
            catalogue=self.queue.catalogue(),
            limits=self._settings.limits,
            choose_seed=self._choose_seed,
        )

    async def _outcome(self, ticket: Ticket, request: Request) -> Any:
        """The ticket's result; a client that goes away, or a server that stops, cancels the ticket."""
        outcome = asyncio.wrap_future(ticket.outcome)
        gone = asyncio.create_task(_disconnected(request))
        either: set[asyncio.Future[Any]] = {outcome, gone}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if outcome.done():
                return outcome.result()
            raise Cancelled("the client went away")
        finally:
            gone.cancel()
            outcome.cancel()
            self.queue.cancel(ticket)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(min(1.0, self._settings.stall_s / 4))
            self.queue.check_stall()


async def _read_body(request: Request, *, limit: int) -> bytes:
    """The whole body, refused as soon as it is known to be too long."""
    too_large = BodyTooLarge(f"the body may have at most {limit} bytes")
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced) > limit:
        raise too_large
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > limit:
            raise too_large
    return bytes(body)


async def _disconnected(request: Request) -> None:
    """Return once the client has closed the connection; the body has been read before."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _inference_id(request: Request) -> str | None:
    """The caller's id for this invocation, if SageMaker could have sent it: 1-64 visible characters."""
    sent = request.headers.get(INFERENCE_ID_HEADER, "")
    return sent if re.fullmatch(r"[!-~]{1,64}", sent) else None


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json")


async def _answer_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ServingError)
    log.info("refused: %d %s", error.status, error.code)
    body: dict[str, object] = {"code": error.code, "message": error.message, "field": error.field}
    if isinstance(error, UnknownName):
        body["nearest"] = error.nearest
    headers = {"Retry-After": "1"} if error.status == 503 else None
    return JSONResponse({"error": body}, status_code=error.status, headers=headers)


async def _answer_http(_request: Request, error: Exception) -> Response:
    """Routing's own refusals (404, 405) in the same shape."""
    assert isinstance(error, HTTPException)
    body = {"code": "http_error", "message": error.detail, "field": None}
    return JSONResponse({"error": body}, status_code=error.status_code, headers=error.headers)
