"""Drawing through each generation of webui's API: what is sent, what comes back."""

import io
from base64 import b64decode

import numpy as np
import pytest
from PIL import Image

from container.serving.engine import ControlUnit, Feature, Fill, Hires, Mask, UpscaleRequest
from container.serving.errors import Cancelled, UnknownName
from container.webui.engine import LABEL
from tests.container.webui.standins import asked, no_step, processes, received, webui


def file(image, format_="PNG", **options):
    kept = io.BytesIO()
    image.save(kept, format_, **options)
    return kept.getvalue()


@pytest.fixture(scope="module", params=["1.5", "1.10", "forge"])
def engine(request, shared_models):
    with webui(shared_models, dialect=request.param) as engine:
        engine.dialect = request.param
        yield engine


@pytest.fixture(scope="module")
def newer(shared_models):
    with webui(shared_models) as engine:
        yield engine


def test_it_draws_as_many_pictures_of_the_size_as_asked(engine):
    drawing = engine.generate(asked(width=96, height=64, batch_size=3), on_step=no_step)
    assert [picture.shape for picture in drawing.images] == [(64, 96, 3)] * 3
    assert drawing.seeds == (7, 8, 9)
    assert len({picture[0, 0].tobytes() for picture in drawing.images}) == 3


def test_the_same_seed_draws_the_same_picture(engine):
    first, second = (engine.generate(asked(), on_step=no_step).images[0] for _ in range(2))
    assert np.array_equal(first, second)


def test_variations_count_subseeds(engine):
    drawing = engine.generate(asked(batch_size=2, subseed=3, subseed_strength=0.5), on_step=no_step)
    assert (drawing.seeds, drawing.subseeds) == ((7, 7), (3, 4))


def test_seeds_wrap_where_ours_do(engine):
    drawing = engine.generate(asked(seed=2**32 - 1, batch_size=3), on_step=no_step)
    assert drawing.seeds == (2**32 - 1, 0, 1)
    again = engine.generate(asked(seed=0, batch_size=2), on_step=no_step)
    assert np.array_equal(drawing.images[1], again.images[0])


def test_every_sampler_and_schedule_on_offer_draws(engine):
    catalogue = engine.catalogue()
    for sampler in catalogue.samplers:
        for schedule in ("Automatic", *catalogue.schedules[sampler]):
            request = asked(sampler_name=sampler, schedule=schedule, steps=1)
            assert len(engine.generate(request, on_step=no_step).images) == 1


def test_a_schedule_is_sent_in_the_words_of_the_generation(engine):
    engine.generate(asked(sampler_name="DPM++ 2M", schedule="Karras"), on_step=no_step)
    sent = received(engine)
    joined = engine.dialect == "1.5"
    name = "DPM++ 2M Karras" if joined else "DPM++ 2M"
    assert (sent["sampler_name"], sent["sampler_index"]) == (name, name)
    assert sent.get("scheduler") == (None if joined else "Karras")


def test_steps_and_whole_seeds_are_always_sent(engine):
    engine.generate(asked(steps=3), on_step=no_step)
    sent = received(engine)
    assert (sent["steps"], sent["seed"], sent["subseed"]) == (3, 7, 0)
    assert all(isinstance(sent[name], int) for name in ("steps", "seed", "subseed"))


def test_nothing_is_saved_and_no_script_is_run(engine):
    engine.generate(asked(), on_step=no_step)
    sent = received(engine)
    assert (sent["save_images"], sent["send_images"]) == (False, True)
    assert not sent.keys() & {"script_name", "script_args", "alwayson_scripts", "infotext"}


def test_a_request_names_its_model_and_the_next_one_draws_with_the_default_again(engine):
    engine.generate(asked(model="anime/second.safetensors"), on_step=no_step)
    assert engine.info().model == "second"
    drawn = engine.generate(asked(), on_step=no_step).images[0]
    assert engine.info().model == "first"
    named = engine.generate(asked(model="first.safetensors"), on_step=no_step).images[0]
    assert np.array_equal(drawn, named)


def test_an_unknown_model_is_refused_with_the_nearest(engine):
    with pytest.raises(UnknownName) as refused:
        engine.generate(asked(model="frist.safetensors"), on_step=no_step)
    assert refused.value.nearest[0] == "first.safetensors"


