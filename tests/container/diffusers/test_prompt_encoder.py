"""From prompts to conditioning, against the text encoders themselves."""

import math

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from container.diffusers_engine.extra_networks import read_prompt
from container.diffusers_engine.loaded_model import Embeddings, LoadedModel, LoraUse
from container.diffusers_engine.prompt_encoder import PromptEncoder
from container.prompt_length import MAX_CHUNKS
from container.serving.errors import BadRequest
from tests.container.diffusers import checkpoints
from tests.container.diffusers.given_models import opened


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> dict[str, LoadedModel]:
    folder = tmp_path_factory.mktemp("models")
    return {
        shape: opened(checkpoints.checkpoint(folder / f"{shape}.safetensors", shape))
        for shape in ("sd1", "sd2", "sdxl", "sdxl_refiner")
    }


@pytest.fixture(scope="module")
def encoder(models) -> PromptEncoder:
    return PromptEncoder(models["sd1"], Embeddings())


def plain(model: LoadedModel, prompt: str, *, place: int = 0):
    """What a text encoder says of a short prompt, tokenised by its own tokenizer."""
    tokenizer, network = model.tokenizers[place], model.text_encoders[place]
    ids = tokenizer(prompt, padding="max_length", max_length=77, return_tensors="pt").input_ids
    with torch.inference_mode():
        return network(ids, output_hidden_states=True)


@pytest.mark.parametrize("shape", ["sd1", "sd2"])
def test_without_weights_it_is_the_plain_embedding_exactly(models, shape):
    states = PromptEncoder(models[shape], Embeddings()).encode("a photo of a cat, sitting").states
    assert torch.equal(states, plain(models[shape], "a photo of a cat, sitting").last_hidden_state)


def test_sdxl_joins_both_encoders_last_layers_but_one_and_pools_the_second(models):
    model = models["sdxl"]
    encoded = PromptEncoder(model, Embeddings()).encode("a cat")
    first, second = (plain(model, "a cat", place=place) for place in (0, 1))
    joined = torch.cat([first.hidden_states[-2], second.hidden_states[-2]], dim=-1)
    assert torch.equal(encoded.states, joined)
    assert encoded.pooled is not None
    assert torch.allclose(encoded.pooled, second.text_embeds, atol=1e-6)


def test_clip_skip_counts_layers_from_the_last(models):
    model = models["sd1"]
    encoded = PromptEncoder(model, Embeddings(), clip_skip=2).encode("a cat").states
    with torch.inference_mode():
        expected = model.text_encoders[0].final_layer_norm(plain(model, "a cat").hidden_states[-2])
    assert torch.equal(encoded, expected)
    deepest = PromptEncoder(model, Embeddings(), clip_skip=12).encode("a cat").states
    assert deepest.isfinite().all()


def test_an_empty_negative_prompt_of_sdxl_is_zeros(models):
    encoder = PromptEncoder(models["sdxl"], Embeddings())
    empty, ugly = encoder.encode_negative(""), encoder.encode_negative("ugly")
    assert not empty.states.any()
    assert empty.pooled is not None
    assert not empty.pooled.any()
    assert ugly.states.any()


@pytest.mark.parametrize("shape", ["sd1", "sdxl_refiner"])
def test_other_models_empty_negative_prompts_are_encoded(models, shape):
    assert PromptEncoder(models[shape], Embeddings()).encode_negative("").states.any()


def test_a_weight_of_one_changes_nothing(encoder):
    assert torch.equal(encoder.encode("a (red:1.0) cat").states, encoder.encode("a red cat").states)


def test_escaped_brackets_are_the_words_themselves(models, encoder):
    assert torch.equal(
        encoder.encode(r"cat \(animal\)").states, plain(models["sd1"], "cat (animal)").last_hidden_state
    )


def test_a_word_s_states_are_scaled_and_the_strength_of_all_restored(encoder):
    base, weighted = (encoder.encode(prompt).states[0] for prompt in ("a red cat", "a (red:1.5) cat"))
    ratio = weighted / base
    others = ratio[[0, 1, 3, 4, 5, 76]]
    restored = float(others.mean())
    assert torch.allclose(others, torch.full_like(others, restored), rtol=1e-3)
    assert torch.allclose(ratio[2], torch.full_like(ratio[2], 1.5 * restored), rtol=1e-3)
    assert float(weighted.square().mean()) == pytest.approx(float(base.square().mean()), rel=1e-3)


def test_a_mean_that_is_not_zero_is_restored_as_in_webui(models):
    model = models["sd2"]
    norm = model.text_encoders[0].final_layer_norm
    before = norm.bias.detach().clone()
    with torch.no_grad():
        norm.bias.fill_(0.3)
        encoder = PromptEncoder(model, Embeddings())
        base, weighted = (encoder.encode(prompt).states for prompt in ("a red cat", "a (red:1.5) cat"))
        norm.bias.copy_(before)
    assert float(weighted.mean()) == pytest.approx(float(base.mean()), rel=1e-4)
    assert float(weighted.square().mean()) != pytest.approx(float(base.square().mean()), rel=1e-4)


