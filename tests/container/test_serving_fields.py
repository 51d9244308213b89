"""What webui's fields ask of an engine that has every feature, and what the reply says about it."""

import base64
import io
import json

import pytest
from PIL import Image
from sd_parsers import ParserManager

from container.serving.engine import ControlUnit, Fill, Hires, Mask
from container.serving.invocation import parse_invocation
from container.serving.settings import Limits
from tests.container.conftest import encoded
from tests.container.engines import EveryFeature
from tests.container.served import SEED_PAYLOAD, image_to_image, info, pictures, serving, text_to_image

WHITE = encoded(Image.new("L", (8, 8), 255))


@pytest.fixture(scope="module")
def client():
    engine = EveryFeature()
    with serving(engine, embed_parameters=True) as client:
        client.requests = engine.requests
        yield client


def draw(client, body):
    """The reply, and the one request that reached the engine."""
    client.requests.clear()
    response = client.post("/invocations", json=body)
    assert response.status_code == 200, response.text
    (request,) = client.requests
    return response.json(), request


def asked(client, body):
    return draw(client, body)[1]


def refused(client, body):
    response = client.post("/invocations", json=body)
    error = response.json()["error"]
    assert client.post("/invocations", json=text_to_image()).status_code == 200
    return response.status_code, error["field"], error["message"]


def unit(**fields):
    return {"image": WHITE, "model": "control_canny", **fields}


def with_units(*units, **fields):
    return text_to_image(alwayson_scripts={"ControlNet": {"args": list(units)}}, **fields)


class TestSamplerAndSchedule:
    @pytest.mark.parametrize(
        ("fields", "drawn"),
        [
            ({"sampler_name": "DPM++ 2M Karras"}, ("DPM++ 2M", "Karras")),
            ({"sampler_name": "DPM++ 2M", "scheduler": "karras"}, ("DPM++ 2M", "Karras")),
            ({"sampler_name": "Euler", "scheduler": "sgm_uniform"}, ("Euler", "SGM Uniform")),
            ({"sampler_name": "k_dpmpp_2m_ka"}, ("DPM++ 2M", "Karras")),
            ({"sampler_index": "DPM++ 2S a Karras"}, ("DPM++ 2S a", "Karras")),
            ({"sampler_name": "Euler", "scheduler": None}, ("Euler", "Automatic")),
            ({"sampler_name": "DPM++ 2M Karras", "scheduler": "Exponential"}, ("DPM++ 2M", "Karras")),
        ],
    )
    def test_every_generations_names_are_understood(self, client, fields, drawn):
        body, request = draw(client, text_to_image(**fields))
        assert (request.sampler_name, request.schedule) == drawn
        assert not any("schedule" in note or "sampler" in note for note in info(body)["notes"])

    @pytest.mark.parametrize("fields", [{"sampler_name": "DDIM Karras"}, {"scheduler": "Beta"}])
    def test_a_schedule_the_engine_cannot_follow_is_named(self, client, fields):
        body, request = draw(client, text_to_image(**fields))
        assert request.schedule == "Automatic"
        assert any("had no effect with sampler" in note for note in info(body)["notes"])