def test_a_request_names_its_vae_or_has_the_models_own(engine):
    vae = engine.catalogue().vaes[0].name
    drawing = engine.generate(asked(vae=vae), on_step=no_step)
    untold = ("webui does not say which VAE it drew with",) if engine.dialect == "1.5" else ()
    assert drawing.notes == untold
    chosen = received(engine)["override_settings"]
    engine.generate(asked(), on_step=no_step)
    own = received(engine)["override_settings"]
    if engine.dialect == "forge":
        assert chosen["forge_additional_modules"][0].endswith("/VAE/soft.safetensors")
        assert own["forge_additional_modules"] == []
    else:
        assert (chosen["sd_vae"], own["sd_vae"]) == ("soft.safetensors", "Automatic")


def test_clip_skip_and_tiling_are_sent(engine):
    engine.generate(asked(clip_skip=2, tiling=True, eta=0.5), on_step=no_step)
    sent = received(engine)
    assert sent["override_settings"]["CLIP_stop_at_last_layers"] == 2
    assert (sent["tiling"], sent["eta"]) == (True, 0.5)


def test_a_known_lora_is_sent_by_webuis_name_and_an_unknown_one_refused(engine):
    engine.generate(asked(prompt="a <lora:apple-style.safetensors:0.8> pear"), on_step=no_step)
    assert received(engine)["prompt"] == "a <lora:apple-style:0.8> pear"
    with pytest.raises(UnknownName) as refused:
        engine.generate(asked(prompt="a <lora:aple-style:0.8> pear"), on_step=no_step)
    assert (refused.value.field, refused.value.nearest[0]) == ("prompt", "apple-style.safetensors")


def test_image_to_image_sends_the_picture_upright_and_without_metadata(engine):
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    exif[0x010E] = "taken at home"
    photo = file(Image.new("RGB", (80, 40), "red"), "JPEG", exif=exif)
    drawing = engine.generate(asked(init_images=(photo,), denoising_strength=0.4), on_step=no_step)
    sent = received(engine)
    assert drawing.images[0].shape == (64, 64, 3)
    assert sent["denoising_strength"] == 0.4
    start = b64decode(sent["init_images"][0])
    assert Image.open(io.BytesIO(start)).size == (40, 80)
    assert b"taken at home" not in start


def test_inpainting_sends_the_mask_in_whole_pixels(engine):
    picture, mask = file(Image.new("RGB", (64, 64))), file(Image.new("RGBA", (64, 64), (255, 255, 255, 0)))
    asked_for = Mask(file=mask, inverted=True, blur_x=2.5, blur_y=8, fill=Fill.LATENT_NOISE, padding=32)
    drawing = engine.generate(asked(init_images=(picture,), mask=asked_for), on_step=no_step)
    sent = received(engine)
    assert (sent["mask_blur_x"], sent["mask_blur_y"]) == (2, 8)
    assert (sent["inpainting_fill"], sent["inpainting_mask_invert"]) == (2, 1)
    assert (sent["inpaint_full_res"], sent["inpaint_full_res_padding"]) == (True, 32)
    assert drawing.notes == ("webui blurs masks by whole pixels: mask_blur was rounded",)


def test_hires_draws_at_the_second_size(engine):
    hires = Hires(width=128, height=192, upscaler_name="Latent", steps=1, denoising_strength=0.6)
    drawing = engine.generate(asked(width=64, height=96, hires=hires), on_step=no_step)
    assert drawing.images[0].shape == (192, 128, 3)
    sent = received(engine)
    assert (sent["enable_hr"], sent["denoising_strength"], sent["hr_upscaler"]) == (True, 0.6, "Latent")


def test_another_guidance_for_the_second_pass_is_forges_alone(engine):
    hires = Hires(width=128, height=128, cfg_scale=3.0)
    drawing = engine.generate(asked(hires=hires), on_step=no_step)
    if engine.dialect == "forge":
        assert (received(engine)["hr_cfg"], drawing.notes) == (3.0, ())
    else:
        assert drawing.notes == ("without effect here: hr_cfg",)


def test_controlnet_units_travel_by_the_extensions_names(engine):
    assert Feature.CONTROLNET in engine.catalogue().features
    unit = ControlUnit(image=file(Image.new("RGB", (64, 64))), model="lines", module="canny", control_mode=2)
    drawing = engine.generate(asked(controls=(unit,)), on_step=no_step)
    (sent,) = received(engine)["alwayson_scripts"]["controlnet"]["args"]
    assert sent["model"].startswith("lines [")
    assert (sent["control_mode"], sent["resize_mode"]) == ("ControlNet is more important", "Crop and Resize")
    assert len(drawing.images) == 1
    assert drawing.notes == ()


