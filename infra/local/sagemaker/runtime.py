"""The HTTP side: `InvokeEndpointAsync` as SageMaker Runtime serves it, and on the same port a control route.

One endpoint without a control plane (`SagemakerRuntime`):

    GET  /_sagemaker/state      status, instances, backlog, tally and faults
    POST /_sagemaker/faults     set switches (see faults.py), such as {"throttled": 2}
    POST /_sagemaker/endpoint   {"instances": 0, "status": "InService"}

A region whose endpoints are made by requests (`RegionServer`); it answers the JSON requests of SageMaker and
Application Auto Scaling too:

    GET  /_sagemaker/state          every endpoint
    POST /_sagemaker/region         {"advance": 60, "capacity": {"free": {}}, "unhealthy_starts": 1,
                                     "interruptions": 1}
    POST /_sagemaker/faults/NAME    the switches of one endpoint
"""

import json
import socket
import struct
import threading
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Protocol, Self
from urllib.parse import unquote, urlsplit

from infra.local.sagemaker.endpoint import Accepted, AsyncEndpoint
from infra.local.sagemaker.errors import Refusal
from infra.local.sagemaker.region import Region
from infra.local.sagemaker.request_reader import RequestReader

MOST_BYTES = 1 << 20
CONTROL = "/_sagemaker/"
LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})
RESET_AT_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER on, zero seconds: closing sends a reset."""


class _Served(Protocol):
    """What the port gives access to."""

    def endpoint(self, name: str) -> AsyncEndpoint:
        """Raises Refusal."""

    def now(self) -> float:
        """Seconds since 1970 in the time of what is served, which answers bear."""

    def call(self, target: str, body: bytes) -> bytes:
        """A request of a JSON service. Raises Refusal."""

    def control(self, method: str, route: str, told: dict[str, Any]) -> dict[str, Any]:
        """Raises Refusal, ValueError or TypeError."""


class _Port:
    """Serves on 127.0.0.1 until `close`. Raises OSError when the port is taken."""

    def __init__(self, served: _Served, *, port: int = 0) -> None:
        self._server = _Server(served, port)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, name="sagemaker-runtime"
        )
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the port and return when no thread is left."""
        self._server.shutdown()
        self._thread.join()
        self._server.hang_up()
        self._server.server_close()


class SagemakerRuntime(_Port):
    """Serves one endpoint, and ends it with itself."""

    def __init__(self, endpoint: AsyncEndpoint, *, port: int = 0) -> None:
        self.endpoint = endpoint
        super().__init__(_OneEndpoint(endpoint), port=port)

    def close(self) -> None:
        super().close()
        self.endpoint.close()


class RegionServer(_Port):
    """Serves a region, keeps it going, and ends it with itself."""

    def __init__(self, region: Region, *, port: int = 0) -> None:
        self.region = region
        super().__init__(_WholeRegion(region), port=port)
        self._ended = threading.Event()
        self._clockwork = threading.Thread(target=region.run, args=(self._ended,), name="sagemaker-region")
        self._clockwork.start()

    def close(self) -> None:
        super().close()
        self._ended.set()
        self._clockwork.join()
        self.region.close()


class _OneEndpoint:
    """There is no control plane: the endpoint is there, whatever it is called for."""

    def __init__(self, endpoint: AsyncEndpoint) -> None:
        self._endpoint = endpoint

    def endpoint(self, name: str) -> AsyncEndpoint:
        del name
        return self._endpoint

    def now(self) -> float:
        return time.time()

    def call(self, target: str, body: bytes) -> bytes:
        del target, body
        raise Refusal("UnknownOperationException", "no such operation", status=404)

    def control(self, method: str, route: str, told: dict[str, Any]) -> dict[str, Any]:
        if (method, route) == ("POST", "faults"):
            self._endpoint.faults.change(told)
        elif (method, route) == ("POST", "endpoint"):
            self._endpoint.scale(**_known(told))
        elif (method, route) != ("GET", "state"):
            raise Refusal("UnknownOperationException", "no such control", status=404)
        return _state(self._endpoint)


class _WholeRegion:
    def __init__(self, region: Region) -> None:
        self._region = region

    def endpoint(self, name: str) -> AsyncEndpoint:
        return self._region.runtime(name)

    def now(self) -> float:
        return self._region.now()

    def call(self, target: str, body: bytes) -> bytes:
        return self._region.call(target, body)

    def control(self, method: str, route: str, told: dict[str, Any]) -> dict[str, Any]:
        kind, _, name = route.partition("/")
        if (method, kind) == ("POST", "faults"):
            endpoint = self._region.runtime(unquote(name))
            endpoint.faults.change(told)
            return _state(endpoint)
        if (method, route) == ("POST", "region"):
            return self._region.change(told)
        if (method, route) == ("GET", "state"):
            return self._region.told()
        raise Refusal("UnknownOperationException", "no such control", status=404)


