"""Health, queue, stops and failures, seen from outside, whatever the engine does."""

import pytest

from container.serving.app import create_app
from container.serving.pattern_engine import PatternEngine
from container.serving.process import create_server
from container.serving.settings import Limits, Settings
from tests.container.engines import (
    DrawsAnotherSize,
    ExhaustsPython,
    FailsInSetup,
    FailsInWarmUp,
    Gated,
    HoldsOnlySoMany,
    RaisesInGenerate,
    RunsOutOfMemory,
    SlowSetup,
)
from tests.container.served import PATIENCE, Call, eventually, info, leaving, serving, text_to_image


@pytest.fixture
def gated():
    """An engine whose drawings wait for `gate`, opened at the latest when the test ends."""
    engine = Gated()
    yield engine
    engine.gate.set()


@pytest.fixture(scope="module")
def client():
    """A server nothing is wrong with."""
    with serving(PatternEngine()) as client:
        yield client


def error_of(response):
    return response.status_code, response.json()["error"]["code"]


def open_invocations(client):
    return client.get("/control/progress").json()["invocations"]


class TestPing:
    def test_is_503_until_a_picture_has_been_generated(self):
        engine = SlowSetup()
        with serving(engine, ready=False) as client:
            early = client.get("/ping")
            assert (early.status_code, early.json()["state"]) == (503, "starting")
            engine.may_start.set()
            eventually(lambda: client.get("/ping").status_code == 200)

    def test_names_engine_model_hash_and_uptime(self, client):
        report = client.get("/ping").json()
        assert report["uptime_s"] >= 0
        assert {key: report[key] for key in ("status", "engine", "model", "model_hash")} == {
            "status": "Healthy",
            "engine": "pattern",
            "model": "stripes",
            "model_hash": "0000000000",
        }

    @pytest.mark.parametrize(
        ("engine", "reason"), [(FailsInSetup(), "FileNotFoundError"), (FailsInWarmUp(), "RuntimeError")]
    )
    def test_stays_503_with_the_reason_where_no_first_picture_comes(self, engine, reason):
        with serving(engine, ready=False) as client:
            eventually(lambda: client.get("/ping").json()["state"] == "setup failed")
            assert client.get("/ping").status_code == 503
            assert reason in client.get("/ping").json()["reason"]
            assert error_of(client.post("/invocations", json=text_to_image())) == (503, "not_ready")

    def test_answers_while_the_engine_hangs(self, gated):
        with serving(gated) as client:
            call = Call(client, text_to_image())
            assert gated.at_gate.wait(PATIENCE)
            assert client.get("/ping").json()["status"] == "Healthy"
            gated.gate.set()
            assert call.response().status_code == 200

    def test_turns_unhealthy_after_failures_in_a_row_and_healthy_with_the_next_picture(self):
        engine = RaisesInGenerate()
        with serving(engine, failures_until_unhealthy=2) as client:
            client.post("/invocations", json=text_to_image())
            assert client.get("/ping").status_code == 200
            client.post("/invocations", json=text_to_image())
            sick = client.get("/ping")
            assert (sick.status_code, sick.json()["state"]) == (503, "failing")
            engine.broken = False
            assert client.post("/invocations", json=text_to_image()).status_code == 200
            assert client.get("/ping").status_code == 200

    def test_refusals_do_not_count_as_failures(self):
        with serving(PatternEngine(), failures_until_unhealthy=1) as client:
            client.post("/invocations", json=text_to_image(steps=0))
            assert client.get("/ping").status_code == 200


