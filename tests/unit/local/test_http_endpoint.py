"""What the endpoint of one machine does beyond the contract: waiting, deadlines, broken servers, stopping."""

import json
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import Mock

import pytest

from bot.domain.errors import Busy, ConfigError, Unavailable
from bot.local.http_endpoint import HttpEndpoint
from bot.local.inference_server import InferenceServer
from bot.local.journal import ListJournal
from bot.local.memory_objects import MemoryObjects
from bot.local.system import ManualClock
from bot.ports import Fate, Submission, Warmth
from tests.contracts.inference_stub import InferenceStub, running_stub
from tests.contracts.test_endpoint import PATIENCE, a_submission


class Bench:
    """An endpoint with everything around it within reach."""

    def __init__(
        self, url: str, *, most_bytes: int = 1 << 20, impatience: float = PATIENCE, **options: Any
    ) -> None:
        self.objects = MemoryObjects()
        self.clock = ManualClock()
        self.journal = ListJournal()
        self.settled: queue.Queue[str] = queue.Queue()
        self.endpoint = HttpEndpoint(
            InferenceServer(url, most_bytes=most_bytes, impatience=impatience),
            objects=self.objects,
            on_settled=options.pop("on_settled", self.settled.put),
            clock=self.clock,
            journal=self.journal,
            **{"down_patience": 0.0, "ping_every": 0.0, **options},
        )

    def failure_of(self, submission: Submission) -> str:
        """Submit and return the failure's code."""
        self.endpoint.submit(submission)
        self.settled.get(timeout=PATIENCE)
        (key,) = self.objects.list(submission.failure_prefix)
        return str(json.loads(self.objects.get(key) or b"")["error"]["code"])


@contextmanager
def bench(url: str, **options: Any) -> Iterator[Bench]:
    made = Bench(url, **options)
    try:
        yield made
    finally:
        made.endpoint.close()


@pytest.fixture
def stub() -> Iterator[InferenceStub]:
    with running_stub() as running:
        yield running


