"""What whole checkpoints load as, and that it is what diffusers itself makes of them."""

from pathlib import Path

import pytest
import torch
from diffusers.loaders.single_file_utils import (
    convert_ldm_unet_checkpoint,
    convert_ldm_vae_checkpoint,
    convert_open_clip_checkpoint,
)
from safetensors.torch import load_file

from container.diffusers_engine.checkpoint import Checkpoint, alphas_cumprod, finds_noise, open_checkpoint
from container.diffusers_engine.errors import UnusableFile
from container.diffusers_engine.loaded_model import Architecture, LoadedModel
from container.serving.engine import Model
from container.serving.model_folder import ModelFile
from tests.container.diffusers import checkpoints

EMBEDDED = Path(__file__).parents[3] / "container" / "embedded" / "model.safetensors"
ARCHITECTURES = {
    "sd1": Architecture.SD1,
    "sd2": Architecture.SD2,
    "sdxl": Architecture.SDXL,
    "sdxl_refiner": Architecture.SDXL_REFINER,
}


def opened(
    path: Path, *, allow_pickle: bool = False, dtype: torch.dtype = torch.float32, **facts
) -> Checkpoint:
    model = Model(name=path.name, sha256=facts.pop("sha256", ""))
    file = ModelFile(path=path, model=model, **facts)
    return open_checkpoint(file, allow_pickle=allow_pickle, device=torch.device("cpu"), dtype=dtype)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("checkpoints")
    return {
        shape: checkpoints.checkpoint(folder / f"{shape}.safetensors", shape) for shape in checkpoints.SHAPES
    }


@pytest.fixture(scope="module")
def models(made: dict[str, Path]) -> dict[str, LoadedModel]:
    return {shape: opened(path).model for shape, path in made.items()}


@pytest.mark.parametrize("shape", checkpoints.SHAPES)
def test_a_checkpoint_is_known_by_its_header(models: dict[str, LoadedModel], shape: str) -> None:
    model = models[shape]

    assert model.architecture is ARCHITECTURES[shape]
    assert len(model.text_encoders) == len(model.tokenizers) == (2 if shape == "sdxl" else 1)
    assert (model.vae_scale_factor, model.native_side) == (8, 64)


@pytest.mark.parametrize("shape", checkpoints.SHAPES)
def test_the_weights_stand_where_diffusers_puts_them(
    made: dict[str, Path], models: dict[str, LoadedModel], shape: str
) -> None:
    model = models[shape]
    tensors = load_file(made[shape])

    unet = convert_ldm_unet_checkpoint(dict(tensors), dict(model.unet.config))
    vae = convert_ldm_vae_checkpoint(dict(tensors), dict(model.vae.config))

    assert_same(model.unet.state_dict(), unet)
    assert_same(model.vae.state_dict(), vae)


@pytest.mark.parametrize(
    ("shape", "prefix"),
    [("sd2", "cond_stage_model.model."), ("sdxl", "conditioner.embedders.1.model.")],
)
def test_open_clip_weights_stand_where_diffusers_puts_them(
    made: dict[str, Path], models: dict[str, LoadedModel], shape: str, prefix: str
) -> None:
    encoder = models[shape].text_encoders[-1]
    tensors = load_file(made[shape])

    theirs = convert_open_clip_checkpoint(encoder, tensors, prefix=prefix)

    bare = {name.removeprefix("text_model."): tensor for name, tensor in theirs.items()}
    ours = {name.removeprefix("text_model."): tensor for name, tensor in encoder.state_dict().items()}
    assert_same(ours, bare)


