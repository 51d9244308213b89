"""The networks of a model folder's `ESRGAN/`, with random weights in their original layouts."""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import save_file  # noqa: E402  needs torch

from container.diffusers_engine.errors import UnusableFile  # noqa: E402
from container.serving.engine import Model, UpscaleRequest  # noqa: E402
from container.serving.errors import OutOfMemory  # noqa: E402
from container.serving.model_folder import ModelFile, read_model_folder  # noqa: E402
from container.upscaling import tiny  # noqa: E402
from container.upscaling.choice import open_upscalers  # noqa: E402
from container.upscaling.esrgan import EsrganFiles  # noqa: E402
from container.upscaling.spandrel_network import open_network  # noqa: E402
from container.upscaling.tiny import TinyNetwork  # noqa: E402

TINY = Path(tiny.__file__).with_name("tiny_4x.safetensors")
RNG = np.random.default_rng(7)
PICTURE = RNG.integers(0, 256, (24, 40, 3), dtype=np.uint8)


def random_state(shapes):
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(shape, generator=generator) * 0.05 for name, shape in shapes.items()}


def esrgan(channels=8, growth=32, colours=3):
    """RRDBNet, four times the side, in Real-ESRGAN's key names; one block."""
    shapes = {"conv_first": (channels, colours), "conv_last": (colours, channels)}
    shapes |= dict.fromkeys(("conv_body", "conv_up1", "conv_up2", "conv_hr"), (channels, channels))
    for dense in (1, 2, 3):
        for number in range(1, 6):
            wide = channels if number == 5 else growth
            shapes[f"body.0.rdb{dense}.conv{number}"] = (wide, channels + (number - 1) * growth)
    kernels = {f"{name}.weight": (*shape, 3, 3) for name, shape in shapes.items()}
    state = random_state(kernels | {f"{name}.bias": shape[:1] for name, shape in shapes.items()})
    return state | {
        "conv_first.weight": state["conv_first.weight"] * 40,
        "conv_last.bias": torch.full((colours,), 0.5),
    }


@pytest.fixture
def folder(tmp_path):
    """Makes the folder with the files by name, each a function of its path."""

    def made(*, allow_pickle=False, **files):
        (tmp_path / "ESRGAN").mkdir()
        for name, write in files.items():
            write(tmp_path / "ESRGAN" / name.replace("__", "."))
        return read_model_folder(tmp_path, allow_pickle=allow_pickle)

    return made


def safetensors(state):
    return lambda path: save_file(state, path)


def pickled(content):
    return lambda path: torch.save(content, path)


def upscaled(folder, name, *, width=160, height=96):
    upscaler = EsrganFiles(folder)
    return upscaler.upscale(UpscaleRequest(picture=PICTURE, upscaler_name=name, width=width, height=height))


def refusal(folder, name="x"):
    with pytest.raises(UnusableFile) as refused:
        upscaled(folder, name)
    return str(refused.value)


class TestArchitectures:
    @pytest.mark.parametrize(("width", "height"), [(160, 96), (80, 48), (111, 77), (320, 192)])
    def test_an_esrgan_answers_the_exact_size(self, folder, width, height):
        drawn = upscaled(folder(x__safetensors=safetensors(esrgan())), "x", width=width, height=height)
        assert drawn.shape == (height, width, 3)
        assert drawn.std() > 1

    def test_our_own_weights_are_a_compact_network_and_draw_the_same(self):
        file = ModelFile(path=TINY, model=Model(name=TINY.name))
        pictures = RNG.random((1, 3, 20, 28), dtype=np.float32)
        network = open_network(file, allow_pickle=False)
        assert network.factor == 4
        assert np.abs(network(pictures) - TinyNetwork(threads=1)(pictures).clip(0, 1)).max() < 1e-4

    def test_torchvision_is_not_pretended_to_others(self, folder):
        before = "torchvision" in sys.modules
        upscaled(folder(x__safetensors=safetensors(esrgan())), "x")
        assert ("torchvision" in sys.modules) == before

    def test_an_unknown_architecture_is_refused_by_name(self, folder):
        said = refusal(folder(x__safetensors=safetensors(random_state({"strange.weight": (3, 3)}))))
        assert "'x.safetensors'" in said
        assert "none that spandrel knows" in said

    def test_tensors_of_wrong_shapes_are_refused(self, folder):
        state = esrgan() | random_state({"body.0.rdb2.conv1.weight": (32, 9, 3, 3)})
        assert "not those of its architecture" in refusal(folder(x__safetensors=safetensors(state)))

    def test_a_network_for_grey_pictures_is_refused(self, folder):
        assert "in colour" in refusal(folder(x__safetensors=safetensors(esrgan(colours=1))))

    def test_a_damaged_file_is_refused(self, folder):
        assert "'x.safetensors'" in refusal(folder(x__safetensors=lambda path: path.write_bytes(b"\1" * 40)))


