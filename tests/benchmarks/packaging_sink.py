"""An S3 for benchmarks alone, in a process of its own: it compares checksums and keeps small bodies only.

Loopback S3 servers are slower than the clients that are measured here. This one answers what uploading
asks, reads as fast as one core can, and can be slowed to the rate of a link. It compares the CRC-32 of parts,
objects and whole uploads where a client sends one; MD5 and SHA-256 that other clients send cost it nothing.
"""

import base64
import itertools
import multiprocessing
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.etree import ElementTree as ET

from isal import isal_zlib

MIB = 2**20
PIECE = MIB
KEPT_BYTES = MIB
"""Bodies up to this size are kept: catalogues are read back."""

UNPACED = 0.002
"""Seconds a link may run ahead before a reader waits: shorter waits last longer than was asked for."""

CAUGHT_UP = 0.02
"""Seconds a link may make up for: what is on its way goes on while this process waits for a core."""

REASONS = {100: "Continue", 200: "OK", 204: "No Content", 400: "Bad Request", 404: "Not Found"}
XMLNS = "http://s3.amazonaws.com/doc/2006-03-01/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sink:
    """`link.value`: bytes a second it takes, 0 for no limit. `received.value`: bytes of all bodies."""

    url: str
    link: Any
    received: Any


@contextmanager
def sink() -> Iterator[Sink]:
    """The service, empty, while the block lasts."""
    link, received = multiprocessing.Value("d", 0.0), multiprocessing.Value("q", 0)
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        process = multiprocessing.Process(target=_serve, args=(listening, link, received), daemon=True)
        process.start()
    try:
        yield Sink(url=url, link=link, received=received)
    finally:
        process.terminate()
        process.join()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stored:
    """`crc32` of all of it; `body` of a small one; `source` is what a part was copied from."""

    size: int
    crc32: int
    body: bytes = b""
    source: "_Stored | None" = None

    @property
    def headers(self) -> dict[str, str]:
        return {"ETag": f'"{self.crc32:08x}"', "x-amz-checksum-crc32": _encoded(self.crc32)}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    method: str
    key: str
    query: Mapping[str, str]
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] | None = None


class _Link:
    """One wire for all connections."""

    def __init__(self, rate: Any, received: Any) -> None:
        self._rate, self._received = rate, received
        self._turn = threading.Lock()
        self._free_at = 0.0

    def carry(self, size: int) -> None:
        """Return when so many bytes could have come."""
        with self._turn:
            self._received.value += size
            if not self._rate.value:
                return
            now = time.monotonic()
            self._free_at = max(self._free_at, now - CAUGHT_UP) + size / self._rate.value
            ahead = self._free_at - now
        if ahead > UNPACED:
            time.sleep(ahead)


class _Bucket:
    """Objects and uploads by key, whatever the bucket is called."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._objects: dict[str, _Stored] = {}
        self._uploads: dict[str, tuple[str, dict[int, _Stored]]] = {}
        self._ids = itertools.count(1)

    def answer(self, request: _Request, arrived: _Stored) -> _Answer:
        wanted = request.headers.get("x-amz-checksum-crc32")
        if wanted and request.method == "PUT" and wanted != _encoded(arrived.crc32):
            return _refusal(400, "BadDigest")
        with self._turn:
            if request.method == "PUT":
                return self._put(request, arrived)
            if request.method == "POST":
                return self._post(request, arrived)
            if request.method == "DELETE":
                self._objects.pop(request.key, None)
                self._uploads.pop(request.query.get("uploadId", ""), None)
                return _Answer(status=204)
            return self._get(request)

    def _put(self, request: _Request, arrived: _Stored) -> _Answer:
        source = request.headers.get("x-amz-copy-source")
        if source:
            arrived = self._copied(unquote(source), request.headers.get("x-amz-copy-source-range"))
        if upload := request.query.get("uploadId"):
            self._uploads[upload][1][int(request.query["partNumber"])] = arrived
        else:
            self._objects[request.key] = arrived
        told = {"ETag": arrived.headers["ETag"], "LastModified": "2026-01-01T00:00:00Z"}
        name = "CopyPartResult" if upload else "CopyObjectResult"
        return _Answer(headers=arrived.headers, body=_xml(name, **told) if source else b"")

    def _copied(self, source: str, span: str | None) -> _Stored:
        """The CRC-32 of a copied span is not known here; that of all of them together is the source's."""
        whole = self._objects[source.lstrip("/").partition("/")[2]]
        if span is None:
            return whole
        first, last = map(int, span.removeprefix("bytes=").split("-"))
        return _Stored(size=last - first + 1, crc32=0, source=whole)

    def _post(self, request: _Request, arrived: _Stored) -> _Answer:
        if "uploads" in request.query:
            upload = f"upload-{next(self._ids)}"
            self._uploads[upload] = (request.key, {})
            return _Answer(body=_xml("InitiateMultipartUploadResult", UploadId=upload, Key=request.key))
        _, parts = self._uploads.pop(request.query["uploadId"])
        whole = _joined([parts[number] for number in sorted(parts)])
        wanted = request.headers.get("x-amz-checksum-crc32", "")
        if wanted and "-" not in wanted and wanted != _encoded(whole.crc32):
            return _refusal(400, "BadDigest")
        self._objects[request.key] = whole
        told = {"ETag": whole.headers["ETag"], "ChecksumCRC32": _encoded(whole.crc32)}
        full = {"ChecksumType": "FULL_OBJECT"}
        return _Answer(body=_xml("CompleteMultipartUploadResult", Key=request.key, **told, **full))

    def _get(self, request: _Request) -> _Answer:
        if not request.key:
            return _Answer(body=self._listed(request.query))
        found = self._objects.get(request.key)
        if found is None:
            return _refusal(404, "NoSuchKey")
        if request.method == "HEAD":
            sized = {"Content-Length": str(found.size), "x-amz-checksum-type": "FULL_OBJECT"}
            return _Answer(headers={**found.headers, **sized})
        return _Answer(headers=found.headers, body=found.body)

    def _listed(self, query: Mapping[str, str]) -> bytes:
        """No upload is ever unfinished when it is asked for: here nothing is interrupted."""
        if "uploads" in query:
            return _xml("ListMultipartUploadsResult", IsTruncated="false")
        items = [
            ("Contents", {"Key": key, "Size": str(found.size), "ETag": found.headers["ETag"]})
            for key, found in sorted(self._objects.items())
            if key.startswith(query.get("prefix", ""))
        ]
        return _xml("ListBucketResult", *items, IsTruncated="false")


