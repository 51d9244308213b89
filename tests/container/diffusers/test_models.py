"""Opening a folder's files by name: LoRAs, VAEs, ControlNets, embeddings, and what stays in memory."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from container.diffusers_engine.errors import UnusableFile
from container.diffusers_engine.loaded_model import LoadedModel, LoraUse
from container.diffusers_engine.lora import product
from container.diffusers_engine.models import Models
from container.serving.errors import UnknownName
from container.serving.model_folder import read_model_folder
from tests.container.diffusers import checkpoints

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    for shape in checkpoints.SHAPES:
        checkpoints.checkpoint(root / "Stable-diffusion" / f"{shape}.safetensors", shape)
    for kind in checkpoints.KINDS_OF_LORA:
        checkpoints.lora(root / "Lora" / f"{kind}.safetensors", kind=kind)
    for shape in ("sd2", "sdxl"):
        checkpoints.lora(root / "Lora" / f"for-{shape}.safetensors", shape)
        checkpoints.controlnet(root / "ControlNet" / f"for-{shape}.safetensors", shape)
        checkpoints.lora(root / "Lora" / f"{shape}-diffusers.safetensors", shape, naming="diffusers")
    checkpoints.lora(root / "Lora" / "sdxl-original.safetensors", "sdxl", naming="original")
    checkpoints.lora(root / "Lora" / "second.safetensors", seed=9, alpha=2.0)
    checkpoints.vae(root / "VAE" / "other.safetensors")
    checkpoints.vae(root / "VAE" / "prefixed.safetensors", prefix="first_stage_model.")
    for layout in ("original", "bare", "diffusers"):
        checkpoints.controlnet(root / "ControlNet" / f"{layout}.safetensors", layout=layout)
    return root


@pytest.fixture
def models(folder: Path) -> Models:
    return Models(read_model_folder(folder), device=CPU)


def weights(model: LoadedModel) -> dict[str, torch.Tensor]:
    """Copies of everything LoRAs may touch."""
    networks = {"unet": model.unet, **{f"text{k}": text for k, text in enumerate(model.text_encoders)}}
    return {
        f"{name}.{path}": parameter.clone()
        for name, network in networks.items()
        for path, parameter in network.named_parameters()
    }


def changed(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    return {name for name in before if not torch.equal(before[name], after[name])}


class TestOpening:
    @pytest.mark.parametrize("name", ["sd1.safetensors", "sd1"])
    def test_by_the_names_people_use(self, models: Models, name: str) -> None:
        assert models.open(name).name == "sd1.safetensors"

    def test_again_gives_the_same_model(self, models: Models) -> None:
        assert models.open("sd1") is models.open("sd1.safetensors")

    def test_an_unknown_name_offers_the_nearest(self, models: Models) -> None:
        with pytest.raises(UnknownName, match="sdxl"):
            models.open("sdxxl")

    def test_never_leads_out_of_the_folder(self, models: Models) -> None:
        with pytest.raises(UnknownName):
            models.open("../Lora/lora.safetensors")


class TestMemory:
    def test_what_was_used_longest_ago_goes_first(self, folder: Path) -> None:
        measured = Models(read_model_folder(folder), device=CPU)
        measured.open("sd1")
        one = measured.bytes_held
        models = Models(read_model_folder(folder), device=CPU, memory_limit=int(2.5 * one))

        first, second = models.open("sd1"), models.open("sd2")
        models.open("sd1")
        models.open("sdxl_refiner")

        assert models.open("sd1") is first
        assert models.open("sd2") is not second

    def test_stays_within_the_limit(self, folder: Path) -> None:
        measured = Models(read_model_folder(folder), device=CPU)
        measured.open("sdxl")
        limit = measured.bytes_held
        models = Models(read_model_folder(folder), device=CPU, memory_limit=limit)

        for name in checkpoints.SHAPES:
            models.open(name)

            assert 0 < models.bytes_held <= limit

    def test_one_model_alone_may_exceed_it(self, folder: Path) -> None:
        models = Models(read_model_folder(folder), device=CPU, memory_limit=1)

        models.open("sd1")
        only = models.bytes_held
        models.open("sd1")

        assert models.bytes_held == only > 1

    def test_a_controlnet_does_not_push_out_the_model_it_is_for(self, folder: Path) -> None:
        models = Models(read_model_folder(folder), device=CPU, memory_limit=1)
        model = models.open("sd1")

        models.controlnet("original", model)

        assert models.open("sd1") is model

    def test_closing_lets_go_of_all(self, models: Models) -> None:
        models.open("sd1")
        models.close()

        assert models.bytes_held == 0


class TestLoras:
    @pytest.mark.parametrize("kind", checkpoints.KINDS_OF_LORA)
    def test_every_kind_changes_both_networks_and_is_undone_bit_for_bit(
        self, models: Models, kind: str
    ) -> None:
        model = models.open("sd1")
        plain = weights(model)

        notes = models.use_loras(model, [LoraUse(name=kind)])
        touched = changed(plain, weights(model))
        models.use_loras(model, [])

        assert notes == ()
        assert {name.partition(".")[0] for name in touched} == {"unet", "text0"}
        assert changed(plain, weights(model)) == set()

    def test_the_change_is_scale_times_up_times_down(self, folder: Path, models: Models) -> None:
        from safetensors.torch import load_file

        model = models.open("sd1")
        layer = model.unet.mid_block.attentions[0].transformer_blocks[0].attn2.to_k.weight
        before = layer.clone()
        factors = load_file(folder / "Lora" / "lora.safetensors")
        stem = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k"

        models.use_loras(model, [LoraUse(name="lora", unet_weight=0.5)])

        delta = 0.5 * (1.0 / 2) * (factors[f"{stem}.lora_up.weight"] @ factors[f"{stem}.lora_down.weight"])
        torch.testing.assert_close(layer, before + delta)

    def test_agrees_with_peft(self, folder: Path, models: Models) -> None:
        """The same LoRA in diffusers' own loader, run unmerged, answers the same."""
        from diffusers import UNet2DConditionModel
        from safetensors.torch import load_file

        model = models.open("sdxl")
        with torch.device("meta"):
            theirs = UNet2DConditionModel(**model.unet.config)
        theirs.load_state_dict(
            {name: value.clone() for name, value in model.unet.state_dict().items()}, assign=True
        )
        state = load_file(folder / "Lora" / "sdxl-diffusers.safetensors")
        theirs.load_lora_adapter({k: v for k, v in state.items() if k.startswith("unet.")}, prefix="unet")
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(1, 4, 8, 8, generator=generator)
        context = torch.randn(1, 77, 64, generator=generator)
        added = {"text_embeds": torch.ones(1, 32), "time_ids": torch.ones(1, 6)}

        models.use_loras(model, [LoraUse(name="sdxl-diffusers")])

        with torch.inference_mode():
            ours = model.unet(x, 500, context, added_cond_kwargs=added).sample
            expected = theirs.eval()(x, 500, context, added_cond_kwargs=added).sample
        torch.testing.assert_close(ours, expected, atol=1e-4, rtol=1e-4)

    @pytest.mark.parametrize(
        ("use", "networks"),
        [
            (LoraUse(name="lora", unet_weight=1.0, text_encoder_weight=0.0), {"unet"}),
            (LoraUse(name="lora", unet_weight=0.0, text_encoder_weight=1.0), {"text0"}),
            (LoraUse(name="lora", unet_weight=0.0, text_encoder_weight=0.0), set()),
        ],
    )
    def test_each_network_has_its_own_weight_and_zero_is_exact(self, models: Models, use, networks) -> None:
        model = models.open("sd1")
        plain = weights(model)

        models.use_loras(model, [use])

        assert {name.partition(".")[0] for name in changed(plain, weights(model))} == networks

    def test_several_add_up_whatever_their_order(self, models: Models) -> None:
        model = models.open("sd1")
        plain = weights(model)
        both = [LoraUse(name="lora"), LoraUse(name="second", unet_weight=0.3)]

        alone = []
        for use in both:
            models.use_loras(model, [use])
            alone.append(weights(model))
        models.use_loras(model, both)

        name = "unet.mid_block.attentions.0.proj_in.weight"
        expected = plain[name] + sum(one[name] - plain[name] for one in alone)
        torch.testing.assert_close(weights(model)[name], expected)

    def test_the_same_ones_again_do_nothing(self, models: Models) -> None:
        model = models.open("sd1")
        models.use_loras(model, [LoraUse(name="lora")])
        places = [parameter.data_ptr() for parameter in model.unet.parameters()]

        models.use_loras(model, [LoraUse(name="lora")])

        assert [parameter.data_ptr() for parameter in model.unet.parameters()] == places

    def test_both_text_encoders_of_sdxl_and_both_ways_to_name_its_blocks(self, models: Models) -> None:
        model = models.open("sdxl")
        plain = weights(model)

        models.use_loras(model, [LoraUse(name="for-sdxl")])
        kohya = weights(model)
        models.use_loras(model, [LoraUse(name="sdxl-original")])

        assert {name.partition(".")[0] for name in changed(plain, kohya)} == {"unet", "text0", "text1"}
        assert changed(kohya, weights(model)) == set()

    @pytest.mark.parametrize("name", ["sd2-diffusers", "for-sd2"])
    def test_linear_projections_of_sd2(self, models: Models, name: str) -> None:
        model = models.open("sd2")
        plain = weights(model)

        assert models.use_loras(model, [LoraUse(name=name)]) == ()

        assert any("proj_in" in path for path in changed(plain, weights(model)))

    def test_one_for_another_architecture_is_refused_naming_both_and_changes_nothing(
        self, models: Models
    ) -> None:
        model = models.open("sd1")
        models.use_loras(model, [LoraUse(name="lora")])
        before = weights(model)

        with pytest.raises(UnusableFile, match=r"made for SDXL, and 'sd1.safetensors' is SD1.x") as refusal:
            models.use_loras(model, [LoraUse(name="second"), LoraUse(name="for-sdxl")])

        assert refusal.value.status == 422
        assert changed(before, weights(model)) == set()

    def test_parts_without_a_place_are_counted(self, tmp_path: Path) -> None:
        checkpoints.checkpoint(tmp_path / "Stable-diffusion" / "a.safetensors")
        path = checkpoints.lora(tmp_path / "Lora" / "b.safetensors")
        from safetensors.torch import load_file

        more = {f"lora_unet_elsewhere.lora_{side}.weight": torch.ones(2, 2) for side in ("up", "down")}
        checkpoints.save(path, load_file(path) | more)
        models = Models(read_model_folder(tmp_path), device=CPU)

        notes = models.use_loras(models.open("a"), [LoraUse(name="b")])

        assert len(notes) == 1
        assert "b: 1 of its" in notes[0]

    @pytest.mark.parametrize(
        ("extra", "reason"),
        [
            ("lora_unet_x.dora_scale", "DoRA, which is not supported yet"),
            ("lora_unet_x.oft_blocks", "OFT, which is not supported yet"),
        ],
    )
    def test_kinds_not_done_are_named(self, tmp_path: Path, extra: str, reason: str) -> None:
        checkpoints.checkpoint(tmp_path / "Stable-diffusion" / "a.safetensors")
        checkpoints.save(tmp_path / "Lora" / "b.safetensors", {extra: torch.ones(2)})
        models = Models(read_model_folder(tmp_path), device=CPU)

        with pytest.raises(UnusableFile, match=reason):
            models.use_loras(models.open("a"), [LoraUse(name="b")])

    def test_the_alpha_diffusers_keeps_in_metadata_counts(self, tmp_path: Path) -> None:
        checkpoints.checkpoint(tmp_path / "Stable-diffusion" / "a.safetensors")
        settings = '{"unet.lora_alpha": 4, "unet.r": 2}'
        for name, metadata in {"plain": {}, "double": {"lora_adapter_metadata": settings}}.items():
            path = tmp_path / "Lora" / f"{name}.safetensors"
            checkpoints.lora(path, naming="diffusers", parts=("unet",), metadata=metadata)
        models = Models(read_model_folder(tmp_path), device=CPU)
        model = models.open("a")

        models.use_loras(model, [LoraUse(name="plain", unet_weight=2.0)])
        twice = weights(model)
        models.use_loras(model, [LoraUse(name="double")])

        assert changed(twice, weights(model)) == set()

    @given(
        out=st.integers(1, 4),
        inner=st.integers(1, 4),
        a=st.integers(1, 3),
        b=st.integers(1, 3),
        k=st.integers(1, 3),
    )
    def test_a_kronecker_product_is_that_of_the_convolution(
        self, out: int, inner: int, a: int, b: int, k: int
    ) -> None:
        left, right = torch.randn(a, b), torch.randn(out, inner, k, k)

        ours = product({"lokr_w1": left, "lokr_w2": right}).reshape(a * out, b * inner, k, k)

        torch.testing.assert_close(ours, torch.kron(left[:, :, None, None], right))