@contextmanager
def raw_server(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that answers pings and hands every other connection to `talk`."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with peer:
                if peer.recv(65536).startswith(b"GET /ping"):
                    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
                else:
                    talk(peer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


class TestFailures:
    def test_a_server_that_is_not_there_is_unavailable(self):
        with bench(closed_port()) as made:
            assert made.failure_of(a_submission()) == "unavailable"

    def test_a_server_that_comes_up_within_the_patience_draws(self):
        port = closed_port()
        with bench(port, down_patience=5.0) as made:
            made.endpoint.submit(a_submission())
            with running_stub(port=int(port.rpartition(":")[2])):
                made.settled.get(timeout=PATIENCE)
            assert made.objects.get(a_submission().output_key) is not None

    def test_a_drawing_that_takes_too_long_is_a_timeout(self, stub: InferenceStub):
        stub.gate.clear()
        with bench(stub.url) as made:
            assert made.failure_of(replace(a_submission(), timeout=0.1)) == "timeout"

    def test_an_answer_that_drips_does_not_outlive_the_timeout(self):
        stop = threading.Event()

        def drip(peer: socket.socket) -> None:
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            while not stop.wait(0.02):
                try:
                    peer.sendall(b"x")
                except OSError:
                    return

        with raw_server(drip) as url, bench(url) as made:
            assert made.failure_of(replace(a_submission(), timeout=0.3)) == "timeout"
            stop.set()

    @pytest.mark.parametrize(
        "told",
        [
            b"",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nshort",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
            b"nonsense\r\n\r\n",
        ],
    )
    def test_a_connection_that_breaks_is_unavailable_and_leaves_no_picture(self, told: bytes):
        with raw_server(lambda peer: peer.sendall(told)) as url, bench(url) as made:
            assert made.failure_of(a_submission()) == "unavailable"
            assert made.objects.get(a_submission().output_key) is None

    def test_an_answer_beyond_all_measure_is_not_kept(self, stub: InferenceStub):
        stub.answer = lambda _body: (200, b"x" * 5000)
        with bench(stub.url, most_bytes=1000) as made:
            assert made.failure_of(a_submission()) == "reply_too_large"

    @pytest.mark.parametrize(
        ("status", "body", "code"),
        [
            (500, b"<html>", "engine_error"),
            (503, b"[]", "unavailable"),
            (404, b'{"error": "text"}', "engine_error"),
        ],
    )
    def test_a_failure_in_no_known_form_still_has_a_code(
        self, stub: InferenceStub, status: int, body: bytes, code: str
    ):
        stub.answer = lambda _body: (status, body)
        with bench(stub.url) as made:
            assert made.failure_of(a_submission()) == code

    def test_a_disk_that_refuses_the_object_leaves_the_submission_lost(
        self, stub: InferenceStub, monkeypatch: pytest.MonkeyPatch
    ):
        with bench(stub.url) as made:
            monkeypatch.setattr(made.objects, "put", Mock(side_effect=Unavailable("ENOSPC")))
            made.endpoint.submit(a_submission())
            made.endpoint.submit(a_submission("b" * 26))
            for _ in range(2):
                stub.started.acquire(timeout=PATIENCE)
            while made.endpoint.fate(a_submission("b" * 26).inference_id) is not Fate.LOST:
                threading.Event().wait(0.01)
            assert made.endpoint.fate(a_submission().inference_id) is Fate.LOST
            assert len(made.journal.named("endpoint_crashed")) == 2

    def test_a_listener_that_raises_does_not_end_the_endpoint(self, stub: InferenceStub):
        told: queue.Queue[str] = queue.Queue()

        def listen(job_id: str) -> None:
            told.put(job_id)
            raise Unavailable("closed")

        with bench(stub.url, on_settled=listen) as made:
            for letter in "ab":
                made.endpoint.submit(a_submission(letter * 26))
                assert told.get(timeout=PATIENCE) == letter * 26

    def test_of_two_answers_for_one_key_the_first_stands(self, stub: InferenceStub):
        with bench(stub.url) as made:
            for ordinal in (1, 2):
                stub.answer = Mock(return_value=(200, b"%d" % ordinal))
                made.endpoint.submit(a_submission(ordinal=ordinal))
                made.settled.get(timeout=PATIENCE)
            assert made.objects.get(a_submission().output_key) == b"1"


class TestWaiting:
    def test_a_server_that_is_still_loading_is_waited_for(self, stub: InferenceStub):
        stub.ping = (503, b"{}")
        with bench(stub.url) as made:
            made.endpoint.submit(a_submission())
            assert made.endpoint.state().warmth is Warmth.WAKING
            assert made.objects.list("") == ()
            stub.ping = (200, b"{}")
            assert made.settled.get(timeout=PATIENCE) == "a" * 26
            assert made.objects.get(a_submission().output_key) is not None

    def test_a_server_that_kept_failing_gets_the_next_drawing_to_prove_itself(self, stub: InferenceStub):
        stub.ping = (503, b'{"state": "failing", "model": "demo"}')
        with bench(stub.url) as made:
            made.endpoint.submit(a_submission())
            assert made.settled.get(timeout=PATIENCE) == "a" * 26
            assert made.objects.get(a_submission().output_key) is not None

    def test_waiting_ends_when_the_time_to_live_is_over(self, stub: InferenceStub):
        stub.ping = (503, b"{}")
        with bench(stub.url) as made:
            made.endpoint.submit(a_submission())
            made.clock.advance(a_submission().ttl)
            made.settled.get(timeout=PATIENCE)
            (key,) = made.objects.list("failed/")
            assert json.loads(made.objects.get(key) or b"") == {"error": {"code": "expired"}}
            assert stub.invocations == []

    def test_a_submission_that_grew_old_in_the_queue_is_not_drawn(self, stub: InferenceStub):
        stub.gate.clear()
        with bench(stub.url) as made:
            made.endpoint.submit(a_submission())
            made.endpoint.submit(a_submission("b" * 26))
            stub.started.acquire(timeout=PATIENCE)
            made.clock.advance(a_submission().ttl + 1)
            stub.gate.set()
            assert [made.settled.get(timeout=PATIENCE) for _ in range(2)] == ["a" * 26, "b" * 26]
            assert len(stub.invocations) == 1
            assert len(made.objects.list(f"failed/T01/{'b' * 26}")) == 1

    def test_drawings_come_one_after_another_in_order(self, stub: InferenceStub):
        with bench(stub.url) as made:
            for letter in "cab":
                made.endpoint.submit(a_submission(letter * 26))
            assert [made.settled.get(timeout=PATIENCE) for _ in range(3)] == ["c" * 26, "a" * 26, "b" * 26]

    def test_the_same_submission_again_is_drawn_once(self, stub: InferenceStub):
        stub.gate.clear()
        with bench(stub.url) as made:
            for _ in range(3):
                made.endpoint.submit(a_submission())
            stub.gate.set()
            made.settled.get(timeout=PATIENCE)
            made.endpoint.submit(a_submission("b" * 26))
            assert made.settled.get(timeout=PATIENCE) == "b" * 26
            assert len(stub.invocations) == 2

    def test_a_full_queue_asks_to_come_back_later(self, stub: InferenceStub):
        stub.gate.clear()
        with bench(stub.url, most_held=2) as made:
            for letter in "ab":
                made.endpoint.submit(a_submission(letter * 26))
            with pytest.raises(Busy):
                made.endpoint.submit(a_submission("c" * 26))
            assert made.endpoint.fate(a_submission("c" * 26).inference_id) is Fate.LOST
            assert made.endpoint.state().backlog == 2


class TestCancel:
    def test_a_cancel_that_overtakes_its_submission_still_counts(self, stub: InferenceStub):
        with bench(stub.url) as made:
            assert made.endpoint.cancel(a_submission().inference_id) is False
            made.endpoint.submit(a_submission())
            made.endpoint.submit(a_submission("b" * 26))
            assert made.settled.get(timeout=PATIENCE) == "b" * 26
            assert len(stub.invocations) == 1

    def test_a_waiting_submission_is_forgotten(self, stub: InferenceStub):
        stub.gate.clear()
        with bench(stub.url) as made:
            for letter in "abc":
                made.endpoint.submit(a_submission(letter * 26))
            stub.started.acquire(timeout=PATIENCE)
            assert made.endpoint.cancel(a_submission("b" * 26).inference_id) is True
            assert made.endpoint.fate(a_submission("b" * 26).inference_id) is Fate.LOST
            stub.gate.set()
            assert [made.settled.get(timeout=PATIENCE) for _ in range(2)] == ["a" * 26, "c" * 26]
            assert stub.cancelled == []

    def test_a_running_drawing_is_stopped_by_the_server(self, stub: InferenceStub):
        stub.gate.clear()
        stub.answer = lambda _body: (499, b'{"error": {"code": "cancelled"}}')
        with bench(stub.url) as made:
            made.endpoint.submit(a_submission())
            stub.started.acquire(timeout=PATIENCE)
            assert made.endpoint.cancel(a_submission().inference_id) is True
            assert stub.cancelled == [a_submission().inference_id]
            stub.gate.set()
            made.settled.get(timeout=PATIENCE)
            (key,) = made.objects.list("failed/")
            assert b"cancelled" in (made.objects.get(key) or b"")

    def test_a_submission_that_waits_for_the_server_never_reaches_it(self, stub: InferenceStub):
        stub.ping = (503, b"{}")
        with bench(stub.url) as made:
            made.endpoint.submit(a_submission())
            stub.pinged.acquire(timeout=PATIENCE)
            assert made.endpoint.cancel(a_submission().inference_id) is True
            stub.ping = (200, b"{}")
            made.endpoint.submit(a_submission("b" * 26))
            assert made.settled.get(timeout=PATIENCE) == "b" * 26
            assert [inference_id for inference_id, _ in stub.invocations] == [
                a_submission("b" * 26).inference_id
            ]


class TestState:
    def test_a_server_that_is_not_there_is_down(self):
        with bench(closed_port()) as made:
            state = made.endpoint.state()
            assert (state.warmth, state.instances, state.window) == (Warmth.DOWN, 0, 3)

    def test_an_awake_server_names_its_model(self, stub: InferenceStub):
        with bench(stub.url, window=5, name="desk") as made:
            state = made.endpoint.state()
            assert (state.warmth, state.instances, state.model) == (Warmth.AWAKE, 1, "demo")
            assert (state.window, state.name) == (5, "desk")

    def test_a_look_is_kept_for_a_while(self, stub: InferenceStub):
        with bench(stub.url, ping_every=3600.0) as made:
            assert made.endpoint.state().warmth is Warmth.AWAKE
            stub.ping = (503, b"{}")
            assert made.endpoint.state().warmth is Warmth.AWAKE

    def test_a_server_too_busy_to_answer_the_ping_is_not_down(self):
        with (
            socket.create_server(("127.0.0.1", 0)) as silent,
            bench(f"http://127.0.0.1:{silent.getsockname()[1]}", impatience=0.05) as made,
        ):
            assert made.endpoint.state().warmth is Warmth.WAKING

    def test_progress_is_told_for_what_this_endpoint_drew(self, stub: InferenceStub):
        stub.gate.clear()
        mine = {"id": a_submission().inference_id, "state": "drawing", "step": 3, "steps": 20}
        odd = [{"id": None}, {"id": a_submission().inference_id, "step": "x", "steps": 2}, 7]
        stub.progress = (200, json.dumps({"invocations": [*odd, mine, {**mine, "id": "else"}]}).encode())
        with bench(stub.url) as made:
            assert made.endpoint.progress() == {}
            made.endpoint.submit(a_submission())
            stub.started.acquire(timeout=PATIENCE)
            assert made.endpoint.progress() == {a_submission().inference_id: (3, 20)}
            stub.progress = (404, b"nothing here")
            assert made.endpoint.progress() == {}

    @pytest.mark.parametrize("url", ["", "127.0.0.1:8080", "ftp://127.0.0.1", "http://"])
    def test_an_address_that_is_none_is_told_at_once(self, url: str):
        with pytest.raises(ConfigError, match="http://127"):
            InferenceServer(url)


class TestClose:
    def test_closing_in_the_middle_of_a_drawing_ends_at_once_and_writes_nothing(self, stub: InferenceStub):
        stub.gate.clear()
        made = Bench(stub.url)
        made.endpoint.submit(a_submission())
        made.endpoint.submit(a_submission("b" * 26))
        stub.started.acquire(timeout=PATIENCE)
        made.endpoint.close()
        assert made.objects.list("") == ()
        assert made.settled.empty()
        assert "endpoint" not in {thread.name for thread in threading.enumerate()}
        with pytest.raises(Unavailable):
            made.endpoint.submit(a_submission("c" * 26))

    def test_after_a_restart_earlier_submissions_are_lost(self, stub: InferenceStub):
        with bench(stub.url) as first:
            first.endpoint.submit(a_submission())
            first.settled.get(timeout=PATIENCE)
        with bench(stub.url) as second:
            assert second.endpoint.fate(a_submission().inference_id) is Fate.LOST
