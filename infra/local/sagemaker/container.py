"""One call of `/invocations`, with the rules SageMaker holds a container to."""

import http.client
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urlsplit

from infra.local.sagemaker.errors import InvocationFailed

PIECE = 1 << 20
PING_SECONDS = 2.0
NO_LENGTH = "The response from container primary did not specify the required Content-Length header"
TIMED_OUT = "ModelError: Invocation timed out while waiting for a response from container primary."
UNREACHABLE = "ModelError: Unable to reach container primary."
CUT_SHORT = "ModelError: The response from container primary ended before its Content-Length."


class Container:
    """A container at a loopback address. A call has a connection of its own."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(f"a container's address looks like http://127.0.0.1:8080, not {url!r}")
        self._host, self._port, self._path = parts.hostname, parts.port, parts.path.rstrip("/")
        self._open: set[socket.socket] = set()
        self._turn = threading.Lock()
        self._stopped = False

    def invoke(self, body: bytes, *, headers: Mapping[str, str], timeout: float) -> tuple[str, bytes]:
        """Content type and bytes of a 200 answer. Raises InvocationFailed for all else."""
        deadline = time.monotonic() + timeout
        connection = http.client.HTTPConnection(self._host, self._port, timeout=timeout)
        try:
            connection.connect()
            self._register(connection.sock)
        except OSError as error:
            raise InvocationFailed(UNREACHABLE) from error
        connected = connection.sock
        try:
            connection.request("POST", f"{self._path}/invocations", body=body, headers=dict(headers))
            return _answer(connection, connected, deadline)
        except TimeoutError as error:
            raise InvocationFailed(TIMED_OUT) from error
        except http.client.IncompleteRead as error:
            raise InvocationFailed(CUT_SHORT) from error
        except (OSError, http.client.HTTPException) as error:
            raise InvocationFailed(UNREACHABLE) from error
        finally:
            with self._turn:
                self._open.discard(connected)
            connection.close()
            connected.close()

    def healthy(self) -> bool:
        """SageMaker's health check: GET /ping answers 200 within two seconds."""
        connection = http.client.HTTPConnection(self._host, self._port, timeout=PING_SECONDS)
        try:
            connection.request("GET", f"{self._path}/ping")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def stop(self) -> None:
        """End the calls under way and begin no more."""
        with self._turn:
            self._stopped = True
            for connected in self._open:
                with suppress(OSError):
                    connected.shutdown(socket.SHUT_RDWR)

    def _register(self, connected: socket.socket) -> None:
        with self._turn:
            if self._stopped:
                connected.close()
                raise OSError("stopped")
            self._open.add(connected)


def _answer(
    connection: http.client.HTTPConnection, connected: socket.socket, deadline: float
) -> tuple[str, bytes]:
    _wait_until(connected, deadline)
    with connection.getresponse() as response:
        if response.getheader("Content-Length") is None or response.getheader("Transfer-Encoding"):
            raise InvocationFailed(NO_LENGTH)
        body = bytearray()
        while piece := response.read1(PIECE):
            body += piece
            _wait_until(connected, deadline)
        if response.length:
            raise http.client.IncompleteRead(bytes(body), response.length)
        if response.status == 200:
            return response.getheader("Content-Type") or "application/octet-stream", bytes(body)
    raise InvocationFailed(refused(response.status), body=bytes(body))


def refused(status: int) -> str:
    """What SageMaker says of a container's answer with this status."""
    side, kind = ("client", "ClientError") if 400 <= status < 500 else ("server", "ServerError")
    return (
        f"{kind}: Received {side} error ({status}) from model. "
        "See the SageMaker Endpoint logs in your account for more information."
    )


def _wait_until(connected: socket.socket, deadline: float) -> None:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    if connected.fileno() >= 0:  # an answer that has ended may have closed it
        connected.settimeout(left)
