"""The one address of the rehearsed region: passes every request on, and keeps a record of the signed ones.

SageMaker and Application Auto Scaling are the stand-in's (infra/local/sagemaker), everything else is the
emulator's. Requests go on byte by byte with the Host they were signed for, so signatures stay valid. The
emulator is told that TLS ended here, as a load balancer tells it: buckets refuse everything else.
"""

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from infra.endpoint.settings import TRIAL_TYPES
from infra.quota.quotas import Use
from infra.rehearsal.calls import Call, Request, Signer, calls_of, signer_of

PATIENCE = 120.0
OURS = ("sagemaker", "application-autoscaling")
JSON = (("Content-Type", "application/x-amz-json-1.1"),)
PER_CONNECTION = {"connection", "keep-alive", "transfer-encoding", "content-length", "server"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What goes back."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A call by whoever has the access key `key`, and the status of the answer."""

    key: str
    call: Call
    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A signed request, and how long its answer took behind the gateway."""

    request: Request
    signer: Signer
    status: int
    seconds: float


Watch = Callable[[Served], None]


@dataclass(slots=True)
class Record:
    """What went through; safe for any number of threads."""

    _entries: list[Recorded] = field(default_factory=list)
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def add(self, entries: list[Recorded]) -> None:
        with self._turn:
            self._entries += entries

    def by(self, key: str) -> list[Recorded]:
        """Everything that was signed with this access key, in order."""
        with self._turn:
            return [entry for entry in self._entries if entry.key == key]


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstreams:
    """Where requests go on to. `sagemaker` answers for the services of `OURS`."""

    emulator: str
    sagemaker: str
    account: str


def unwatched(_served: Served) -> None:
    """Nobody looks."""


class Gateway(ThreadingHTTPServer):
    """Listens on a free loopback port. `watch` is called from many threads.

    `signed_for` is the host and port that clients signed for, where a proxy between them and this gateway
    has put this gateway's own.
    """

    daemon_threads = True

    def __init__(
        self, upstreams: Upstreams, *, record: Record, watch: Watch = unwatched, signed_for: str = ""
    ) -> None:
        self.upstreams = upstreams
        self.watch = watch
        self.record = record
        self.signed_for = signed_for
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hung up is its own business: it is told by whoever drives the story."""


@contextmanager
def listening(
    upstreams: Upstreams, *, record: Record | None = None, watch: Watch = unwatched, signed_for: str = ""
) -> Iterator[Gateway]:
    """Served until the block ends. Two gateways may share a `record`."""
    gateway = Gateway(upstreams, record=record or Record(), watch=watch, signed_for=signed_for)
    thread = threading.Thread(target=gateway.serve_forever, kwargs={"poll_interval": 0.05}, name="gateway")
    thread.start()
    try:
        yield gateway
    finally:
        gateway.shutdown()
        thread.join()
        gateway.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body of an answer leave together
    server: Gateway

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65_537)
        if not self.raw_requestline:
            self.close_connection = True
            return
        if self.parse_request():
            self._pass_on()
            self.wfile.flush()

    def handle_expect_100(self) -> bool:
        """At once: a client that waits for it sends no body before."""
        told = super().handle_expect_100()
        self.wfile.flush()
        return told

    def _pass_on(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(method=self.command, path=self.path, headers=headers, body=self._body())
        signer = signer_of(request)
        began = time.monotonic()
        answer = self._answer(request, signer)
        if signer is not None:
            seconds = time.monotonic() - began
            self.server.watch(Served(request=request, signer=signer, status=answer.status, seconds=seconds))
            calls = calls_of(request, signer, account=self.server.upstreams.account)
            self.server.record.add([Recorded(key=signer.key, call=c, status=answer.status) for c in calls])
        self._reply(answer)

    def _answer(self, request: Request, signer: Signer | None) -> Answer:
        """Quotas are told here: neither of the two knows that service."""
        if signer is not None and signer.service == "servicequotas":
            return Answer(status=200, headers=JSON, body=json.dumps(quotas_told(request)).encode())
        ours = signer is not None and signer.service in OURS
        where = self.server.upstreams
        return _forward(request, self._headers(), where.sagemaker if ours else where.emulator)

    def _headers(self) -> dict[str, str]:
        told = {name: value for name, value in self.headers.items() if name.lower() != "host"}
        return {"Host": self.server.signed_for or self.headers.get("Host", ""), **told}

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return b"".join(self._chunks())
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline().split(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            continue

    def _reply(self, answer: Answer) -> None:
        self.send_response_only(answer.status)
        for name, value in answer.headers:
            if name.lower() not in PER_CONNECTION:
                self.send_header(name, value)
        told = {name.lower(): value for name, value in answer.headers}
        length = told.get("content-length", "0") if self.command == "HEAD" else str(len(answer.body))
        self.send_header("Content-Length", length)
        self.end_headers()
        self.wfile.write(answer.body)


def _forward(request: Request, headers: Mapping[str, str], upstream: str) -> Answer:
    """A connection of its own for each: nothing is ever sent twice because one had gone stale."""
    address = urlsplit(upstream)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=PATIENCE)
    try:
        connection.putrequest(request.method, request.path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            if name.lower() not in {"transfer-encoding", "content-length", "connection", "expect"}:
                connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(request.body)))
        connection.putheader("X-Forwarded-Proto", "https")
        connection.endheaders(request.body)
        reply = connection.getresponse()
        return Answer(status=reply.status, headers=tuple(reply.getheaders()), body=reply.read())
    finally:
        connection.close()


def quotas_told(request: Request) -> Mapping[str, Any]:
    """What the account may run: one instance of the trial's type, so that a larger wish is refused."""
    operation = request.headers.get("x-amz-target", "").rpartition(".")[2]
    if operation == "ListRequestedServiceQuotaChangeHistory":
        return {"RequestedQuotas": []}
    kind = f"{TRIAL_TYPES[0]} for {Use.ENDPOINT}"
    return {"Quotas": [{"ServiceCode": "sagemaker", "QuotaName": kind, "QuotaCode": "L-1", "Value": 1.0}]}