class TestHires:
    def test_is_asked_of_the_engine_with_webuis_defaults(self, client):
        request = asked(client, text_to_image(enable_hr=True))
        assert request.hires == Hires(width=128, height=128)
        assert (request.width, request.height) == (64, 64)

    def test_every_field_of_it_is_used(self, client):
        fields = {
            "enable_hr": True,
            "hr_resize_x": 96,
            "hr_resize_y": 128,
            "hr_upscaler": "4x-crisp",
            "hr_second_pass_steps": 3,
            "denoising_strength": 0.4,
            "hr_sampler_name": "DPM++ 2M",
            "hr_scheduler": "Karras",
            "hr_prompt": "finer",
            "hr_negative_prompt": "coarse",
            "hr_cfg": 3,
        }
        assert asked(client, text_to_image(**fields)).hires == Hires(
            width=96,
            height=128,
            upscaler_name="4x-Crisp",
            steps=3,
            denoising_strength=0.4,
            sampler_name="DPM++ 2M",
            schedule="Karras",
            prompt="finer",
            negative_prompt="coarse",
            cfg_scale=3.0,
        )

    @pytest.mark.parametrize(
        ("fields", "size"),
        [
            ({"hr_scale": 1.3}, (80, 80)),
            ({"hr_resize_x": 128}, (128, 128)),
            ({"hr_resize_y": 160}, (160, 160)),
            ({"hr_resize_x": 100, "hr_resize_y": 200}, (96, 200)),
        ],
    )
    def test_its_size_follows_webuis_rule(self, client, fields, size):
        hires = asked(client, text_to_image(enable_hr=True, **fields)).hires
        assert (hires.width, hires.height) == size

    @pytest.mark.parametrize("firstphase", [{"firstphase_width": 64}, {"firstphase_height": 64}])
    def test_older_clients_name_the_first_pass_instead(self, client, firstphase):
        request = asked(client, text_to_image(width=128, height=128, enable_hr=True, **firstphase))
        assert (request.width, request.height) == (64, 64)
        assert (request.hires.width, request.hires.height) == (128, 128)

    def test_the_picture_has_the_second_passs_size(self, client):
        body, _ = draw(client, text_to_image(enable_hr=True, hr_scale=1.5))
        assert pictures(body)[0].size == (96, 96)

    def test_its_fields_mean_nothing_where_it_is_not_enabled(self, client):
        request = asked(client, text_to_image(enable_hr=False, hr_scale=0, hr_upscaler="none such"))
        assert request.hires is None

    @pytest.mark.parametrize(
        ("fields", "status", "field"),
        [
            ({"hr_scale": -1}, 400, "hr_scale"),
            ({"hr_scale": 8, "width": 512}, 400, "hr_scale"),
            ({"hr_resize_x": 16}, 400, "hr_resize_x"),
            ({"hr_resize_x": 10**9}, 400, "hr_resize_x"),
            ({"hr_second_pass_steps": 1000}, 400, "hr_second_pass_steps"),
            ({"firstphase_width": 8}, 400, "firstphase_width"),
            ({"hr_scale": 8, "width": 256, "height": 256, "batch_size": 5}, 400, "batch_size"),
            ({"hr_upscaler": "4x-Crips"}, 422, "hr_upscaler"),
            ({"hr_sampler_name": "Eulr"}, 422, "hr_sampler_name"),
            ({"hr_scheduler": "Karas"}, 422, "hr_scheduler"),
            ({"hr_prompt": "x" * 20_001}, 400, "hr_prompt"),
            ({"hr_prompt": "<lora:wolves:1>"}, 422, "hr_prompt"),
        ],
    )
    def test_what_it_cannot_be_is_refused_by_name(self, client, fields, status, field):
        assert refused(client, text_to_image(enable_hr=True, **fields))[:2] == (status, field)

    def test_steps_are_counted_over_both_passes(self):
        body = json.dumps(text_to_image(steps=4, enable_hr=True, hr_second_pass_steps=2, n_iter=2)).encode()
        catalogue = EveryFeature().catalogue()
        task = parse_invocation(body, catalogue=catalogue, limits=Limits(), choose_seed=lambda: 1)
        assert task.steps == 12