class _Server(ThreadingHTTPServer):
    """Knows its open connections, so that ending does not wait for clients that keep them open."""

    daemon_threads = False

    def __init__(self, served: _Served, port: int) -> None:
        self.served = served
        self.reader = RequestReader()
        self.hung_up = threading.Event()
        self._open: set[socket.socket] = set()
        self._turn = threading.Lock()
        super().__init__(("127.0.0.1", port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._turn:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._turn:
            self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        self.hung_up.set()
        with self._turn:
            for connected in self._open:
                with suppress(OSError):
                    connected.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (the base class's name for it)
        """Say nothing: headers hold names that are nobody's business."""

    def date_time_string(self, timestamp: float | None = None) -> str:
        return super().date_time_string(self.server.served.now() if timestamp is None else timestamp)

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MOST_BYTES:
            self.close_connection = True
            self._refuse(Refusal("ValidationError", f"a body needs a length of at most {MOST_BYTES}"))
            return
        self._answer(self.rfile.read(int(length)))

    def _answer(self, body: bytes) -> None:
        with suppress(ConnectionError):
            try:
                if self.path.startswith(CONTROL):
                    self._reply(200, self._controlled(body))
                elif "X-Amz-Target" in self.headers:
                    self._check_signed()
                    self._reply_json(self.server.served.call(self.headers["X-Amz-Target"], body))
                else:
                    self._invoke(body)
            except Refusal as refusal:
                self._refuse(refusal)

    def _check_signed(self) -> None:
        if not self.headers.get("Authorization", "").startswith("AWS4-HMAC-SHA256 "):
            raise Refusal("MissingAuthenticationTokenException", "Missing Authentication Token", status=403)

    def _invoke(self, body: bytes) -> None:
        """The faults stand where they do on the way to a real service: before, or after it has accepted."""
        if self.command != "POST":
            raise Refusal("UnknownOperationException", "no such operation", status=404)
        self._check_signed()
        parts = urlsplit(self.path).path.split("/")
        endpoint = self.server.served.endpoint(unquote(parts[2]) if len(parts) > 2 else "")
        faults = endpoint.faults
        self.server.hung_up.wait(faults.reply_seconds)
        if faults.take("throttled"):
            raise Refusal("ThrottlingException", "Rate exceeded")
        if faults.take("failed_before"):
            raise Refusal("ServiceUnavailable", "The service is unavailable.", status=503)
        accepted = self._accepted(endpoint, body)
        if faults.take("failed_after"):
            raise Refusal("InternalFailure", "An internal failure occurred.", status=500)
        if faults.take("dropped_replies"):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
            self.close_connection = True
            return
        self._reply(
            202,
            {"InferenceId": accepted.inference_id},
            {
                "X-Amzn-SageMaker-OutputLocation": accepted.output_location,
                "X-Amzn-SageMaker-FailureLocation": accepted.failure_location,
            },
        )

    def _accepted(self, endpoint: AsyncEndpoint, body: bytes) -> Accepted:
        request = self.server.reader.read(
            urlsplit(self.path).path,
            _plain(self.headers),
            body,
            unknown=endpoint.faults.unknown_fields,
            ignored=endpoint.faults.ignored_fields,
        )
        return endpoint.accept(request)

    def _controlled(self, body: bytes) -> dict[str, Any]:
        """Only for programs of this machine: what a page elsewhere can make a browser send is refused."""
        if (
            urlsplit(f"//{self.headers.get('Host', '')}").hostname not in LOOPBACK_NAMES
            or "Origin" in self.headers
        ):
            raise Refusal("AccessDeniedException", "foreign Host or Origin", status=403)
        told = _json_object(body) if self.command == "POST" else {}
        try:
            return self.server.served.control(self.command, self.path.removeprefix(CONTROL), told)
        except (ValueError, TypeError) as error:
            raise Refusal("ValidationError", str(error)) from error

    def _refuse(self, refusal: Refusal) -> None:
        told = {"__type": refusal.code, "Message": refusal.message, "message": refusal.message}
        self._reply(refusal.status, told, {"x-amzn-ErrorType": refusal.code})

    def _reply(self, status: int, told: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
        self._send(status, json.dumps(told).encode(), "application/json", headers or {})

    def _reply_json(self, body: bytes) -> None:
        self._send(200, body, "application/x-amz-json-1.1", {})

    def _send(self, status: int, body: bytes, content_type: str, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("x-amzn-RequestId", str(uuid.uuid4()))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _plain(headers: Message) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _state(endpoint: AsyncEndpoint) -> dict[str, Any]:
    return {
        "name": endpoint.config.name,
        "status": endpoint.status,
        "instances": endpoint.instances,
        "backlog": endpoint.backlog,
        "tally": asdict(endpoint.tally),
        "faults": endpoint.faults.told(),
    }


def _json_object(body: bytes) -> dict[str, Any]:
    """Raises Refusal."""
    try:
        told = json.loads(body)
    except ValueError as error:
        raise Refusal("ValidationError", str(error)) from error
    if not isinstance(told, dict):
        raise Refusal("ValidationError", "the body must be a JSON object")
    return told


def _known(told: Mapping[str, Any]) -> dict[str, Any]:
    """Raises ValueError for a name or a type that `scale` does not take."""
    kinds = {"instances": int, "status": str}
    for name, value in told.items():
        if name not in kinds or not isinstance(value, kinds[name]) or isinstance(value, bool):
            raise ValueError(f'takes {{"instances": 1, "status": "InService"}}, not {name}={value!r}')
    return dict(told)