def _serve(listening: socket.socket, rate: Any, received: Any) -> None:
    bucket, link = _Bucket(), _Link(rate, received)
    while True:
        connection, _ = listening.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_talk, args=(connection, bucket, link), daemon=True).start()


def _talk(connection: socket.socket, bucket: _Bucket, link: _Link) -> None:
    """One request after another, as HTTP/1.1 keeps a connection."""
    room, held = memoryview(bytearray(PIECE)), b""
    with connection:
        while (found := _head(connection, held)) is not None:
            request, held = found
            if "expect" in request.headers:
                _send(connection, _Answer(status=100), bodiless=True)
            arrived, held = _body(connection, request, held, room, link)
            _send(connection, bucket.answer(request, arrived), bodiless=request.method == "HEAD")


def _head(connection: socket.socket, held: bytes) -> tuple[_Request, bytes] | None:
    """The next request's line and headers, and what came behind them; None when the peer has gone."""
    while b"\r\n\r\n" not in held:
        more = connection.recv(2**16)
        if not more:
            return None
        held += more
    head, _, rest = held.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    parts = urlsplit(target)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    key = unquote(parts.path).lstrip("/").partition("/")[2]
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    return _Request(method=method, key=key, query=query, headers=headers), rest


def _body(
    connection: socket.socket, request: _Request, held: bytes, room: memoryview, link: _Link
) -> tuple[_Stored, bytes]:
    """Read and drop it, with its CRC-32."""
    length = int(request.headers.get("content-length", 0))
    begun, rest = held[:length], held[length:]
    crc32, done = isal_zlib.crc32(begun), len(begun)
    kept = [begun]
    while done < length:
        got = connection.recv_into(room[: min(PIECE, length - done)], flags=socket.MSG_WAITALL)
        if not got:
            break
        crc32 = isal_zlib.crc32(room[:got], crc32)
        if length <= KEPT_BYTES:
            kept.append(bytes(room[:got]))
        done += got
        link.carry(got)
    small = b"".join(kept) if length <= KEPT_BYTES else b""
    return _Stored(size=done, crc32=crc32, body=small), rest


def _send(connection: socket.socket, answer: _Answer, *, bodiless: bool) -> None:
    sized = {} if answer.status == 100 else {"Content-Length": str(len(answer.body))}
    headers = {**sized, "x-amz-request-id": "sink", **(answer.headers or {})}
    lines = [f"HTTP/1.1 {answer.status} {REASONS[answer.status]}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    connection.sendall("\r\n".join([*lines, "", ""]).encode() + (b"" if bodiless else answer.body))


def _refusal(status: int, code: str) -> _Answer:
    return _Answer(status=status, body=_xml("Error", Code=code, Message=code))


def _xml(name: str, *items: tuple[str, Mapping[str, str]], **told: str) -> bytes:
    root = ET.Element(name, xmlns=XMLNS) if name != "Error" else ET.Element(name)
    for tag, text in told.items():
        ET.SubElement(root, tag).text = text
    for item, facts in items:
        element = ET.SubElement(root, item)
        for tag, text in facts.items():
            ET.SubElement(element, tag).text = text
    return ET.tostring(root, xml_declaration=True, encoding="UTF-8")


def _joined(parts: list[_Stored]) -> _Stored:
    source = parts[0].source
    if source is not None:
        return source if sum(part.size for part in parts) == source.size else _Stored(size=0, crc32=0)
    size, crc32 = 0, 0
    for part in parts:
        crc32 = isal_zlib.crc32_combine(crc32, part.crc32, part.size)
        size += part.size
    return _Stored(size=size, crc32=crc32)


def _encoded(crc32: int) -> str:
    return base64.b64encode(crc32.to_bytes(4, "big")).decode()