class TestInpainting:
    def test_a_mask_is_asked_of_the_engine_with_webuis_defaults(self, client, red_png):
        request = asked(client, image_to_image(init_images=[red_png], mask=WHITE))
        assert request.mask == Mask(file=base64.b64decode(WHITE))

    def test_every_field_of_it_is_used(self, client, red_png):
        fields = {
            "mask": WHITE,
            "mask_blur_x": 2,
            "mask_blur_y": 3,
            "inpainting_fill": 2,
            "inpaint_full_res": 0,
            "inpaint_full_res_padding": 32,
            "inpainting_mask_invert": 1,
            "resize_mode": 1,
        }
        request = asked(client, image_to_image(init_images=[red_png], **fields))
        assert request.resize_mode == 1
        assert request.mask == Mask(
            file=base64.b64decode(WHITE),
            inverted=True,
            blur_x=2,
            blur_y=3,
            fill=Fill.LATENT_NOISE,
            only_masked=False,
            padding=32,
        )

    def test_one_blur_stands_for_both_directions(self, client, red_png):
        mask = asked(client, image_to_image(init_images=[red_png], mask=WHITE, mask_blur=9)).mask
        assert (mask.blur_x, mask.blur_y) == (9, 9)

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"mask": "http://127.0.0.1/mask.png"}, "mask"),
            ({"mask": base64.b64encode(b"<svg/>").decode()}, "mask"),
            ({"mask_blur": -1}, "mask_blur"),
            ({"mask_blur_x": 10**6}, "mask_blur_x"),
            ({"inpainting_fill": 4}, "inpainting_fill"),
            ({"inpainting_mask_invert": "yes"}, "inpainting_mask_invert"),
            ({"inpaint_full_res_padding": -3}, "inpaint_full_res_padding"),
            ({"resize_mode": 4}, "resize_mode"),
        ],
    )
    def test_what_it_cannot_be_is_refused_by_name(self, client, red_png, fields, field):
        body = image_to_image(init_images=[red_png], **{"mask": WHITE, **fields})
        assert refused(client, body)[:2] == (400, field)

    def test_the_echo_leaves_the_pictures_out(self, client, red_png):
        body, _ = draw(client, image_to_image(init_images=[red_png], mask=WHITE))
        assert (body["parameters"]["mask"], body["parameters"]["init_images"]) == (None, None)


class TestControlNet:
    def test_a_unit_has_webuis_defaults(self, client):
        request = asked(client, with_units(unit()))
        assert request.controls == (
            ControlUnit(image=base64.b64decode(WHITE), model="control_canny.safetensors"),
        )

    def test_every_field_of_a_unit_is_used_under_old_and_new_names(self, client):
        sent = {
            "enabled": True,
            "input_image": {"image": WHITE, "mask": None},
            "model": "control_depth [d14c016b]",
            "module": "Canny",
            "weight": 0.5,
            "guidance_start": 0.1,
            "guidance_end": 0.9,
            "control_mode": "ControlNet is more important",
            "resize_mode": "Just Resize",
            "lowvram": True,
            "pixel_perfect": True,
            "processor_res": 512,
            "save_detected_map": True,
        }
        (drawn,) = asked(client, with_units(sent)).controls
        assert drawn == ControlUnit(
            image=base64.b64decode(WHITE),
            model="control_depth.safetensors",
            module="canny",
            weight=0.5,
            start=0.1,
            end=0.9,
            control_mode=2,
            resize_mode=0,
        )

    def test_modes_may_be_numbers_and_several_units_keep_their_order(self, client):
        first, second = unit(control_mode=1, resize_mode=2), unit(model="control_depth")
        controls = asked(client, with_units(first, unit(enabled=False, model="gone"), second)).controls
        assert [(u.model, u.control_mode, u.resize_mode) for u in controls] == [
            ("control_canny.safetensors", 1, 2),
            ("control_depth.safetensors", 0, 1),
        ]

    def test_a_unit_without_a_picture_takes_the_one_to_start_from(self, client, red_png):
        scripts = {"controlnet": {"args": [unit(image=None)]}}
        request = asked(client, image_to_image(init_images=[red_png], alwayson_scripts=scripts))
        assert request.controls[0].image == request.init_images[0]

    def test_what_had_no_effect_is_named(self, client):
        body, _ = draw(client, with_units(unit(threshold_a=100, hr_option="Low res only")))
        (note,) = (note for note in info(body)["notes"] if "without effect" in note)
        assert "alwayson_scripts.controlnet.args[0].threshold_a" in note
        assert "alwayson_scripts.controlnet.args[0].hr_option" in note

    def test_the_echo_leaves_the_pictures_out(self, client):
        body, _ = draw(client, with_units(unit()))
        assert body["parameters"]["alwayson_scripts"] == {
            "ControlNet": {"args": [{"image": None, "model": "control_canny"}]}
        }

    @pytest.mark.parametrize(
        ("fields", "status", "field"),
        [
            ({"image": "https://example.com/x.png"}, 400, "image"),
            ({"image": None}, 400, "image"),
            ({"image": {"image": WHITE, "mask": WHITE}}, 400, "image"),
            ({"model": "control_cany"}, 422, "model"),
            ({"model": "../../etc/passwd"}, 422, "model"),
            ({"model": "None"}, 400, "model"),
            ({"weight": 3}, 400, "weight"),
            ({"guidance_start": 0.5, "guidance_end": 0.5}, 400, "guidance_start"),
            ({"control_mode": "loudest"}, 400, "control_mode"),
            ({"resize_mode": 3}, 400, "resize_mode"),
            ({"mask": WHITE}, 400, "mask"),
            ({"script": "x"}, 400, "script"),
        ],
    )
    def test_what_a_unit_cannot_be_is_refused_by_name(self, client, fields, status, field):
        place = f"alwayson_scripts.controlnet.args[0].{field}"
        assert refused(client, with_units(unit(**fields)))[:2] == (status, place)

    @pytest.mark.parametrize(
        ("scripts", "field"),
        [
            ({"ADetailer": {"args": []}}, "alwayson_scripts.ADetailer"),
            ({"controlnet": {"args": []}, "API payload": {"args": []}}, "alwayson_scripts.API payload"),
            ({"controlnet": {"args": [7]}}, "alwayson_scripts.controlnet.args[0]"),
            ({"controlnet": {"args": [unit()] * 5}}, "alwayson_scripts.controlnet.args"),
            ({"controlnet": {"args": {}}}, "alwayson_scripts.controlnet.args"),
            ({"controlnet": None}, "alwayson_scripts.controlnet.args"),
            ({"controlnet": {"args": []}, "ControlNet": {"args": []}}, "alwayson_scripts"),
            ([1], "alwayson_scripts"),
        ],
    )
    def test_every_other_script_is_refused_by_name(self, client, scripts, field):
        assert refused(client, text_to_image(alwayson_scripts=scripts))[:2] == (400, field)