class TestEngineFailures:
    @pytest.mark.parametrize(
        ("engine", "status", "code"),
        [
            (RaisesInGenerate(), 500, "engine_crash"),
            (DrawsAnotherSize(), 500, "engine_crash"),
            (RunsOutOfMemory(), 507, "out_of_memory"),
            (ExhaustsPython(), 507, "out_of_memory"),
        ],
    )
    def test_each_failure_has_its_status(self, engine, status, code):
        with serving(engine) as client:
            response = client.post("/invocations", json=text_to_image(prompt="canary"))
        assert error_of(response) == (status, code)
        assert "canary" not in response.text

    def test_a_batch_that_does_not_fit_is_drawn_in_two_halves_with_the_same_pictures(self):
        body = text_to_image(batch_size=5, seed=2**32 - 2, n_iter=2)
        engine = HoldsOnlySoMany(3)
        with serving(engine) as client:
            halved = client.post("/invocations", json=body)
            assert client.get("/ping").status_code == 200
        with serving(PatternEngine()) as client:
            whole = client.post("/invocations", json=body)
        assert engine.sizes == [5, 3, 2, 5, 3, 2]
        assert halved.json()["images"] == whole.json()["images"]
        assert info(halved.json())["all_seeds"] == info(whole.json())["all_seeds"]
        assert "memory was short: drawn in two halves" in info(halved.json())["notes"]

    def test_halves_of_a_variation_keep_its_seed(self):
        body = text_to_image(batch_size=2, seed=5, subseed=9, subseed_strength=0.3)
        with serving(HoldsOnlySoMany(1)) as client:
            told = info(client.post("/invocations", json=body).json())
        assert (told["all_seeds"], told["all_subseeds"]) == ([5, 5], [9, 10])

    def test_a_half_that_does_not_fit_either_is_not_tried_again(self):
        engine = HoldsOnlySoMany(1)
        with serving(engine) as client:
            response = client.post("/invocations", json=text_to_image(batch_size=5))
        assert error_of(response) == (507, "out_of_memory")
        assert engine.sizes == [5, 3]

    def test_upscaling_that_works_does_not_hide_an_engine_that_cannot_draw(self, red_png):
        upscale = {"image": red_png, "upscaler_1": "Lanczos"}
        body = {"task": "extras-single-image", "extras_single_payload": upscale}
        with serving(RaisesInGenerate(), failures_until_unhealthy=2) as client:
            client.post("/invocations", json=text_to_image())
            assert client.post("/invocations", json=body).status_code == 200
            client.post("/invocations", json=text_to_image())
            assert client.get("/ping").json()["state"] == "failing"

    def test_a_drawing_without_steps_is_stuck_and_so_is_the_server_until_it_moves_again(self, gated):
        with serving(gated, stall_s=0.2) as client:
            stuck, waiting = Call(client, text_to_image()), None
            assert gated.at_gate.wait(PATIENCE)
            waiting = Call(client, text_to_image())
            assert error_of(stuck.response()) == (504, "stuck")
            assert error_of(waiting.response()) == (503, "not_ready")
            sick = client.get("/ping")
            assert (sick.status_code, sick.json()["state"]) == (503, "stuck")
            assert error_of(client.post("/invocations", json=text_to_image())) == (503, "not_ready")
            gated.gate.set()
            eventually(lambda: client.get("/ping").status_code == 200)
            eventually(lambda: client.post("/invocations", json=text_to_image()).status_code == 200)


class TestQueue:
    def test_requests_are_drawn_in_the_order_they_came(self, gated):
        with serving(gated) as client:
            calls = []
            for place, prompt in enumerate(["first", "second", "third"]):
                calls.append(Call(client, text_to_image(prompt=prompt)))
                eventually(lambda place=place: len(open_invocations(client)) == place + 1)
            gated.gate.set()
            assert [info(call.response().json())["prompt"] for call in calls] == ["first", "second", "third"]
        assert [request.prompt for request in gated.requests] == ["first", "second", "third"]

    def test_a_full_queue_refuses_more(self, gated):
        with serving(gated, limits=Limits(waiting=1)) as client:
            drawing = Call(client, text_to_image())
            assert gated.at_gate.wait(PATIENCE)
            waiting = Call(client, text_to_image())
            eventually(lambda: len(open_invocations(client)) == 2)
            assert error_of(client.post("/invocations", json=text_to_image())) == (503, "busy")
            gated.gate.set()
            assert drawing.response().status_code == waiting.response().status_code == 200

    def test_a_client_that_goes_away_cancels_its_waiting_request(self, gated):
        with serving(gated) as client:
            drawing = Call(client, text_to_image(prompt="stays"))
            assert gated.at_gate.wait(PATIENCE)
            with leaving(client, text_to_image(prompt="leaves")):
                eventually(lambda: len(open_invocations(client)) == 2)
            eventually(lambda: len(open_invocations(client)) == 1)
            gated.gate.set()
            assert drawing.response().status_code == 200
        assert [request.prompt for request in gated.requests] == ["stays"]

    def test_a_client_that_goes_away_stops_its_drawing_between_steps(self, gated):
        with serving(gated) as client:
            with leaving(client, text_to_image(steps=150)):
                assert gated.at_gate.wait(PATIENCE)
            eventually(lambda: client.queue.open_tickets()[0].stop_asked)
            gated.gate.set()
            eventually(lambda: open_invocations(client) == [])
            assert client.get("/ping").status_code == 200

    def test_stopping_turns_waiting_requests_away_and_finishes_the_current_one(self, gated):
        with serving(gated) as client:
            drawing = Call(client, text_to_image(steps=1))
            assert gated.at_gate.wait(PATIENCE)
            waiting = Call(client, text_to_image())
            eventually(lambda: len(open_invocations(client)) == 2)
            client.server.should_exit = True
            assert error_of(waiting.response()) == (503, "not_ready")
            gated.gate.set()
            assert drawing.response().status_code == 200

    def test_stopping_aborts_a_drawing_that_takes_too_long(self, gated):
        with serving(gated, finish_s=0.1) as client:
            drawing = Call(client, text_to_image(steps=150))
            assert gated.at_gate.wait(PATIENCE)
            client.server.should_exit = True
            eventually(lambda: client.queue.open_tickets()[0].stop_asked)
            gated.gate.set()
            assert error_of(drawing.response()) == (499, "cancelled")

    def test_stopping_ends_even_where_the_engine_never_comes_back(self, gated):
        with serving(gated, finish_s=0.1, closing_s=0.1) as client:
            drawing = Call(client, text_to_image())
            assert gated.at_gate.wait(PATIENCE)
            client.server.should_exit = True
            assert error_of(drawing.response()) == (503, "not_ready")
        assert not gated.gate.is_set()


