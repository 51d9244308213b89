"""The bot's door for HTTP: who gets in, how much is read, what a stranger learns."""

import http.client
import socket
import threading
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

import pytest

from bot.domain.errors import ConfigError
from bot.local.journal import ListJournal
from bot.local.web_server import MOST_BYTES, PlainReply, Reply, WebServer


def address_of(server: WebServer) -> tuple[str, int]:
    place = urlsplit(server.url)
    assert place.hostname is not None
    assert place.port is not None
    return place.hostname, place.port


class House:
    """A web server whose handler keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.journal = ListJournal()
        self.forget()
        self.server = WebServer(self.handle, journal=self.journal, hosts=frozenset({"bot.example"}))
        self.address = address_of(self.server)

    def forget(self) -> None:
        """Be as new for the next test."""
        self.asked.clear()
        self.journal.events.clear()
        self.reply: Reply | Exception = PlainReply(status=200, headers={"x-told": "yes"}, body=b"welcome")

    def handle(self, method: str, path: str, headers: Sequence[tuple[str, str]], body: bytes) -> Reply:
        self.asked.append((method, path, dict(headers), body))
        if isinstance(self.reply, Exception):
            raise self.reply
        return self.reply

    def send(self, raw: bytes) -> bytes:
        """Everything that comes back for these bytes until the server hangs up or we have waited enough."""
        with socket.create_connection(self.address, timeout=60) as peer:
            peer.sendall(raw)
            peer.shutdown(socket.SHUT_WR)
            received = b""
            while piece := peer.recv(65536):
                received += piece
        return received

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(*self.address, timeout=60)
        try:
            connection.request(method, path, body=body, headers=headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()


@pytest.fixture(scope="module")
def standing_house() -> Iterator[House]:
    made = House()
    made.server.start()
    yield made
    made.server.close()


@pytest.fixture
def house(standing_house: House) -> House:
    standing_house.forget()
    return standing_house


def test_a_request_arrives_as_it_was_sent_and_the_answer_goes_back(house: House):
    body = bytes(range(256))
    assert house.ask("POST", "/slack/events?x=1", body, **{"X-Slack-Signature": "v0=1"}) == (200, b"welcome")
    ((method, path, headers, received),) = house.asked
    assert (method, path, received) == ("POST", "/slack/events?x=1", body)
    assert headers["x-slack-signature"] == "v0=1"


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_every_method_reaches_the_handler(house: House, method: str):
    assert house.ask(method, "/") == (200, b"welcome")
    assert house.asked[0][0] == method


def test_a_head_request_gets_the_headers_alone(house: House):
    assert house.ask("HEAD", "/") == (200, b"")


def test_one_connection_carries_many_requests(house: House):
    connection = http.client.HTTPConnection(*house.address, timeout=60)
    for number in range(3):
        connection.request("POST", f"/{number}", body=b"x" * number)
        assert connection.getresponse().read() == b"welcome"
    connection.close()
    assert [path for _, path, _, _ in house.asked] == ["/0", "/1", "/2"]


def test_requests_are_served_beside_each_other():
    meeting = threading.Barrier(4)

    def handle(*_request: object) -> Reply:
        meeting.wait(60)
        return PlainReply(status=204)

    together = WebServer(handle, journal=ListJournal())
    together.start()
    statuses: list[int] = []

    def ask() -> None:
        connection = http.client.HTTPConnection(*address_of(together), timeout=60)
        connection.request("GET", "/")
        statuses.append(connection.getresponse().status)
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    together.close()
    assert statuses == [204] * 4


def test_a_body_of_just_the_limit_passes(house: House):
    assert house.ask("POST", "/", b"x" * MOST_BYTES)[0] == 200


def test_a_body_over_the_limit_is_refused_without_reading_it_all(house: House):
    assert house.ask("POST", "/", b"x" * (MOST_BYTES + 1))[0] == 413
    claimed = house.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\nx")
    assert claimed.startswith(b"HTTP/1.1 413 ")
    assert house.asked == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (b"Host: evil.example\r\n", 403),
        (b"Host: 127.0.0.1.evil.example\r\n", 403),
        (b"Host: localhost@evil.example\r\n", 403),
        (b"Host: [::1\r\n", 403),
        (b"", 403),
        (b"Host: localhost\r\nHost: evil.example\r\n", 403),
        (b"Host: localhost\r\nOrigin: https://evil.example\r\n", 403),
        (b"Host: localhost\r\nOrigin: null\r\n", 403),
        (b"Host: localhost\r\nTransfer-Encoding: chunked\r\n", 411),
        (b"Host: localhost\r\nContent-Length: -1\r\n", 400),
        (b"Host: localhost\r\nContent-Length: x\r\n", 400),
        (b"Host: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n", 400),
        (b"Host: localhost\r\nContent-Length: " + b"9" * 5000 + b"\r\n", 400),
    ],
)
def test_a_request_refused_for_its_headers_never_reaches_the_handler(
    house: House, headers: bytes, status: int
):
    answer = house.send(b"POST / HTTP/1.1\r\n" + headers + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert house.asked == []


@pytest.mark.parametrize("host", ["localhost:3001", "127.0.0.1", "[::1]:80", "bot.example"])
@pytest.mark.parametrize("origin", [None, "http://127.0.0.1:3000", "https://bot.example"])
def test_hosts_of_ours_get_in(house: House, host: str, origin: str | None):
    headers = {"Host": host} | ({"Origin": origin} if origin else {})
    assert house.ask("POST", "/", b"", **headers)[0] == 200


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x16\x03\x01\x02",
        b"GET\r\n\r\n",
        b"POST / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"a" * 70_000,
    ],
)
def test_what_is_no_http_harms_nobody(house: House, raw: bytes):
    house.send(raw)
    assert house.ask("GET", "/") == (200, b"welcome")


def test_a_peer_that_hangs_up_in_the_middle_harms_nobody(house: House):
    house.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhalf")
    assert house.asked == []
    assert house.ask("GET", "/") == (200, b"welcome")


def test_a_handler_that_raises_is_an_empty_500_and_an_event_without_the_message(house: House):
    house.reply = ValueError("a secret prompt")
    assert house.ask("POST", "/") == (500, b"")
    assert house.journal.events == [("request_crashed", {"kind": "ValueError"})]


def test_a_taken_port_is_told_in_words(house: House):
    with pytest.raises(ConfigError, match="choose another port"):
        WebServer(house.handle, journal=ListJournal(), port=house.address[1])


def test_closing_ends_idle_connections_and_every_thread():
    before = set(threading.enumerate())
    made = House()
    made.server.start()
    idle = http.client.HTTPConnection(*made.address, timeout=60)
    idle.request("GET", "/")
    idle.getresponse().read()
    made.server.close()
    assert set(threading.enumerate()) <= before
    idle.close()


def test_a_request_under_way_is_answered_while_closing():
    arrived, go = threading.Event(), threading.Event()

    def handle(*_request: object) -> Reply:
        arrived.set()
        go.wait(60)
        return PlainReply(status=200, body=b"done")

    server = WebServer(handle, journal=ListJournal())
    server.start()
    connection = http.client.HTTPConnection(*address_of(server), timeout=60)
    connection.request("GET", "/")
    arrived.wait(60)
    closing = threading.Thread(target=server.close)
    closing.start()
    go.set()
    assert connection.getresponse().read() == b"done"
    closing.join()
    connection.close()


def test_a_server_that_was_never_started_can_be_closed():
    House().server.close()