class TestVaes:
    @pytest.mark.parametrize("name", ["other", "prefixed"])
    def test_a_file_of_its_own_decodes_differently(self, models: Models, name: str) -> None:
        model = models.open("sd1")
        latents = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))

        vae = models.vae(name, model)

        with torch.inference_mode():
            ours, theirs = (network.decode(latents).sample for network in (model.vae, vae))
        assert theirs.shape == (1, 3, 64, 64)
        assert not torch.allclose(ours, theirs)

    def test_what_is_none_is_refused(self, tmp_path: Path) -> None:
        checkpoints.checkpoint(tmp_path / "Stable-diffusion" / "a.safetensors")
        checkpoints.lora(tmp_path / "VAE" / "b.safetensors")
        models = Models(read_model_folder(tmp_path), device=CPU)

        with pytest.raises(UnusableFile, match="looks like a LoRA"):
            models.vae("b", models.open("a"))


class TestControlNets:
    def test_every_layout_gives_the_same_network(self, models: Models) -> None:
        model = models.open("sd1")

        states = [models.controlnet(name, model).state_dict() for name in ("original", "bare", "diffusers")]

        assert all(changed(states[0], other) == set() for other in states[1:])

    @pytest.mark.parametrize(
        ("checkpoint", "name"), [("sd1", "original"), ("sd2", "for-sd2"), ("sdxl", "for-sdxl")]
    )
    def test_steers_the_unet_it_is_for(self, models: Models, checkpoint: str, name: str) -> None:
        model = models.open(checkpoint)
        network = models.controlnet(name, model)
        x, context = torch.ones(1, 4, 8, 8), torch.ones(1, 77, model.unet.config.cross_attention_dim)
        added = {"added_cond_kwargs": {"text_embeds": torch.ones(1, 32), "time_ids": torch.ones(1, 6)}}
        more = added if checkpoint == "sdxl" else {}

        with torch.inference_mode():
            down, mid = network(x, 500, context, torch.ones(1, 3, 64, 64), return_dict=False, **more)
            plain = model.unet(x, 500, context, **more).sample
            steered = model.unet(
                x,
                500,
                context,
                down_block_additional_residuals=down,
                mid_block_additional_residual=mid,
                **more,
            ).sample

        assert not torch.allclose(plain, steered)

    def test_one_for_another_model_is_refused(self, models: Models) -> None:
        model = models.open("sd1")

        with pytest.raises(UnusableFile, match=r"64 values a token.*SD1.x"):
            models.controlnet("for-sdxl", model)