def test_a_stop_takes_less_than_the_25_s_that_sagemaker_leaves():
    """Finishing, one last step, and uvicorn's own closing, with a second to spare."""
    app = create_app(PatternEngine(), settings=Settings())
    assert create_server(app, settings=Settings()).config.timeout_graceful_shutdown <= 24


class TestControl:
    def test_progress_lists_ids_states_and_steps_over_all_iterations(self, gated):
        with serving(gated) as client:
            calls = [Call(client, text_to_image(steps=3, n_iter=2), inference_id="t1.job.0")]
            assert gated.at_gate.wait(PATIENCE)
            calls.append(Call(client, text_to_image(steps=5)))
            eventually(lambda: len(open_invocations(client)) == 2)
            assert open_invocations(client) == [
                {"id": "t1.job.0", "state": "drawing", "step": 0, "steps": 6},
                {"id": None, "state": "waiting", "step": 0, "steps": 5},
            ]
            gated.gate.set()
            assert all(call.response().status_code == 200 for call in calls)
            assert open_invocations(client) == []

    def test_steps_are_counted_as_they_are_done(self):
        with serving(PatternEngine(step_s=0.1)) as client:
            call = Call(client, text_to_image(steps=150), inference_id="a")
            seen = set()
            eventually(lambda: seen.update(i["step"] for i in open_invocations(client)) or len(seen) > 3)
            assert client.post("/control/cancel", json={"id": "a"}).json() == {"cancelled": 1}
            assert error_of(call.response()) == (499, "cancelled")
            assert client.get("/ping").status_code == 200

    def test_cancelling_a_waiting_invocation_answers_it_at_once(self, gated):
        with serving(gated) as client:
            drawing = Call(client, text_to_image(), inference_id="first")
            assert gated.at_gate.wait(PATIENCE)
            waiting = Call(client, text_to_image(), inference_id="second")
            eventually(lambda: len(open_invocations(client)) == 2)
            assert client.post("/control/cancel", json={"id": "second"}).json() == {"cancelled": 1}
            assert error_of(waiting.response()) == (499, "cancelled")
            gated.gate.set()
            assert drawing.response().status_code == 200

    def test_cancelling_what_is_not_there_cancels_nothing(self, client):
        assert client.post("/control/cancel", json={"id": "gone"}).json() == {"cancelled": 0}

    @pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"id": 7}', b"null"])
    def test_a_cancel_without_an_id_is_a_bad_request(self, client, body):
        assert error_of(client.post("/control/cancel", content=body)) == (400, "bad_request")

    def test_is_absent_where_the_setting_says_so(self):
        with serving(PatternEngine(), control=False) as client:
            assert client.get("/control/progress").status_code == 404
            assert client.post("/control/cancel", json={"id": "x"}).status_code == 404

    @pytest.mark.parametrize(
        ("host", "environment", "offered"),
        [
            ("127.0.0.1", {}, True),
            ("0.0.0.0", {}, False),
            ("127.0.0.1", {"SAGEMAKER_MODEL_SERVER_TIMEOUT": "1200"}, False),
        ],
    )
    def test_is_offered_on_loopback_outside_sagemaker_only(self, host, environment, offered):
        assert Settings.from_environment(host=host, environment=environment).control is offered

    @pytest.mark.parametrize("path", ["/ping", "/control/progress", "/invocations"])
    @pytest.mark.parametrize(
        "headers", [{"Host": "evil.example"}, {"Host": "evil.example:80"}, {"Origin": "https://evil.example"}]
    )
    def test_web_pages_are_kept_out(self, client, path, headers):
        assert client.get(path, headers=headers).status_code == 403

    @pytest.mark.parametrize("host", ["localhost", "localhost:1", "127.0.0.1", "[::1]", "[::1]:8080"])
    def test_every_name_of_this_machine_is_let_in(self, client, host):
        assert client.get("/ping", headers={"Host": host}).status_code == 200