class TestChoices:
    @pytest.mark.parametrize(
        ("beside", "settings", "vae"),
        [
            ({"vae": "crisp"}, {}, "crisp.safetensors"),
            ({"vae": "crisp.safetensors [1111111111]"}, {}, "crisp.safetensors"),
            ({}, {"sd_vae": "soft.pt"}, "soft.pt"),
            ({"vae": "crisp"}, {"sd_vae": "soft.pt"}, "crisp.safetensors"),
            ({"vae": "Automatic"}, {}, None),
            ({}, {"sd_vae": "None"}, None),
        ],
    )
    def test_a_vae_may_be_named_beside_the_payload_or_in_it(self, client, beside, settings, vae):
        body = {**text_to_image(override_settings=settings), **beside}
        assert asked(client, body).vae == vae

    @pytest.mark.parametrize("name", ["anime/line", "line", "line.safetensors", "anime/line.safetensors"])
    def test_a_model_in_a_folder_may_be_named_with_and_without_it(self, client, name):
        assert asked(client, {**text_to_image(), "model": name}).model == "anime/line.safetensors"

    def test_clip_skip_counts_layers_as_webui_does(self, client):
        body = text_to_image(override_settings={"CLIP_stop_at_last_layers": 2, "outdir_samples": None})
        assert asked(client, body).clip_skip == 2

    def test_eta_and_tiling_reach_the_engine(self, client):
        request = asked(client, text_to_image(eta=0.5, tiling=True))
        assert (request.eta, request.tiling) == (0.5, True)

    @pytest.mark.parametrize(("sent", "exact"), [(True, True), (False, False), (None, False)])
    def test_exact_is_asked_for_beside_the_payload(self, client, sent, exact):
        assert asked(client, {**text_to_image(), "exact": sent}).exact is exact

    @pytest.mark.parametrize(
        ("body", "status", "field"),
        [
            ({**text_to_image(), "vae": "crips"}, 422, "vae"),
            ({**text_to_image(), "vae": "../../../etc/shadow"}, 422, "vae"),
            (text_to_image(override_settings={"sd_vae": "sofd"}), 422, "override_settings.sd_vae"),
            (
                text_to_image(override_settings={"CLIP_stop_at_last_layers": 99}),
                400,
                "override_settings.CLIP_stop_at_last_layers",
            ),
            ({**text_to_image(), "exact": "very"}, 400, "exact"),
            (text_to_image(eta=7), 400, "eta"),
            (text_to_image(tiling="x"), 400, "tiling"),
            (text_to_image(prompt="<lora:../../foxes:1>"), 422, "prompt"),
        ],
    )
    def test_what_is_not_there_is_refused_by_name(self, client, body, status, field):
        assert refused(client, body)[:2] == (status, field)

    @pytest.mark.parametrize("name", ["foxes", "style/foxes", "foxes.safetensors"])
    def test_loras_go_by_their_file_name_as_in_webui(self, client, name):
        assert asked(client, text_to_image(prompt=f"a fox <lora:{name}:0.7>")).prompt.endswith(":0.7>")

    def test_the_seed_notebooks_request_names_what_had_no_effect(self, client):
        body, request = draw(client, {"task": "text-to-image", "txt2img_payload": SEED_PAYLOAD})
        assert info(body)["notes"][0] == "without effect here: restore_faces, script_args"
        assert (request.sampler_name, request.schedule, request.eta) == ("DPM++ 2S a", "Karras", 1)


