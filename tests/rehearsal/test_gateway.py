"""What goes through the gateway arrives as it was sent, and what was signed is written down."""

import http.client
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from infra.rehearsal.calls import Call, Request, Signer, name_of
from infra.rehearsal.gateway import Record, Upstreams, listening

ACCOUNT = "123456789012"
BODY = bytes(range(256)) * 20


def signed(service, key="AKIDEXAMPLE"):
    scope = f"{key}/20260101/us-east-1/{service}/aws4_request"
    return f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"


class Upstream(ThreadingHTTPServer):
    """Answers with what it got."""

    def __init__(self, name):
        self.name, self.seen, self.date = name, [], None
        super().__init__(("127.0.0.1", 0), _Echo)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class _Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append((self.command, self.path, dict(self.headers.items()), body))
        self.send_response_only(207)
        self.send_header("Date", self.server.date or self.date_time_string())
        self.send_header("X-Upstream", self.server.name)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        self.answer()

    def do_HEAD(self):
        self.answer()

    def do_POST(self):
        self.answer()

    def do_PUT(self):
        self.answer()

    def log_message(self, *_):
        pass


@pytest.fixture
def world():
    upstreams = [Upstream("emulator"), Upstream("sagemaker")]
    threads = [
        threading.Thread(target=each.serve_forever, kwargs={"poll_interval": 0.01}) for each in upstreams
    ]
    for thread in threads:
        thread.start()
    emulator, sagemaker = upstreams
    with listening(Upstreams(emulator=emulator.url, sagemaker=sagemaker.url, account=ACCOUNT)) as gateway:
        yield gateway, emulator, sagemaker
    for each, thread in zip(upstreams, threads, strict=True):
        each.shutdown()
        thread.join()
        each.server_close()


def asked(gateway, method, path, *, body=None, headers=None, chunked=False):
    connection = http.client.HTTPConnection("127.0.0.1", gateway.server_port, timeout=20)
    try:
        connection.request(method, path, body=body, headers=headers or {}, encode_chunked=chunked)
        answer = connection.getresponse()
        return answer, answer.read()
    finally:
        connection.close()


def test_a_request_arrives_byte_by_byte_and_its_answer_comes_back(world):
    gateway, emulator, _ = world
    answer, body = asked(
        gateway, "PUT", "/b/in/a%20b?x=1&y", body=BODY, headers={"X-Own": "é".encode("latin-1")}
    )

    assert (answer.status, answer.headers["X-Upstream"], body) == (207, "emulator", BODY)
    method, path, headers, seen = emulator.seen[0]
    assert (method, path, seen, headers["X-Own"]) == ("PUT", "/b/in/a%20b?x=1&y", BODY, "é")


def test_the_host_that_was_signed_goes_on_and_tls_is_told_to_have_ended_here(world):
    gateway, emulator, _ = world
    asked(gateway, "GET", "/")

    headers = emulator.seen[0][2]
    assert headers["Host"] == f"127.0.0.1:{gateway.server_port}"
    assert headers["X-Forwarded-Proto"] == "https"


def test_a_body_in_chunks_arrives_whole(world):
    gateway, emulator, _ = world
    pieces = iter([BODY[:100], BODY[100:]])
    asked(gateway, "POST", "/", body=pieces, headers={"Transfer-Encoding": "chunked"}, chunked=True)

    assert emulator.seen[0][3] == BODY


def test_the_answer_to_head_has_a_length_and_no_body(world):
    gateway, _, _ = world
    answer, body = asked(gateway, "HEAD", "/b/k", headers={"Content-Length": "0"})

    assert (answer.status, body) == (207, b"")


@pytest.mark.parametrize("service", ["sagemaker", "application-autoscaling"])
def test_the_stand_in_answers_for_sagemaker_and_its_scaling(world, service):
    gateway, _, _ = world
    answer, _ = asked(gateway, "POST", "/", headers={"Authorization": signed(service)})

    assert answer.headers["X-Upstream"] == "sagemaker"


def test_quotas_are_told_without_anybody_behind(world):
    gateway, emulator, sagemaker = world
    target = {"X-Amz-Target": "ServiceQuotasV20190624.ListServiceQuotas"}
    answer, body = asked(gateway, "POST", "/", headers={"Authorization": signed("servicequotas"), **target})

    assert answer.status == 200
    assert b"for endpoint usage" in body
    assert emulator.seen == sagemaker.seen == []


def test_what_was_signed_is_written_down_by_key_with_its_outcome(world):
    gateway, _, _ = world
    asked(gateway, "GET", "/b/out/k", headers={"Authorization": signed("s3", key="ASIA1")})
    asked(gateway, "POST", "/slack/events", body=b"unsigned")

    (entry,) = gateway.record.by("ASIA1")
    assert (entry.call, entry.status) == (Call(action="s3:GetObject", resource="arn:aws:s3:::b/out/k"), 207)
    assert gateway.record.by("ASIA2") == []


def test_who_watches_sees_each_signed_request_with_its_status():
    seen = []
    nobody = Upstreams(emulator="http://127.0.0.1:9", sagemaker="http://127.0.0.1:9", account=ACCOUNT)
    with listening(nobody, watch=seen.append) as gateway:
        target = {"X-Amz-Target": "ServiceQuotasV20190624.ListServiceQuotas"}
        asked(gateway, "POST", "/", body=b"{}", headers={"Authorization": signed("servicequotas"), **target})

    (served,) = seen
    assert (served.signer.key, served.status) == ("AKIDEXAMPLE", 200)
    assert name_of(served.request, served.signer) == "servicequotas ListServiceQuotas"


def test_an_object_is_named_by_what_is_done_with_it():
    signer = Signer(key="AKIDEXAMPLE", region="us-east-1", service="s3")
    put = Request(method="PUT", path="/bucket/out/a", headers={}, body=b"")
    assert name_of(put, signer) == "s3 PutObject"


def test_the_time_of_whoever_answers_comes_back(world):
    """Checks go by it: the region's time is not the machine's."""
    gateway, emulator, _ = world
    emulator.date = "Thu, 01 Jan 2037 00:00:00 GMT"
    answer, _ = asked(gateway, "GET", "/")

    assert answer.headers["Date"] == emulator.date


def test_who_asks_whether_to_send_a_body_is_told_at_once(world):
    gateway, emulator, _ = world
    with socket.create_connection(("127.0.0.1", gateway.server_port), timeout=20) as peer:
        head = f"PUT /b/k HTTP/1.1\r\nHost: x\r\nContent-Length: {len(BODY)}\r\nExpect: 100-continue\r\n\r\n"
        peer.sendall(head.encode())
        assert peer.recv(100).startswith(b"HTTP/1.1 100 Continue")
        peer.sendall(BODY)
        assert peer.recv(100).startswith(b"HTTP/1.1 207")

    assert emulator.seen[0][3] == BODY


def test_behind_a_proxy_the_host_that_was_signed_goes_on(world):
    _, emulator, sagemaker = world
    upstreams = Upstreams(emulator=emulator.url, sagemaker=sagemaker.url, account=ACCOUNT)
    record = Record()
    with listening(upstreams, record=record, signed_for="127.0.0.1:7") as behind:
        asked(behind, "GET", "/b/k", headers={"host": "proxy", "Authorization": signed("s3")})

    assert emulator.seen[0][2]["Host"] == "127.0.0.1:7"
    assert [entry.status for entry in record.by("AKIDEXAMPLE")] == [207]