def assert_same(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> None:
    assert set(ours) <= set(theirs)
    different = [name for name in ours if not torch.equal(ours[name], theirs[name].float())]
    assert different == []


def test_the_last_layer_of_sd2s_text_encoder_is_left_out(models: dict[str, LoadedModel]) -> None:
    [encoder] = models["sd2"].text_encoders

    assert encoder.config.num_hidden_layers == 2  # of 3 in the file


@pytest.mark.parametrize("shape", checkpoints.SHAPES)
def test_text_encoders_and_unet_fit_together(models: dict[str, LoadedModel], shape: str) -> None:
    model = models[shape]

    words = [tokenizer("a red fox", return_tensors="pt").input_ids for tokenizer in model.tokenizers]
    pairs = zip(model.text_encoders, words, strict=True)
    states = torch.cat([hidden(encoder, ids) for encoder, ids in pairs], -1)

    assert states.shape[-1] == model.unet.config.cross_attention_dim
    assert torch.isfinite(states).all()


def hidden(encoder, ids: torch.Tensor) -> torch.Tensor:
    states: torch.Tensor = encoder(ids, output_hidden_states=True).hidden_states[-1]
    return states


def test_tokens_are_clips_and_only_open_clip_fills_up_with_an_exclamation_mark(
    models: dict[str, LoadedModel],
) -> None:
    first, second = models["sdxl"].tokenizers

    ids = [
        list(tokenizer("a red fox", padding="max_length", max_length=8).input_ids)
        for tokenizer in (first, second)
    ]

    assert ids[0] == [49406, 320, 736, 3240, 49407, 49407, 49407, 49407]
    assert ids[1] == [49406, 320, 736, 3240, 49407, 0, 0, 0]


def test_tokenizers_keep_their_special_tokens_whole(models: dict[str, LoadedModel]) -> None:
    first, second = models["sdxl"].tokenizers

    assert first("<|endoftext|>").input_ids == second("<|endoftext|>").input_ids == [49406, 49407, 49407]


def test_an_inpainting_checkpoint_takes_nine_channels(tmp_path: Path) -> None:
    path = checkpoints.checkpoint(tmp_path / "fill.safetensors", in_channels=9)

    assert opened(path).model.unet.config.in_channels == 9


@pytest.mark.parametrize(
    ("marks", "metadata", "expected"),
    [
        ((), {}, ("epsilon", False)),
        (("v_pred",), {}, ("v_prediction", False)),
        (("v_pred", "ztsnr"), {}, ("v_prediction", True)),
        ((), {"modelspec.prediction_type": "v"}, ("v_prediction", False)),
        ((), {"ss_v_parameterization": "True", "ss_zero_terminal_snr": "True"}, ("v_prediction", True)),
    ],
)
def test_marks_of_training_are_read(made, tmp_path: Path, marks, metadata, expected) -> None:
    tensors = load_file(made["sdxl"]) | {mark: torch.empty(0) for mark in marks}
    path = checkpoints.save(tmp_path / "x.safetensors", tensors, metadata)

    model = opened(path).model

    assert (model.prediction_type, model.zero_terminal_snr) == expected
    assert (model.alphas_cumprod[-1] < 1e-6) == model.zero_terminal_snr


def test_the_noise_schedule_is_stable_diffusions() -> None:
    plain, zero = alphas_cumprod(zero_terminal_snr=False), alphas_cumprod(zero_terminal_snr=True)

    assert plain.shape == zero.shape == (1000,)
    assert plain[0].item() == pytest.approx(0.99915, abs=1e-6)
    assert plain[-1].item() == pytest.approx(0.0046602, abs=1e-6)
    assert zero[0].item() == pytest.approx(0.99915, abs=1e-6)
    assert 0 < zero[-1].item() < 1e-6


def test_an_unmarked_sd2_file_shows_by_its_answer_what_it_predicts(
    made: dict[str, Path], models: dict[str, LoadedModel], tmp_path: Path
) -> None:
    marks = {"modelspec.prediction_type": "eps"}
    marked = checkpoints.save(tmp_path / "x.safetensors", load_file(made["sd2"]), marks)

    assert finds_noise(opened(EMBEDDED).networks["unet"])  # trained to predict noise
    assert opened(marked).model.prediction_type == "epsilon"
    assert models["sd2"].prediction_type == "v_prediction"  # random weights find no noise


def test_a_pruned_text_prefix_is_understood(made: dict[str, Path], tmp_path: Path) -> None:
    tensors = load_file(made["sd1"])
    early = {
        name.replace("transformer.text_model.", "transformer."): tensor for name, tensor in tensors.items()
    }
    path = checkpoints.save(tmp_path / "early.safetensors", early)

    [encoder] = opened(path).model.text_encoders

    assert encoder.config.hidden_size == checkpoints.TEXT_WIDTH


def test_weights_stay_in_the_file_until_they_are_used(made: dict[str, Path]) -> None:
    """In the file's own precision on a CPU nothing is copied: the parameters lie within one mapped file."""
    unet = opened(made["sd1"], dtype=torch.float16).model.unet

    places = {parameter.untyped_storage().data_ptr() for parameter in unet.parameters()}
    span = max(places) - min(places)

    assert span < made["sd1"].stat().st_size


def test_the_embedded_checkpoint_is_an_ordinary_one() -> None:
    model = opened(EMBEDDED).model

    assert (model.architecture, model.native_side, model.prediction_type) == (Architecture.SD1, 64, "epsilon")
    assert list(model.unet.config.block_out_channels) == [64, 128, 192, 192]
    assert model.text_encoders[0].config.num_attention_heads == 4


def test_the_embedded_checkpoint_draws_what_its_own_engine_draws() -> None:
    """The same walk from the same noise, over these networks and over the exported ones."""
    from container.embedded.diffusion import Diffusion, Guidance, Walk
    from container.embedded.networks import Networks
    from container.embedded.noise import PictureNoise
    from container.embedded.text import PromptEncoder

    networks = Networks(EMBEDDED.parent, threads=1)
    positive, negative = PromptEncoder(networks).pair("a red apple on a blue background", "")
    noise = PictureNoise((7,), (0,), 0.0, (4, 8, 8))
    walk = Walk(sampler="DDIM", steps=5, after_step=lambda _done, _all: None)
    theirs = Diffusion(networks).draw(
        noise, Guidance(prompt=positive, negative_prompt=negative, scale=7.0), walk
    )

    states, latents = ddim(
        "a red apple on a blue background", PictureNoise((7,), (0,), 0.0, (4, 8, 8)).draw()
    )

    assert float(abs(states - positive).max()) < 1e-3
    assert float(abs(latents - theirs).max()) < 1e-3


def ddim(prompt: str, noise) -> tuple:
    """Five deterministic steps with guidance 7 over the loaded networks, written down plainly."""
    model = opened(EMBEDDED).model
    timesteps, power = [801, 601, 401, 201, 1], model.alphas_cumprod
    texts = {"padding": "max_length", "max_length": 77, "return_tensors": "pt"}
    with torch.inference_mode():
        states = model.text_encoders[0](
            model.tokenizers[0](["", prompt], **texts).input_ids
        ).last_hidden_state
        x = torch.from_numpy(noise).float() * (1 - power[801]).sqrt()
        for now, after in zip(timesteps, [*timesteps[1:], None], strict=True):
            without, wanted = model.unet(torch.cat([x, x]), now, states).sample.chunk(2)
            found = without + 7.0 * (wanted - without)
            left = torch.tensor(1.0) if after is None else power[after]
            picture = (x - (1 - power[now]).sqrt() * found) / power[now].sqrt()
            x = left.sqrt() * picture + (1 - left).sqrt() * found
    return states[1:].numpy(), x.numpy()


def test_reading_and_loading_needs_no_network(made: dict[str, Path]) -> None:
    import pytest_socket

    pytest_socket.disable_socket()
    try:
        for path in made.values():
            opened(path)
    finally:
        pytest_socket.enable_socket()


class TestPickles:
    def test_are_refused_with_the_ways_out(self, tmp_path: Path) -> None:
        path = checkpoints.checkpoint(tmp_path / "x.ckpt")

        with pytest.raises(UnusableFile, match=r"convert it to safetensors.*ALLOW_PICKLE=1") as refusal:
            opened(path)

        assert (refusal.value.status, refusal.value.code) == (422, "not_supported")

    def test_load_where_they_are_allowed(self, tmp_path: Path) -> None:
        path = checkpoints.checkpoint(tmp_path / "x.ckpt", "sd2")

        assert opened(path, allow_pickle=True).model.architecture is Architecture.SD2

    def test_load_where_the_catalogue_vouches_for_these_very_bytes(self, tmp_path: Path) -> None:
        import hashlib

        path = checkpoints.checkpoint(tmp_path / "x.ckpt")
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()

        assert opened(path, sha256=sha256, verdict="safe").model.architecture is Architecture.SD1
        for facts in ({"sha256": "0" * 64, "verdict": "safe"}, {"sha256": sha256, "verdict": "unsafe"}):
            with pytest.raises(UnusableFile, match="pickle"):
                opened(path, **facts)

    def test_with_code_inside_are_refused_without_running_it(self, tmp_path: Path) -> None:
        import os

        class Harmful:
            def __reduce__(self):
                return os.mkdir, (str(tmp_path / "harm"),)

        path = checkpoints.save(tmp_path / "x.ckpt", {"a": Harmful()})  # type: ignore[dict-item]

        with pytest.raises(UnusableFile, match="plain weights"):
            opened(path, allow_pickle=True)

        assert not (tmp_path / "harm").exists()