class TestPickles:
    def test_one_that_nobody_allows_is_refused(self, folder):
        assert "it is a pickle" in refusal(folder(x__pth=pickled(esrgan())))

    @pytest.mark.parametrize("wrapper", ["params_ema", "params", None])
    def test_one_that_is_allowed_is_read_however_it_was_wrapped(self, folder, wrapper):
        content = {wrapper: esrgan()} if wrapper else esrgan()
        drawn = upscaled(folder(allow_pickle=True, x__pth=pickled(content)), "x")
        assert drawn.shape == (96, 160, 3)

    def test_one_the_catalogue_vouches_for_is_read(self, folder, tmp_path):
        folder(x__pth=pickled(esrgan()))
        digest = hashlib.sha256((tmp_path / "ESRGAN/x.pth").read_bytes()).hexdigest()
        facts = {"files": {"ESRGAN/x.pth": {"sha256": digest, "verdict": "safe"}}}
        (tmp_path / "catalogue.json").write_text(json.dumps(facts))
        assert upscaled(read_model_folder(tmp_path), "x").shape == (96, 160, 3)

    def test_one_that_holds_more_than_tensors_is_refused(self, folder):
        said = refusal(folder(allow_pickle=True, x__pth=pickled({"x": pytest.approx})))
        assert "torch refuses" in said


class TestFiles:
    def test_they_stand_before_our_own_and_go_by_their_stems(self, folder):
        found = folder(b__safetensors=safetensors(esrgan()), a__pth=pickled({}))  # neither is opened
        assert open_upscalers(found).names == ("a", "b", "Tiny 4x", "Lanczos", "Nearest")

    def test_two_of_one_stem_stay_apart(self, folder):
        state = safetensors(esrgan())
        assert EsrganFiles(folder(x__safetensors=state, x__pth=state)).names == ("x", "x.safetensors")

    def test_one_that_does_not_fit_is_out_of_memory(self, folder):
        class Large:
            factor, context = 4, 1

            def __call__(self, pictures):
                raise torch.OutOfMemoryError("CUDA out of memory")

        upscaler = EsrganFiles(folder(x__safetensors=safetensors(esrgan())), open_file=lambda _file: Large())
        with pytest.raises(OutOfMemory, match="x does not fit"):
            upscaler.upscale(UpscaleRequest(picture=PICTURE, upscaler_name="x", width=160, height=96))

    def test_another_error_of_the_network_stays_what_it_is(self, folder):
        class Broken:
            factor, context = 4, 1

            def __call__(self, pictures):
                raise RuntimeError("shapes do not match")

        upscaler = EsrganFiles(folder(x__safetensors=safetensors(esrgan())), open_file=lambda _file: Broken())
        with pytest.raises(RuntimeError, match="shapes do not match"):
            upscaler.upscale(UpscaleRequest(picture=PICTURE, upscaler_name="x", width=160, height=96))

    def test_a_file_is_read_once_until_another_is_asked_for(self, folder):
        read = []

        class Doubled:
            factor, context = 2, 0

            def __call__(self, pictures):
                return pictures.repeat(2, axis=2).repeat(2, axis=3)

        def opened(file):
            read.append(file.model.name)
            return Doubled()

        state = safetensors(esrgan())
        upscaler = EsrganFiles(folder(a__safetensors=state, b__safetensors=state), open_file=opened)
        for name in ("a", "a", "b", "a"):
            upscaler.upscale(UpscaleRequest(picture=PICTURE, upscaler_name=name, width=80, height=48))
        assert read == ["a.safetensors", "b.safetensors", "a.safetensors"]