class TestInfotext:
    def test_names_everything_as_webui_does(self, client):
        fields = {
            "seed": 5,
            "subseed": 9,
            "subseed_strength": 0.2,
            "sampler_name": "DPM++ 2M",
            "scheduler": "Karras",
            "enable_hr": True,
            "hr_second_pass_steps": 3,
            "denoising_strength": 0.4,
            "override_settings": {"sd_vae": "crisp", "CLIP_stop_at_last_layers": 2},
        }
        body, _ = draw(client, text_to_image(**fields))
        told = info(body)
        (text,) = told["infotexts"]
        assert text.splitlines()[-1] == (
            "Steps: 2, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: 5, Size: 64x64, "
            "Model hash: 0000000000, Model: stripes, VAE: crisp.safetensors, Variation seed: 9, "
            "Variation seed strength: 0.2, Denoising strength: 0.4, Clip skip: 2, Hires upscale: 2, "
            "Hires steps: 3, Hires upscaler: Latent"
        )
        assert (told["sd_vae_name"], told["clip_skip"]) == ("crisp.safetensors", 2)
        assert told["denoising_strength"] == 0.4
        assert told["extra_generation_params"] == {
            "Schedule type": "Karras",
            "Hires upscale": "2",
            "Hires steps": 3,
            "Hires upscaler": "Latent",
        }

    def test_is_read_back_by_an_independent_reader_of_webuis_files(self, client):
        fields = {"seed": 5, "sampler_name": "Euler a", "scheduler": "Karras", "enable_hr": True}
        body, _ = draw(client, text_to_image(**fields, hr_resize_x=96, hr_resize_y=128, tiling=True))
        read = ParserManager().parse(Image.open(io.BytesIO(base64.b64decode(body["images"][0]))))
        (sampler,) = read.samplers
        assert (sampler.name, sampler.parameters["scheduler"]) == ("Euler a", "Karras")
        assert read.metadata["Hires resize"] == "96x128"
        assert read.metadata["Hires upscaler"] == "Latent"
        assert read.metadata["Denoising strength"] == "0.75"
        assert read.metadata["Tiling"] == "True"

    def test_tells_of_masks_and_units(self, client, red_png):
        scripts = {"controlnet": {"args": [unit()]}}
        body, _ = draw(client, image_to_image(init_images=[red_png], mask=WHITE, alwayson_scripts=scripts))
        (text,) = info(body)["infotexts"]
        assert "Mask blur: 4, Inpaint area: Only masked, Masked area padding: 0, Masked content: fill" in text
        assert 'ControlNet 0: "Module: none, Model: control_canny.safetensors, Weight: 1, ' in text


def test_pictures_sent_with_one_request_are_limited_together(client):
    """Each alone is small enough; a decoder never sees the one that is too much."""
    large = encoded(Image.new("L", (4000, 4000)))
    body = image_to_image(
        init_images=[large],
        mask=large,
        alwayson_scripts={"controlnet": {"args": [unit(image=large)]}},
    )
    status, field, message = refused(client, body)
    assert (status, field) == (400, "alwayson_scripts.controlnet.args[0].image")
    assert "megapixels" in message
