"""Upscaling, captions and the catalogue: the tasks beside drawing."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from container.embedded.engine import EmbeddedEngine
from container.serving.engine import Catalogue, Model
from container.serving.model_folder import read_model_folder
from container.serving.pattern_engine import PatternEngine
from tests.container.conftest import encoded
from tests.container.engines import Gated
from tests.container.served import PATIENCE, Call, eventually, pictures, serving, text_to_image

HALVES = Image.new("RGB", (60, 40), (255, 0, 0))
HALVES.paste((0, 0, 255), (30, 0, 60, 40))


@pytest.fixture(scope="module")
def client():
    with serving(PatternEngine()) as client:
        yield client


def single(image=None, **fields):
    payload = {"image": encoded(HALVES) if image is None else image, "upscaler_1": "Lanczos", **fields}
    return {"task": "extras-single-image", "extras_single_payload": payload}


def batch(*images, **fields):
    items = [{"data": image, "name": f"{number}.png"} for number, image in enumerate(images)]
    payload = {"imageList": items, "upscaler_1": "Lanczos", **fields}
    return {"task": "extras-batch-images", "extras_batch_payload": payload}


def answered(client, body):
    response = client.post("/invocations", json=body)
    assert response.status_code == 200, response.text
    return response.json()


def the_picture(body):
    return Image.open(io.BytesIO(base64.b64decode(body["image"], validate=True)))


def refused(client, body):
    response = client.post("/invocations", json=body)
    error = response.json()["error"]
    return response.status_code, error["code"], error["field"]


class TestUpscaling:
    def test_a_single_picture_comes_back_alone_and_twice_as_large_unless_told_otherwise(self, client):
        body = answered(client, single())
        assert body.keys() == {"image", "html_info", "nsfw_scores"}
        assert the_picture(body).size == (120, 80)
        assert body["html_info"] == "<p>Postprocess upscaler: Lanczos</p>"

    def test_a_batch_comes_back_as_a_list_in_its_order(self, client):
        body = answered(client, batch(encoded(HALVES), encoded(HALVES.rotate(90, expand=True))))
        assert body.keys() == {"images", "html_info", "nsfw_scores"}
        assert [picture.size for picture in pictures(body)] == [(120, 80), (80, 120)]

    @pytest.mark.parametrize("format_", ["PNG", "JPEG", "WEBP"])
    def test_the_picture_stays_what_it_was(self, client, format_):
        upscaled = the_picture(answered(client, single(encoded(HALVES, format_), upscaling_resize=3)))
        assert upscaled.size == (180, 120)
        left, right = upscaled.getpixel((30, 60)), upscaled.getpixel((150, 60))
        assert left == pytest.approx((255, 0, 0), abs=4)
        assert right == pytest.approx((0, 0, 255), abs=4)

    def test_a_size_is_filled_and_the_middle_kept(self, client):
        fields = {"resize_mode": 1, "upscaling_resize_w": 80, "upscaling_resize_h": 80}
        upscaled = the_picture(answered(client, single(**fields)))
        assert upscaled.size == (80, 80)
        assert upscaled.getpixel((20, 40)) == (255, 0, 0)
        assert upscaled.getpixel((60, 40)) == (0, 0, 255)

    def test_a_size_without_cropping_keeps_the_whole_picture(self, client):
        fields = {"resize_mode": 1, "upscaling_resize_w": 80, "upscaling_resize_h": 80}
        upscaled = the_picture(answered(client, single(**fields, upscaling_crop=False)))
        assert upscaled.size == (120, 80)

    def test_upscaler_none_leaves_the_picture_as_it_is(self, client):
        body = answered(client, single(upscaler_1="None", upscaling_resize=4))
        assert np.array_equal(np.asarray(the_picture(body)), np.asarray(HALVES))

    def test_nearest_invents_no_colour_between_two(self, client):
        upscaled = the_picture(answered(client, single(upscaler_1="nearest")))
        assert len(upscaled.getcolors()) == 2
        assert len(the_picture(answered(client, single())).getcolors()) > 2

    def test_a_second_upscaler_is_blended_in(self, client):
        one, other = (np.asarray(the_picture(answered(client, single(upscaler_1=name)))).astype(int)
                      for name in ("Lanczos", "Nearest"))  # fmt: skip
        body = answered(client, single(upscaler_2="Nearest", extras_upscaler_2_visibility=0.5))
        assert np.abs(np.asarray(the_picture(body)) - (one + other) / 2).max() <= 1
        assert "Postprocess upscaler 2: Nearest" in body["html_info"]

    def test_transparency_becomes_white(self, client):
        clear = encoded(Image.new("RGBA", (8, 8), (9, 9, 9, 0)))
        assert the_picture(answered(client, single(clear))).getpixel((3, 3)) == (255, 255, 255)

    def test_a_photo_stored_on_its_side_comes_back_upright(self, client):
        turned = Image.Exif()
        turned[0x0112] = 6  # orientation: rotate by 90 degrees to the right to see it upright
        file = io.BytesIO()
        HALVES.save(file, "JPEG", exif=turned)
        upscaled = the_picture(answered(client, single(base64.b64encode(file.getvalue()).decode())))
        assert upscaled.size == (80, 120)
        assert upscaled.getpixel((40, 30)) == pytest.approx((255, 0, 0), abs=4)
        assert upscaled.getpixel((40, 90)) == pytest.approx((0, 0, 255), abs=4)

    def test_face_restoration_that_was_asked_for_in_vain_is_named(self, client):
        assert (
            "<p>without effect here: gfpgan_visibility</p>"
            in answered(client, single(gfpgan_visibility=0.5, codeformer_visibility=0))["html_info"]
        )

    def test_the_embedded_engine_upscales_too(self):
        with serving(EmbeddedEngine()) as client:
            assert the_picture(answered(client, single())).size == (120, 80)

    def test_upscaling_waits_its_turn_behind_drawings(self):
        engine = Gated()
        with serving(engine) as client:
            drawing = Call(client, text_to_image(steps=1))
            assert engine.at_gate.wait(PATIENCE)
            upscaling = Call(client, single(), inference_id="up")
            eventually(lambda: len(client.get("/control/progress").json()["invocations"]) == 2)
            waiting = client.get("/control/progress").json()["invocations"][1]
            assert waiting == {"id": "up", "state": "waiting", "step": 0, "steps": 1}
            engine.gate.set()
            assert drawing.response().status_code == upscaling.response().status_code == 200


class TestMark:
    def mark(self, picture):
        return picture.info["XML:com.adobe.xmp"]

    def test_somebodys_picture_is_marked_as_enhanced_by_an_algorithm(self, client):
        assert "/algorithmicallyEnhanced" in self.mark(the_picture(answered(client, single())))

    @pytest.mark.parametrize("accept", ["image/png", "image/jpeg", "image/webp"])
    def test_a_picture_drawn_by_a_model_stays_marked_as_such(self, client, accept):
        drawn = client.post("/invocations", json=text_to_image(), headers={"Accept": accept}).json()
        upscaled = the_picture(answered(client, single(drawn["images"][0])))
        assert upscaled.size == (128, 128)
        assert "/trainedAlgorithmicMedia" in self.mark(upscaled)


class TestRefusals:
    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"image": ""}, "image"),
            ({"image": "https://example.org/x.png"}, "image"),
            ({"image": None}, "image"),
            ({"upscaling_resize": 0}, "upscaling_resize"),
            ({"upscaling_resize": 9}, "upscaling_resize"),
            ({"resize_mode": 2}, "resize_mode"),
            ({"upscaling_crop": "yes"}, "upscaling_crop"),
            ({"upscaling_resize_w": 10**6}, "upscaling_resize_w"),
            ({"imageList": []}, "imageList"),
            ({"script_name": "x"}, "script_name"),
        ],
    )
    def test_a_bad_field_is_named(self, client, fields, field):
        body = single()
        body["extras_single_payload"] |= fields
        assert refused(client, body) == (400, "bad_request", field)

    @pytest.mark.parametrize(
        ("items", "field"),
        [
            (None, "imageList"),
            ([], "imageList"),
            ([{"data": "x"}] * 17, "imageList"),
            (["x"], "imageList[0]"),
            ([{"data": "%", "name": "x"}], "imageList[0].data"),
            ([{"data": "x", "path": "/etc/passwd"}], "imageList[0]"),
        ],
    )
    def test_a_bad_list_is_named(self, client, items, field):
        body = {"task": "extras-batch-images", "extras_batch_payload": {"imageList": items}}
        assert refused(client, body) == (400, "bad_request", field)

    def test_results_that_are_too_large_are_refused_before_any_work(self, client):
        large = encoded(Image.new("RGB", (1200, 1200)), "WEBP")
        assert refused(client, single(large, upscaling_resize=4)) == (400, "bad_request", "upscaling_resize")
        assert refused(client, batch(*[large] * 12, upscaling_resize=1)) == (400, "bad_request", "imageList")

    def test_a_sliver_cannot_be_stretched_into_a_giant(self, client):
        sliver = encoded(Image.new("RGB", (3000, 1)))
        fields = {"resize_mode": 1, "upscaling_resize_w": 10, "upscaling_resize_h": 2000}
        body = single(sliver, **fields, upscaling_crop=False)
        assert refused(client, body) == (400, "bad_request", "upscaling_resize_w")
        assert the_picture(answered(client, single(sliver, **fields))).size == (10, 2000)

    @pytest.mark.parametrize("field", ["upscaler_1", "upscaler_2"])
    def test_an_unknown_upscaler_is_told_the_nearest(self, client, field):
        response = client.post("/invocations", json=single(**{field: "R-ESRGAN 4x+"}))
        error = response.json()["error"]
        assert (response.status_code, error["code"], error["field"]) == (422, "unknown_name", field)
        assert set(error["nearest"]) == {"Lanczos", "Nearest"}


class Captioner(PatternEngine):
    def interrogate(self, picture):
        return f"a picture of {picture.shape[1]} by {picture.shape[0]}"


INTERROGATION = {"task": "interrogate", "interrogate_payload": {"image": encoded(HALVES), "model": "clip"}}


class TestInterrogate:
    @pytest.mark.parametrize(
        ("engine", "name"), [(PatternEngine(), "pattern"), (EmbeddedEngine(), "embedded")]
    )
    def test_engines_without_a_captioner_say_so(self, engine, name):
        with serving(engine, failures_until_unhealthy=1) as client:
            error = client.post("/invocations", json=INTERROGATION).json()["error"]
            assert refused(client, INTERROGATION) == (422, "not_supported", "task")
            assert error["message"] == f"interrogate is not supported by engine {name}"
            assert client.get("/ping").status_code == 200

    def test_an_engine_with_a_captioner_answers_its_caption(self):
        with serving(Captioner()) as client:
            assert answered(client, INTERROGATION) == {"caption": "a picture of 60 by 40"}

    def test_a_picture_is_needed(self, client):
        body = {"task": "interrogate", "interrogate_payload": {"model": "clip"}}
        assert refused(client, body) == (400, "bad_request", "image")


class TakesLoras(PatternEngine):
    def catalogue(self):
        loras = tuple(Model(name=f"{name}.safetensors") for name in ("foxes", "boxes", "watercolour", "line"))
        return Catalogue(models=super().catalogue().models, samplers=("Euler",), loras=loras)


class TestLoras:
    def test_a_known_lora_is_drawn(self):
        with serving(TakesLoras()) as client:
            answered(client, text_to_image(prompt="a fox <lora:foxes:0.8>, <lora:line.safetensors:1>"))

    @pytest.mark.parametrize("field", ["prompt", "negative_prompt"])
    def test_an_unknown_lora_is_told_the_three_nearest(self, field):
        with serving(TakesLoras()) as client:
            response = client.post("/invocations", json=text_to_image(**{field: "a <lora:foxs:0.8>"}))
        error = response.json()["error"]
        assert (response.status_code, error["code"], error["field"]) == (422, "unknown_name", field)
        assert error["nearest"][0] == "foxes.safetensors"
        assert len(error["nearest"]) == 3

    def test_an_engine_that_takes_none_draws_without(self, client):
        answered(client, text_to_image(prompt="a fox <lora:foxes:0.8>"))


class TestCatalogue:
    def test_lists_what_may_be_asked_for(self, client):
        assert answered(client, {"task": "catalogue"}) == {
            "engine": {"name": "pattern", "model": "stripes", "model_hash": "0000000000"},
            "models": [
                {
                    "name": "stripes",
                    "title": "stripes [0000000000]",
                    "hash": "0000000000",
                    "sha256": None,
                }
            ],
            "loras": [],
            "controlnets": [],
            "vaes": [],
            "embeddings": [],
            "samplers": ["Euler", "Euler a", "DDIM", "DPM++ 2M"],
            "schedules": {},
            "features": [],
            "upscalers": ["None", "Lanczos", "Nearest"],
            "max_width": 2048,
            "max_height": 2048,
        }

    def test_every_name_it_lists_is_accepted(self, client):
        listed = answered(client, {"task": "catalogue"})
        for model in listed["models"]:
            answered(client, {**text_to_image(), "model": model["title"]})
        for sampler in listed["samplers"]:
            answered(client, text_to_image(sampler_name=sampler))
        for upscaler in listed["upscalers"]:
            answered(client, single(upscaler_1=upscaler))

    def test_answers_while_the_engine_draws(self):
        engine = Gated()
        with serving(engine) as client:
            drawing = Call(client, text_to_image())
            assert engine.at_gate.wait(PATIENCE)
            assert answered(client, {"task": "catalogue"})["engine"]["name"] == "pattern"
            engine.gate.set()
            assert drawing.response().status_code == 200

    def test_shows_what_lies_in_the_model_folder(self, tmp_path):
        (tmp_path / "Lora").mkdir()
        (tmp_path / "Lora/foxes.safetensors").touch()
        with serving(PatternEngine(), folder=read_model_folder(tmp_path)) as client:
            folder = answered(client, {"task": "catalogue"})["folder"]
        lora = {"name": "foxes.safetensors", "title": "foxes.safetensors", "hash": None, "sha256": None}
        assert (folder["loras"], folder["checkpoints"], folder["default"]) == ([lora], [], None)