def test_an_unknown_preprocessor_is_refused(newer):
    unit = ControlUnit(image=file(Image.new("RGB", (64, 64))), model="lines", module="cany")
    with pytest.raises(UnknownName) as refused:
        newer.generate(asked(controls=(unit,)), on_step=no_step)
    assert refused.value.nearest[0] == "canny"


@pytest.mark.parametrize("size", [(128, 96), (100, 75), (37, 51)])
@pytest.mark.parametrize("upscaler", ["Sharp4x", "Lanczos"])
def test_upscaling_answers_exactly_the_size_asked_for(engine, size, upscaler):
    picture = np.zeros((48, 64, 3), np.uint8)
    request = UpscaleRequest(picture=picture, upscaler_name=upscaler, width=size[0], height=size[1])
    if abs(size[0] / 64 - size[1] / 48) > 0.1:  # the server crops to the shape before it asks
        request = UpscaleRequest(
            picture=picture[:, :35], upscaler_name=upscaler, width=size[0], height=size[1]
        )
    assert engine.upscale(request).shape == (size[1], size[0], 3)


def test_interrogate_answers_webuis_caption(engine):
    assert engine.interrogate(np.zeros((64, 64, 3), np.uint8)) == "a rectangle of one colour"


def test_the_catalogue_lists_what_webui_has_at_hand(engine):
    catalogue = engine.catalogue()
    assert {model.name for model in catalogue.models} == {"first.safetensors", "anime/second.safetensors"}
    assert [lora.name for lora in catalogue.loras] == ["apple-style.safetensors"]
    assert [net.name for net in catalogue.controlnets] == ["lines.safetensors"]
    assert [word.name for word in catalogue.embeddings] == ["badhands"]
    assert catalogue.upscalers == ("Lanczos", "Nearest", "Sharp4x")  # not those it would have to download
    assert "Karras" in catalogue.schedules["DPM++ 2M"]
    assert catalogue.schedules["DDIM"] == ()
    assert "DPM++ 2M Karras" not in catalogue.samplers


def test_hashes_come_from_the_catalogue_beside_the_models(engine):
    first = next(model for model in engine.catalogue().models if model.name == "first.safetensors")
    assert first.sha256.startswith(first.hash)
    assert len(first.hash) == 10
    assert engine.catalogue().loras[0].sha256


def test_it_says_that_it_was_tested_against_a_stand_in(engine):
    assert (engine.info().name, engine.info().label) == ("webui", LABEL)


def test_only_controlnet_is_there_of_all_extensions(newer):
    assert newer._supervisor().api().get("/standin/extensions") == ["sd-webui-controlnet"]


def test_a_leading_grid_is_no_picture(shared_models):
    with webui(shared_models, "grid") as engine:
        drawing = engine.generate(asked(batch_size=2), on_step=no_step)
        assert [picture.shape for picture in drawing.images] == [(64, 64, 3)] * 2


def test_options_that_leak_change_no_other_request(shared_models):
    with webui(shared_models, "leaks-options") as engine:
        before = engine.generate(asked(), on_step=no_step).images[0]
        other = asked(model="anime/second.safetensors", vae="soft.safetensors", clip_skip=2)
        engine.generate(other, on_step=no_step)
        after = engine.generate(asked(), on_step=no_step).images[0]
        assert np.array_equal(before, after)
        assert engine._supervisor().api().get("/sdapi/v1/options")["CLIP_stop_at_last_layers"] == 1


def test_steps_are_told_as_they_are_made(shared_models):
    told = []
    with webui(shared_models, "watched") as engine:
        engine.generate(asked(steps=4), on_step=lambda done, steps: told.append((done, steps)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_both_passes_of_hires_are_one_count(shared_models):
    told = []
    with webui(shared_models, "watched") as engine:
        request = asked(steps=4, hires=Hires(width=128, height=128, steps=4))
        engine.generate(request, on_step=lambda done, _steps: told.append(done))
    assert told == [1, 2, 3, 4]


def test_a_cancel_between_steps_stops_webui_and_leaves_it_able_to_draw(shared_models):
    def stop_at_two(done, _steps):
        if done == 2:
            raise Cancelled("stopped between steps")

    with webui(shared_models, "watched") as engine:
        before = processes(engine)
        with pytest.raises(Cancelled):
            engine.generate(asked(steps=50), on_step=stop_at_two)
        assert len(engine.generate(asked(), on_step=no_step).images) == 1
        assert processes(engine) == before