class TestEmbeddings:
    def test_stand_for_their_files_name_in_the_models_that_fit(self, folder: Path, tmp_path: Path) -> None:
        for shape in ("sd1", "sdxl"):
            checkpoints.checkpoint(tmp_path / "Stable-diffusion" / f"{shape}.safetensors", shape)
        inversions = tmp_path / "embeddings"
        checkpoints.embedding(inversions / "calm.safetensors", vectors=3)
        checkpoints.embedding(inversions / "both.safetensors", widths=(32, 32))
        checkpoints.embedding(inversions / "foreign.safetensors", widths=(48,))
        checkpoints.embedding(inversions / "pickled.pt")
        checkpoints.lora(inversions / "lora.safetensors")
        models = Models(read_model_folder(tmp_path), device=CPU)

        one, two = (models.embeddings(models.open(shape)) for shape in ("sd1", "sdxl"))

        assert [vectors.shape for vectors in one.vectors["calm"]] == [(3, 32)]
        assert [vectors.shape for vectors in two.vectors["both"]] == [(2, 32), (2, 32)]
        assert set(two.vectors) == {"both"}
        assert "48 values" in one.unusable["foreign"]
        assert "ALLOW_PICKLE=1" in one.unusable["pickled"]
        assert "no textual inversion" in one.unusable["lora"]

    def test_webuis_pickles_are_read_where_they_are_allowed(self, tmp_path: Path) -> None:
        checkpoints.checkpoint(tmp_path / "Stable-diffusion" / "a.safetensors")
        checkpoints.embedding(tmp_path / "embeddings" / "calm.pt")
        checkpoints.embedding(tmp_path / "embeddings" / "same.safetensors")
        models = Models(read_model_folder(tmp_path, allow_pickle=True), device=CPU)

        vectors = models.embeddings(models.open("a")).vectors

        assert torch.equal(vectors["calm"][0], vectors["same"][0])
