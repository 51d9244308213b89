"""The HTTP side: `InvokeEndpointAsync` as SageMaker Runtime serves it, and on the same port a control route.

GET  /_sagemaker/state      status, instances, backlog, tally and faults
POST /_sagemaker/faults     set switches (see faults.py), such as {"throttled": 2}
POST /_sagemaker/endpoint   {"instances": 0, "status": "InService"}
"""

import json
import socket
import struct
import threading
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from infra.local.sagemaker.endpoint import Accepted, AsyncEndpoint
from infra.local.sagemaker.errors import Refusal
from infra.local.sagemaker.request_reader import RequestReader

MOST_BYTES = 1 << 20
CONTROL = "/_sagemaker/"
LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})
RESET_AT_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER on, zero seconds: closing sends a reset."""


class SagemakerRuntime:
    """Serves one endpoint on 127.0.0.1 until `close`. Raises OSError when the port is taken."""

    def __init__(self, endpoint: AsyncEndpoint, *, port: int = 0) -> None:
        self.endpoint = endpoint
        self._server = _Server(endpoint, port)
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
        """Close the port, stop the endpoint and return when no thread is left."""
        self._server.shutdown()
        self._thread.join()
        self._server.hang_up()
        self._server.server_close()
        self.endpoint.close()


class _Server(ThreadingHTTPServer):
    """Knows its open connections, so that ending does not wait for clients that keep them open."""

    daemon_threads = False

    def __init__(self, endpoint: AsyncEndpoint, port: int) -> None:
        self.endpoint = endpoint
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
                else:
                    self._invoke(body)
            except Refusal as refusal:
                self._refuse(refusal)

    def _invoke(self, body: bytes) -> None:
        """The faults stand where they do on the way to a real service: before, or after it has accepted."""
        faults = self.server.endpoint.faults
        if self.command != "POST":
            raise Refusal("UnknownOperationException", "no such operation", status=404)
        if not self.headers.get("Authorization", "").startswith("AWS4-HMAC-SHA256 "):
            raise Refusal("MissingAuthenticationTokenException", "Missing Authentication Token", status=403)
        self.server.hung_up.wait(faults.reply_seconds)
        if faults.take("throttled"):
            raise Refusal("ThrottlingException", "Rate exceeded")
        if faults.take("failed_before"):
            raise Refusal("ServiceUnavailable", "The service is unavailable.", status=503)
        accepted = self._accepted(body)
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

    def _accepted(self, body: bytes) -> Accepted:
        endpoint = self.server.endpoint
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
        endpoint, route = self.server.endpoint, (self.command, self.path.removeprefix(CONTROL))
        try:
            if route == ("POST", "faults"):
                endpoint.faults.change(_json_object(body))
            elif route == ("POST", "endpoint"):
                endpoint.scale(**_known(_json_object(body)))
            elif route != ("GET", "state"):
                raise Refusal("UnknownOperationException", "no such control", status=404)
        except (ValueError, TypeError) as error:
            raise Refusal("ValidationError", str(error)) from error
        return _state(endpoint)

    def _refuse(self, refusal: Refusal) -> None:
        self._reply(refusal.status, {"Message": refusal.message}, {"x-amzn-ErrorType": refusal.code})

    def _reply(self, status: int, told: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
        body = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("x-amzn-RequestId", str(uuid.uuid4()))
        for name, value in (headers or {}).items():
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
    """Raises ValueError."""
    told = json.loads(body)
    if not isinstance(told, dict):
        raise ValueError("the body must be a JSON object")  # noqa: TRY004  (what was sent is wrong, not a call)
    return told


def _known(told: Mapping[str, Any]) -> dict[str, Any]:
    """Raises ValueError for a name or a type that `scale` does not take."""
    kinds = {"instances": int, "status": str}
    for name, value in told.items():
        if name not in kinds or not isinstance(value, kinds[name]) or isinstance(value, bool):
            raise ValueError(f'takes {{"instances": 1, "status": "InService"}}, not {name}={value!r}')
    return dict(told)
