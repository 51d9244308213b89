"""After a crash the engine is tried, set up anew where it must be, and those who wait are served."""

import threading
from dataclasses import replace

import pytest

from container.serving.drawing_queue import WARM_UP
from container.serving.engine import DrawRequest
from container.serving.errors import Stuck
from container.serving.pattern_engine import PatternEngine
from container.serving.settings import Settings
from tests.container.engines import HELD_AT_MOST, BreaksOnce, EveryFeature, RaisesInGenerate
from tests.container.served import PATIENCE, Call, eventually, serving, text_to_image


def error_of(response):
    return response.status_code, response.json()["error"]["code"]


class TestRestart:
    def test_a_broken_engine_is_set_up_anew_and_who_waited_is_served(self):
        engine = BreaksOnce()
        with serving(engine) as client:
            broken = Call(client, text_to_image(prompt="break it"))
            assert error_of(broken.response()) == (500, "engine_crash")
            eventually(lambda: client.get("/ping").json()["state"] == "restarting")
            sick = client.get("/ping")
            assert (sick.status_code, sick.json()["engine"]) == (503, "pattern")
            waiting = [Call(client, text_to_image(prompt=f"fox {n}")) for n in range(3)]
            eventually(lambda: client.get("/ping").json()["waiting"] == 3)
            engine.may_restart.set()
            assert [call.response().status_code for call in waiting] == [200, 200, 200]
            assert client.get("/ping").status_code == 200
        assert engine.setups == 2

    def test_an_engine_that_still_draws_is_left_alone(self):
        engine = RaisesInGenerate()
        with serving(engine) as client:
            assert error_of(client.post("/invocations", json=text_to_image())) == (500, "engine_crash")
            engine.broken = False
            assert client.post("/invocations", json=text_to_image()).status_code == 200

    def test_where_no_set_up_helps_the_server_is_unhealthy_for_good_and_says_why(self):
        engine = BreaksOnce(mends=False)
        with serving(engine) as client:
            client.post("/invocations", json=text_to_image(prompt="break it"))
            eventually(lambda: client.get("/ping").json()["state"] == "restarting")
            waiting = Call(client, text_to_image())
            eventually(lambda: client.get("/ping").json()["waiting"] == 1)
            engine.may_restart.set()
            assert error_of(waiting.response()) == (503, "not_ready")
            sick = client.get("/ping").json()
            assert (sick["state"], sick["status"]) == ("setup failed", "Unhealthy")
            assert "RuntimeError" in sick["reason"]
            assert error_of(client.post("/invocations", json=text_to_image())) == (503, "not_ready")

    def test_an_engine_that_tells_itself_that_it_is_stuck_counts_as_failing(self):
        class SaysStuck(PatternEngine):
            def generate(self, request, *, on_step):
                if request.prompt:
                    raise Stuck("no progress for 100 seconds")
                return super().generate(request, on_step=on_step)

        with serving(SaysStuck(), failures_until_unhealthy=2) as client:
            answers = [client.post("/invocations", json=text_to_image()) for _ in range(2)]
            assert [error_of(answer) for answer in answers] == [(504, "stuck")] * 2
            assert client.get("/ping").json()["state"] == "failing"


class Practising(PatternEngine):
    """Keeps the sizes it was asked for; a picture of 512 pixels waits before its first step."""

    def __init__(self, *sides):
        super().__init__()
        self._sides = sides
        self.sizes = []
        self.at_gate = threading.Event()
        self.gate = threading.Event()

    def catalogue(self):
        return replace(super().catalogue(), warm_up_sides=self._sides)

    def generate(self, request: DrawRequest, *, on_step):
        self.sizes.append(request.width)

        def gated(step, steps):
            if request.width == 512:
                self.at_gate.set()
                self.gate.wait(HELD_AT_MOST)
            on_step(step, steps)

        return super().generate(request, on_step=gated)


class TestWarmUps:
    def test_larger_ones_follow_once_the_server_is_healthy(self):
        engine = Practising(512, 768)
        with serving(engine) as client:
            assert engine.at_gate.wait(PATIENCE)
            assert client.get("/ping").status_code == 200
            engine.gate.set()
            eventually(lambda: engine.sizes == [64, 512, 768])
            assert client.post("/invocations", json=text_to_image()).status_code == 200

    def test_give_way_to_whoever_comes(self):
        engine = Practising(512, 768)
        with serving(engine) as client:
            assert engine.at_gate.wait(PATIENCE)
            call = Call(client, text_to_image(width=72))
            eventually(lambda: client.get("/ping").json()["waiting"] == 1)
            engine.gate.set()
            assert call.response().status_code == 200
            eventually(lambda: len(engine.sizes) == 4)
        assert engine.sizes == [64, 512, 72, 768]

    def test_one_that_hangs_is_a_stuck_engine(self):
        engine = Practising(512)
        with serving(engine, ready=False, stall_s=0.2) as client:
            assert engine.at_gate.wait(PATIENCE)
            waiting = Call(client, text_to_image())
            assert error_of(waiting.response()) == (503, "not_ready")
            assert client.get("/ping").json()["state"] == "stuck"
            engine.gate.set()
            eventually(lambda: client.get("/ping").status_code == 200)

    def test_one_that_fails_changes_nothing(self):
        class TooSmall(PatternEngine):
            def catalogue(self):
                return replace(super().catalogue(), warm_up_sides=(512,))

            def generate(self, request, *, on_step):
                if request.width > 64:
                    raise MemoryError
                return super().generate(request, on_step=on_step)

        with serving(TooSmall(), failures_until_unhealthy=1) as client:
            assert client.post("/invocations", json=text_to_image()).status_code == 200
            assert client.get("/ping").status_code == 200

    def test_the_first_picture_is_the_smallest_in_one_step(self):
        assert (WARM_UP.width, WARM_UP.height, WARM_UP.steps) == (64, 64, 1)


@pytest.mark.parametrize(("value", "wanted"), [({}, True), ({"WARM_UP": "0"}, False)])
def test_practice_may_be_switched_off(value, wanted):
    assert Settings.from_environment(host="0.0.0.0", environment=value).warm_up is wanted
    engine = Practising(512)
    with serving(engine, warm_up=wanted) as client:
        engine.gate.set()
        assert not wanted or engine.at_gate.wait(PATIENCE)
        assert client.post("/invocations", json=text_to_image()).status_code == 200
    assert (512 in engine.sizes) is wanted


def test_out_of_memory_three_times_in_a_row_fails_the_ping():
    class Full(EveryFeature):
        def generate(self, request, *, on_step):
            if request.prompt:
                raise MemoryError
            return super().generate(request, on_step=on_step)

    with serving(Full()) as client:
        for healthy in (200, 200, 503):
            assert error_of(client.post("/invocations", json=text_to_image())) == (507, "out_of_memory")
            assert client.get("/ping").status_code == healthy


def test_a_ping_is_answered_while_the_engine_keeps_the_interpreter_busy():
    """Python code between steps, such as tokenizing, shares the interpreter with the server."""
    busy, enough = threading.Event(), threading.Event()

    class Busy(PatternEngine):
        def generate(self, request, *, on_step):
            while request.prompt and not enough.is_set():
                busy.set()
            return super().generate(request, on_step=on_step)

    with serving(Busy()) as client:
        call = Call(client, text_to_image())
        assert busy.wait(PATIENCE)
        assert client.get("/ping").status_code == 200
        enough.set()
        assert call.response().status_code == 200