def test_brackets_weigh_as_much_as_their_numbers(encoder):
    assert torch.allclose(encoder.encode("(cat)").states, encoder.encode("(cat:1.1)").states, atol=1e-5)
    assert torch.allclose(encoder.encode("[cat]").states, encoder.encode("(cat:0.909091)").states, atol=1e-4)


def test_break_starts_a_chunk(encoder):
    both = encoder.encode("a cat BREAK a dog").states
    alone = [encoder.encode(prompt).states for prompt in ("a cat ", " a dog")]
    assert torch.equal(both, torch.cat(alone, dim=1))


def test_a_long_prompt_is_cut_into_chunks_of_75(encoder):
    assert encoder.encode("cat " * 75).states.shape == (1, 77, 32)
    assert encoder.encode("cat " * 76).states.shape == (1, 154, 32)
    rest = encoder.encode("cat " * 76).states[:, 77:]
    assert torch.equal(rest, encoder.encode("cat").states)


def test_a_chunk_ends_at_a_late_comma(encoder):
    """The words after the last comma go on together, as in webui."""
    states = encoder.encode("cat " * 70 + ", " + "dog " * 10).states
    assert torch.equal(states[:, 77:], encoder.encode("dog " * 10).states)


def test_a_prompt_of_more_than_one_chunk_is_told_its_length(encoder):
    assert encoder.notes("cat " * 75) == ()
    assert encoder.notes("a cat BREAK a dog") == ()
    assert encoder.notes("cat " * 76) == (
        "the prompt has 76 tokens (words and parts of words): it was read in 2 parts of up to 75",
    )


def test_what_is_too_long_is_named(encoder):
    long = "cat " * (75 * MAX_CHUNKS)
    assert "it was read in 8 parts" in encoder.notes(long)[0]
    assert encoder.notes(f"{long} dog") == ("only the first 600 tokens of the prompt had an effect",)
    assert encoder.encode(f"{long} dog").states.shape[1] == 77 * MAX_CHUNKS


def test_a_textual_inversion_takes_the_place_of_as_many_tokens_as_it_has_vectors(models):
    model = models["sd1"]
    table = model.text_encoders[0].get_input_embeddings().weight.detach()
    red_cat = table[model.tokenizers[0]("red cat", add_special_tokens=False).input_ids]
    encoder = PromptEncoder(model, Embeddings(vectors={"style-1": (red_cat,)}))
    for word in ("style-1", "STYLE-1"):
        assert torch.equal(encoder.encode(f"a {word} photo").states, encoder.encode("a red cat photo").states)
    for other in ("style-12", "my-style-1"):
        assert not torch.equal(
            encoder.encode(f"a {other} photo").states, encoder.encode("a red cat photo").states
        )


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=120))
def test_any_text_has_a_finite_conditioning(encoder, text):
    states = encoder.encode(read_words(text)).states
    assert states.shape[1] % 77 == 0
    assert states.isfinite().all()


def read_words(text: str) -> str:
    try:
        return read_prompt(text).words
    except BadRequest:
        return text


@pytest.mark.parametrize(
    ("tag", "text_encoder", "unet"),
    [
        ("<lora:fog>", 1, 1),
        ("<lora:fog:0.8>", 0.8, 0.8),
        ("<lora:fog:0.8:0.4>", 0.8, 0.4),
        ("<lora:fog:te=0.3:unet=0.9>", 0.3, 0.9),
        ("<LORA:fog:-0.5>", -0.5, -0.5),
        ("<lora:fog:0.5> and <lora:fog:0.25:0.5>", 0.75, 1),
    ],
)
def test_weights_of_loras_are_read_as_webui_reads_them(tag, text_encoder, unet):
    read = read_prompt(f"a cat {tag}")
    assert read.loras == (LoraUse(name="fog", text_encoder_weight=text_encoder, unet_weight=unet),)
    assert "<" not in read.words


@given(st.text(alphabet="<>lora:fog=. 0123456789te", max_size=60))
def test_a_prompt_is_read_or_refused(text):
    try:
        read = read_prompt(text)
    except BadRequest:
        return
    assert all(math.isfinite(lora.unet_weight) for lora in read.loras)


@pytest.mark.parametrize("weight", ["loud", "nan", "inf", "", "1e999"])
def test_a_weight_that_is_no_number_is_refused(weight):
    with pytest.raises(BadRequest, match="not a number"):
        read_prompt(f"a cat <lora:fog:{weight}>")


@pytest.mark.parametrize("prompt", ["[a cat]", "a cat [small], (red:1.2)", r"\[a:b:0.5\]", "SAND and land"])
def test_ordinary_prompts_have_no_notes(prompt):
    assert read_prompt(prompt).notes == ()


@pytest.mark.parametrize("prompt", ["[a:b:0.5]", "a [cat::3]", "[dog:10]", "[red|blue] car"])
def test_prompt_editing_is_named(prompt):
    assert "prompt editing" in read_prompt(prompt).notes[0]
