"""Every feature of the drawing engine on tiny checkpoints with random weights."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import ControlNetModel
from PIL import Image

from container.diffusers_engine.engine import DiffusersEngine
from container.diffusers_engine.loaded_model import Embeddings, LoadedModel, LoraUse
from container.diffusers_engine.models import Models
from container.diffusers_engine.samplers import SAMPLERS
from container.serving.engine import (
    LATENT_UPSCALERS,
    BatchingEngine,
    ControlUnit,
    Drawing,
    DrawRequest,
    Feature,
    Hires,
    Mask,
    Picture,
    UpscaleRequest,
)
from container.serving.errors import BadRequest, Cancelled, NotReady, NotSupported, OutOfMemory, UnknownName
from container.serving.model_folder import read_model_folder
from container.serving.resampling import Resampling
from tests.container.diffusers import checkpoints
from tests.container.diffusers.given_models import GivenModels, engine_of, opened

REQUEST = DrawRequest(prompt="a cat", negative_prompt="ugly", width=64, height=64, steps=3, seed=5)
KINDS = {
    "sd1": {},
    "sd2": {"shape": "sd2", "marks": ("v_pred", "ztsnr")},
    "sdxl": {"shape": "sdxl"},
    "refiner": {"shape": "sdxl_refiner"},
    "inpainting": {"in_channels": 9},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("checkpoints")


@pytest.fixture(scope="module")
def kinds(folder) -> dict[str, LoadedModel]:
    return {
        name: opened(checkpoints.checkpoint(folder / f"{name}.safetensors", **options))
        for name, options in KINDS.items()
    }


@pytest.fixture(scope="module")
def model(kinds) -> LoadedModel:
    return kinds["sd1"]


@pytest.fixture(scope="module")
def engine(model) -> DiffusersEngine:
    return engine_of(GivenModels(model=model))


def draw(engine: DiffusersEngine, request: DrawRequest) -> Drawing:
    return engine.generate(request, on_step=lambda _done, _all: None)


def picture_of(engine: DiffusersEngine, request: DrawRequest) -> Picture:
    return draw(engine, request).images[0]


def differ(one: Picture, other: Picture) -> bool:
    return bool(np.abs(one.astype(int) - other.astype(int)).max() > 1)


def png(colour=(200, 40, 40), size=(64, 64)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


def left_half() -> bytes:
    file = io.BytesIO()
    mask = Image.new("L", (64, 64))
    mask.paste(255, (0, 0, 32, 64))
    mask.save(file, "PNG")
    return file.getvalue()


# What every architecture does


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_checkpoint_draws_and_repeats_bit_for_bit(kinds, kind):
    engine = engine_of(GivenModels(model=kinds[kind]))
    first, again, other = (picture_of(engine, replace(REQUEST, seed=seed)) for seed in (5, 5, 6))
    assert first.shape == (64, 64, 3)
    assert first.std() > 1
    assert (first == again).all()
    assert differ(first, other)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_checkpoint_draws_over_a_picture_and_into_a_mask(kinds, kind):
    engine = engine_of(GivenModels(model=kinds[kind]))
    over = replace(REQUEST, init_images=(png(),), denoising_strength=0.5)
    assert differ(picture_of(engine, over), picture_of(engine, REQUEST))
    mask = Mask(file=left_half(), blur_x=0, blur_y=0, only_masked=False)
    masked = picture_of(engine, replace(over, mask=mask))
    assert (masked[:, 33:] == (200, 40, 40)).all()
    assert differ(masked[:, :31], np.full((64, 31, 3), (200, 40, 40)))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_checkpoint_draws_a_batch_as_single_pictures(kinds, kind):
    """With little guidance: untrained networks enlarge what rounding leaves."""
    engine = engine_of(GivenModels(model=kinds[kind]))
    request = replace(REQUEST, cfg_scale=2.0)
    batch = draw(engine, replace(request, batch_size=3))
    assert batch.seeds == (5, 6, 7)
    for seed, picture in zip(batch.seeds, batch.images, strict=True):
        assert not differ(picture, picture_of(engine, replace(request, seed=seed)))


@pytest.mark.parametrize("kind", ["sd1", "sdxl"])
def test_size_and_negative_prompt_reach_the_denoiser(kinds, kind):
    engine = engine_of(GivenModels(model=kinds[kind]))
    base = picture_of(engine, REQUEST)
    assert differ(base, picture_of(engine, replace(REQUEST, negative_prompt="")))
    assert picture_of(engine, replace(REQUEST, width=96, height=64)).shape == (64, 96, 3)


# Samplers, guidance, seeds


@pytest.mark.parametrize("name", SAMPLERS)
def test_requests_drawn_together_equal_single_ones_with_every_sampler(engine, name):
    """With little guidance: untrained networks enlarge what rounding leaves."""
    base = replace(REQUEST, sampler_name=name, cfg_scale=2.0)
    requests = [
        replace(base, seed=9),
        replace(base, prompt="a red castle", seed=2, subseed=4, subseed_strength=0.3),
    ]
    assert (engine.joins(requests[0]) is None) == (name == "DPM++ SDE")
    assert engine.joins(requests[0]) == engine.joins(requests[1])
    together = engine.generate_together(requests, on_step=lambda _done, _all: None)
    for request, drawing in zip(requests, together, strict=True):
        assert not differ(drawing.images[0], picture_of(engine, request))


@pytest.mark.parametrize("name", [name for name, each in SAMPLERS.items() if each.eta is not None])
def test_eta_changes_what_an_ancestral_sampler_draws(engine, name):
    request = replace(REQUEST, sampler_name=name, steps=4)
    assert differ(*(picture_of(engine, replace(request, eta=eta)) for eta in (0.0, 0.9)))


def test_eta_without_effect_is_named(engine):
    assert draw(engine, replace(REQUEST, eta=1.0)).notes == ("eta had no effect with sampler Euler",)


def test_schedules_change_the_picture(engine):
    base = replace(REQUEST, sampler_name="Euler a", steps=4)
    assert differ(picture_of(engine, base), picture_of(engine, replace(base, schedule="Karras")))


class Counted(torch.nn.Module):
    """A UNet that says how many rows each call had."""

    def __init__(self, unet):
        super().__init__()
        self.unet, self.config, self.rows = unet, unet.config, []

    def forward(self, sample, *arguments, **options):
        self.rows.append(len(sample))
        return self.unet(sample, *arguments, **options)


def test_without_guidance_there_is_no_second_pass(model):
    counted = Counted(model.unet)
    engine = engine_of(GivenModels(model=replace(model, unet=counted)))
    one = picture_of(engine, replace(REQUEST, cfg_scale=1.0))
    assert counted.rows == [1, 1, 1]
    assert not differ(one, picture_of(engine, replace(REQUEST, cfg_scale=1.0, negative_prompt="blue")))
    counted.rows.clear()
    draw(engine, REQUEST)
    assert counted.rows == [2, 2, 2]


def test_a_weak_variation_differs_less_than_a_strong_one(engine):
    base = picture_of(engine, REQUEST).astype(int)
    weak, strong = (
        np.abs(picture_of(engine, replace(REQUEST, subseed=9, subseed_strength=by)).astype(int) - base).mean()
        for by in (0.1, 0.9)
    )
    assert 0 < weak < strong


def test_a_variation_keeps_the_seed_and_counts_up_the_subseed(engine):
    drawing = draw(engine, replace(REQUEST, subseed=7, subseed_strength=0.3, batch_size=2))
    assert (drawing.seeds, drawing.subseeds) == ((5, 5), (7, 8))


# Text


@pytest.mark.parametrize("kind", ["sd1", "sd2"])
def test_clip_skip_changes_the_picture(kinds, kind):
    engine = engine_of(GivenModels(model=kinds[kind]))
    assert differ(picture_of(engine, REQUEST), picture_of(engine, replace(REQUEST, clip_skip=2)))


def test_clip_skip_without_effect_is_named(kinds):
    engine = engine_of(GivenModels(model=kinds["sdxl"]))
    assert draw(engine, replace(REQUEST, clip_skip=2)).notes == ()
    assert draw(engine, replace(REQUEST, clip_skip=3)).notes == (
        "clip_skip had no effect: SDXL models always draw from the last layer but one",
    )


def test_loras_are_taken_out_of_the_prompt_and_used(model):
    models = GivenModels(model=model)
    engine = engine_of(models)
    with_tags = replace(REQUEST, prompt="a cat<lora:pixel art:0.5:0.8><lora:fog>")
    assert not differ(picture_of(engine, with_tags), picture_of(engine, REQUEST))
    assert models.used_loras == [
        (
            LoraUse(name="pixel art", text_encoder_weight=0.5, unet_weight=0.8),
            LoraUse(name="fog", text_encoder_weight=1.0, unet_weight=1.0),
        ),
        (),
    ]


def test_what_of_a_lora_has_no_effect_is_named(engine):
    drawing = draw(engine, replace(REQUEST, prompt="a cat <lora:odd:1>"))
    assert drawing.notes == ("half of odd has no place here",)


def test_the_engine_draws_from_a_folder_with_each_of_its_models(tmp_path):
    for seed, name in enumerate(("one", "two")):
        checkpoints.checkpoint(tmp_path / "Stable-diffusion" / f"{name}.safetensors", seed=seed)
    checkpoints.vae(tmp_path / "VAE" / "other.safetensors")
    checkpoints.controlnet(tmp_path / "ControlNet" / "lines.safetensors")
    folder = read_model_folder(tmp_path)
    engine = DiffusersEngine(folder, Models(folder, device=torch.device("cpu")), upscaler=Resampling())
    engine.setup()
    first = picture_of(engine, REQUEST)
    assert engine.info().model == "one.safetensors"
    second = picture_of(engine, replace(REQUEST, model="two.safetensors"))
    assert engine.info().model == "two.safetensors"
    assert differ(first, second)
    assert not differ(first, picture_of(engine, replace(REQUEST, model="one.safetensors")))
    assert differ(first, picture_of(engine, replace(REQUEST, vae="other.safetensors")))
    controlled = replace(REQUEST, controls=(unit(model="lines.safetensors", weight=4),))
    assert differ(first, picture_of(engine, controlled))


def test_what_a_prompt_asks_for_in_vain_is_named(engine):
    prompt = "a cat <hypernet:x:1> [red:blue:0.5] AND a dog"
    notes = draw(engine, replace(REQUEST, prompt=prompt, negative_prompt="<lora:fog:1>")).notes
    assert [note.split()[0] for note in notes] == ["prompt", "AND", "<hypernet:…>", "a"]


@pytest.mark.parametrize("kind", ["sd1", "sdxl"])
def test_a_textual_inversion_stands_for_its_vectors(kinds, kind):
    model = kinds[kind]
    vectors = tuple(torch.randn(2, 32) for _ in model.text_encoders)
    inversions = Embeddings(vectors={"MyStyle": vectors}, unusable={"badhands": "badhands does not fit"})
    engine = engine_of(GivenModels(model=model, inversions=inversions))
    plain = engine_of(GivenModels(model=model))
    request = replace(REQUEST, prompt="a cat, (mystyle:1.2)")
    assert differ(picture_of(engine, request), picture_of(plain, request))
    assert not differ(picture_of(engine, REQUEST), picture_of(plain, REQUEST))
    assert draw(engine, replace(REQUEST, negative_prompt="BadHands")).notes == ("badhands does not fit",)


# Hires fix, ControlNet, VAE, tiling


@pytest.mark.parametrize(
    ("kind", "upscaler"),
    [
        *(("sd1", name) for name in (*LATENT_UPSCALERS, "Lanczos")),
        ("sdxl", "Latent"),
        ("inpainting", "Lanczos"),
    ],
)
def test_hires_fix_draws_larger_with_every_upscaler(kinds, kind, upscaler):
    told = []
    hires = Hires(width=96, height=128, upscaler_name=upscaler, steps=2, denoising_strength=0.5)
    engine = engine_of(GivenModels(model=kinds[kind]))
    drawing = engine.generate(replace(REQUEST, hires=hires), on_step=lambda *step: told.append(step))
    assert drawing.images[0].shape == (128, 96, 3)
    assert told == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]


def test_the_second_pass_has_a_sampler_prompt_and_scale_of_its_own(model):
    models = GivenModels(model=model)
    engine = engine_of(models)
    hires = Hires(width=96, height=96, steps=4)
    base = picture_of(engine, replace(REQUEST, hires=hires))
    for change in (
        {"prompt": "a dog"},
        {"negative_prompt": "blue"},
        {"cfg_scale": 2.0},
        {"sampler_name": "DPM++ 2M SDE"},
        {"schedule": "Karras"},
        {"denoising_strength": 0.3},
        {"upscaler_name": "Latent (nearest)"},
        {"steps": 5},
    ):
        changed = replace(hires, **change)
        assert differ(base, picture_of(engine, replace(REQUEST, hires=changed))), change
    models.used_loras.clear()
    draw(engine, replace(REQUEST, hires=replace(hires, prompt="a cat <lora:fog:1>")))
    assert [len(used) for used in models.used_loras] == [0, 1]


def test_hires_fix_with_strength_0_only_enlarges(engine):
    hires = Hires(width=128, height=128, upscaler_name="Nearest", denoising_strength=0)
    told = []
    engine.generate(replace(REQUEST, hires=hires), on_step=lambda *step: told.append(step))
    assert told == [(1, 3), (2, 3), (3, 3)]


@pytest.fixture(scope="module")
def controlled(kinds):
    """Engines whose ControlNets steer strongly."""
    engines = {}
    for kind in ("sd1", "sdxl"):
        model = kinds[kind]
        nets = {}
        for seed, name in enumerate(("lines", "depth")):
            torch.manual_seed(seed)
            nets[name] = ControlNetModel.from_unet(model.unet).eval()
            for zero in (*nets[name].controlnet_down_blocks, nets[name].controlnet_mid_block):
                torch.nn.init.normal_(zero.weight, std=0.3)
            for module in nets[name].controlnet_cond_embedding.modules():
                if isinstance(module, torch.nn.Conv2d):
                    torch.nn.init.kaiming_normal_(module.weight)
        engines[kind] = engine_of(GivenModels(model=model, controlnets=nets))
    return engines


def unit(**changes) -> ControlUnit:
    return replace(ControlUnit(image=png((10, 200, 90), (90, 40)), model="lines"), **changes)


@pytest.mark.parametrize("kind", ["sd1", "sdxl"])
def test_a_controlnet_steers_by_its_picture_weight_and_time(controlled, kind):
    engine = controlled[kind]
    free = picture_of(engine, REQUEST)
    steered = picture_of(engine, replace(REQUEST, controls=(unit(),)))
    assert differ(free, steered)
    for change in (
        {"image": png((255, 0, 0))},
        {"weight": 0.4},
        {"start": 0.3},
        {"end": 0.2},
        {"control_mode": 1},
        {"control_mode": 2},
        {"module": "invert"},
        {"model": "depth"},
    ):
        changed = picture_of(engine, replace(REQUEST, controls=(unit(**change),)))
        assert differ(steered, changed), change
        assert differ(free, changed), change
    assert not differ(free, picture_of(engine, replace(REQUEST, controls=(unit(weight=0),))))


def test_several_controlnets_steer_together_and_in_hires_fix(controlled):
    engine = controlled["sd1"]
    both = replace(REQUEST, controls=(unit(), unit(model="depth")))
    assert differ(picture_of(engine, both), picture_of(engine, replace(both, controls=(unit(),))))
    larger = replace(both, hires=Hires(width=128, height=128, steps=1), batch_size=2)
    assert draw(engine, larger).images[1].shape == (128, 128, 3)


def test_a_preprocessor_that_is_not_here_is_refused_by_name(controlled):
    with pytest.raises(NotSupported, match=r"openpose.*none, invert, canny"):
        draw(controlled["sd1"], replace(REQUEST, controls=(unit(module="openpose"),)))


def test_another_vae_decodes_the_same_latents_differently(model, folder):
    other = opened(checkpoints.checkpoint(folder / "other.safetensors", seed=3)).vae
    engine = engine_of(GivenModels(model=model, vaes={"other.pt": other}))
    assert differ(picture_of(engine, REQUEST), picture_of(engine, replace(REQUEST, vae="other.pt")))


def test_tiling_lasts_for_one_drawing_only(engine, model):
    before = picture_of(engine, REQUEST)
    assert differ(before, picture_of(engine, replace(REQUEST, tiling=True)))
    assert not differ(before, picture_of(engine, REQUEST))
    assert differ(before, picture_of(engine, replace(REQUEST, tiling=True, init_images=(png(),))))


def test_a_tiled_picture_may_be_rolled(model):
    """Circular padding knows no edge: rolled latents decode to the rolled picture."""
    from container.diffusers_engine.autoencoder import Autoencoder

    latents = torch.randn(1, 4, 8, 8)
    with torch.inference_mode():
        for tiling in (True, False):
            autoencoder = Autoencoder(model, model.vae, tiling=tiling)
            plain, rolled = (autoencoder.decode(each)[0] for each in (latents, latents.roll(4, dims=3)))
            assert differ(np.roll(plain, 32, axis=1), rolled) == (not tiling)


# Progress, interruption, errors, catalogue


def test_raising_in_a_step_stops_the_drawing(engine):
    told = []

    def stop_at_second(done, steps):
        told.append((done, steps))
        if done == 2:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        engine.generate(replace(REQUEST, steps=6), on_step=stop_at_second)
    assert told == [(1, 6), (2, 6)]


def test_image_to_image_walks_as_many_steps_as_webui(engine):
    told = []
    request = replace(REQUEST, init_images=(png(),), steps=20, denoising_strength=0.75)
    engine.generate(request, on_step=lambda *step: told.append(step))
    assert told[-1] == (16, 16)


class Full(torch.nn.Module):
    """A UNet for which the device has no room."""

    def __init__(self, config, error):
        super().__init__()
        self.config, self.error = config, error

    def forward(self, *_arguments, **_options):
        raise self.error


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_no_room_on_the_device_is_out_of_memory(model, error):
    engine = engine_of(GivenModels(model=replace(model, unet=Full(model.unet.config, error))))
    with pytest.raises(OutOfMemory) as caught:
        draw(engine, REQUEST)
    assert caught.value.__context__ is None


def test_any_other_failure_passes_through(model):
    engine = engine_of(GivenModels(model=replace(model, unet=Full(model.unet.config, RuntimeError("odd")))))
    with pytest.raises(RuntimeError, match="odd"):
        draw(engine, REQUEST)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"sampler_name": "Eular"}, UnknownName),
        ({"mask": Mask(file=left_half())}, BadRequest),
        ({"init_images": (b"nothing",)}, BadRequest),
        ({"prompt": "a <lora:x:loud>"}, BadRequest),
        ({"hires": Hires(width=96, height=96, upscaler_name="Latant")}, UnknownName),
        ({"hires": Hires(width=96, height=96), "init_images": (png(),)}, BadRequest),
    ],
)
def test_what_cannot_be_drawn_is_refused(engine, changes, error):
    with pytest.raises(error):
        draw(engine, replace(REQUEST, **changes))


def test_it_is_not_ready_before_it_is_set_up(engine):
    fresh = DiffusersEngine(engine._folder, engine._source, upscaler=engine._upscaler)
    with pytest.raises(NotReady):
        draw(fresh, REQUEST)


def test_a_folder_without_a_checkpoint_cannot_serve(engine):
    empty = replace(engine._folder, contents=dict.fromkeys(engine._folder.contents, ()))
    with pytest.raises(FileNotFoundError, match="Stable-diffusion"):
        DiffusersEngine(empty, engine._source, upscaler=engine._upscaler).setup()


def test_there_is_no_captioner(engine):
    with pytest.raises(NotSupported, match="interrogate"):
        engine.interrogate(np.zeros((8, 8, 3), np.uint8))


def test_upscaling_is_the_upscalers(engine):
    request = UpscaleRequest(
        picture=np.zeros((8, 8, 3), np.uint8), upscaler_name="Lanczos", width=20, height=12
    )
    assert engine.upscale(request).shape == (12, 20, 3)


def test_the_catalogue_says_what_is_there(engine):
    catalogue = engine.catalogue()
    assert [each.name for each in catalogue.models] == ["sd1.safetensors"]
    assert catalogue.samplers == tuple(SAMPLERS)
    assert "Align Your Steps" in catalogue.schedules["DPM++ 2M"]
    assert catalogue.features == frozenset(Feature)
    assert catalogue.upscalers == ("Lanczos", "Nearest")
    assert engine.info().name == "diffusers"
    assert engine.info().model == "sd1.safetensors"


def test_requests_that_agree_on_all_but_prompt_and_seed_join(engine):
    assert isinstance(engine, BatchingEngine)
    key = engine.joins(REQUEST)
    other = replace(REQUEST, prompt="a dog", negative_prompt="", seed=1, subseed=3, subseed_strength=0.2)
    assert key is not None
    assert engine.joins(replace(other, batch_size=2)) == key


@pytest.mark.parametrize(
    "changes",
    [
        {"width": 128},
        {"steps": 4},
        {"sampler_name": "DDIM"},
        {"schedule": "Karras"},
        {"eta": 0.5},
        {"cfg_scale": 6.0},
        {"clip_skip": 2},
        {"tiling": True},
        {"vae": "other"},
        {"model": "other"},
        {"prompt": "a cat <lora:fog:1>"},
        {"init_images": (png(),)},
    ],
)
def test_requests_that_disagree_do_not_join(engine, changes):
    assert engine.joins(replace(REQUEST, **changes)) not in (None, engine.joins(REQUEST))


@pytest.mark.parametrize(
    "changes",
    [
        {"exact": True},
        {"prompt": "a <lora:x:loud>"},
        {"sampler_name": "DPM++ SDE"},
        {"hires": Hires(width=96, height=96)},
        {"controls": (unit(),)},
        {"mask": Mask(file=left_half()), "init_images": (png(),)},
    ],
)
def test_some_requests_are_always_drawn_alone(engine, changes):
    assert engine.joins(replace(REQUEST, **changes)) is None


def test_pictures_drawn_over_may_be_drawn_together(engine):
    requests = [
        replace(REQUEST, init_images=(png(colour),), batch_size=2) for colour in ((255, 0, 0), (0, 90, 0))
    ]
    assert engine.joins(requests[0]) == engine.joins(requests[1])
    together = engine.generate_together(requests, on_step=lambda _done, _all: None)
    for request, drawing in zip(requests, together, strict=True):
        for picture, alone in zip(drawing.images, draw(engine, request).images, strict=True):
            assert not differ(picture, alone)


def test_fewer_large_pictures_than_small_ones_are_drawn_at_once(model):
    full_size = engine_of(GivenModels(model=replace(model, native_side=512)))
    sides = [512, 768, 1024, 2048]
    counts = [full_size.largest_together(replace(REQUEST, width=side, height=side)) for side in sides]
    assert counts == [16, 7, 4, 1]


@pytest.mark.parametrize("resize_mode", [0, 1, 2, 3])
def test_a_model_of_full_size_draws_at_the_size_asked_for(model, resize_mode):
    engine = engine_of(GivenModels(model=replace(model, native_side=512)))
    request = replace(
        REQUEST, width=136, height=72, init_images=(png(size=(70, 90)),), resize_mode=resize_mode, steps=2
    )
    assert picture_of(engine, request).shape == (72, 136, 3)
