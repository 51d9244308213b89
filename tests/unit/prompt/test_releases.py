"""Model files that a release describes: what may be named, what is refused, what is added to a line."""

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.prompt import Catalogue, Parsed, Refusal, caret_line, parse, render
from bot.domain.prompt.catalogue import Kind, ModelFile, Release
from bot.domain.prompt.help import help_lines
from bot.domain.prompt.release_file import MOST_BYTES, paths_coming, read_release, read_server_list, shared
from bot.domain.request import Caps, Defaults

FILES: dict[str, Any] = {
    "Stable-diffusion/photo-xl.safetensors": {
        "architecture": "sdxl",
        "alias": "photo",
        "defaults": {"width": 1024, "height": 768, "steps": 30, "sampler": "DPM++ 2M"},
    },
    "Stable-diffusion/old.ckpt": {"architecture": "sd1"},
    "Stable-diffusion/research.safetensors": {"architecture": "sd1", "non_commercial": True},
    "Lora/inkWash.safetensors": {"architecture": "sd1", "trigger_words": ["ink wash", "sumi-e"]},
    "Lora/glow-xl.safetensors": {"architecture": "sdxl"},
    "Lora/grain.safetensors": {},
    "Lora/secret.safetensors": {"architecture": "sdxl", "disabled": True},
    "VAE/ft.safetensors": {},
}
CONTENT = {
    "format": 1,
    "release": "20261128-101500-3fa9c1d2",
    "default_model": "Stable-diffusion/old.ckpt",
    "files": FILES,
}
RELEASE = read_release(CONTENT)
OFFERED = Catalogue().offering(RELEASE)


def read(line: str, catalogue: Catalogue = OFFERED) -> Parsed | Refusal:
    return parse(line, defaults=Defaults(), caps=Caps(), catalogue=catalogue)


def accepted(line: str, catalogue: Catalogue = OFFERED) -> Parsed:
    outcome = read(line, catalogue)
    assert isinstance(outcome, Parsed), outcome
    return outcome


def refused(line: str, catalogue: Catalogue = OFFERED) -> str:
    outcome = read(line, catalogue)
    assert isinstance(outcome, Refusal), outcome
    return " ".join(problem.message for problem in outcome.problems)


def test_a_release_names_its_checkpoints_and_loras_without_folder_and_ending():
    assert OFFERED.models == ("photo-xl", "old", "research")
    assert OFFERED.loras == ("inkWash", "glow-xl", "grain")
    assert RELEASE.default_model == "old"


def test_an_alias_means_the_file():
    assert accepted("a fox --model photo").request.model == "photo-xl"


def test_a_model_draws_at_its_own_size_with_its_own_steps_and_sampler():
    request = accepted("a fox --model photo-xl").request

    assert (request.width, request.height, request.steps, request.sampler) == (1024, 768, 30, "DPM++ 2M")


def test_what_the_line_says_counts_more_than_what_the_model_likes():
    request = accepted("a fox --model photo-xl --height 512 --steps 9 --sampler ddim").request

    assert (request.width, request.height, request.steps, request.sampler) == (1024, 512, 9, "DDIM")


def test_a_size_above_the_teams_limit_is_not_taken_from_a_model():
    outcome = parse(
        "a fox --model photo", defaults=Defaults(), caps=Caps(max_pixels=2**19), catalogue=OFFERED
    )

    assert isinstance(outcome, Parsed)
    assert (outcome.request.width, outcome.request.height) == (512, 512)


@pytest.mark.parametrize(
    "line",
    [
        "a fox --model photo",
        "a fox --model photo --height 512",
        "a fox --model photo --steps 20 --lora glow-xl",
        "a fox --sampler ddim --lora inkWash:0.5",
    ],
)
def test_the_canonical_line_of_a_model_with_defaults_means_the_same(line):
    outcome = accepted(line)

    assert accepted(render(outcome.request, outcome.defaults)).request == outcome.request


def test_words_that_a_lora_listens_to_are_offered_when_none_is_there():
    (note,) = accepted("a fox --lora inkWash").notes

    assert '"ink wash", "sumi-e"' in note.message
    assert accepted("a fox, Ink Wash --lora inkWash").notes == ()


@pytest.mark.parametrize(("typed", "near"), [("--model photo_lx", "photo"), ("--lora inkwsh", "inkWash")])
def test_an_unknown_name_gets_the_nearest(typed, near):
    assert near in refused(f"a fox {typed}")


@pytest.mark.parametrize("typed", ["--lora secret", "<lora:secret:1>"])
def test_a_disabled_file_is_refused_as_such(typed):
    assert "switched off" in refused(f"a fox {typed}")


@pytest.mark.parametrize("typed", ["--lora glow-xl:0.7", "<lora:glow-xl:0.7>"])
def test_a_lora_for_another_architecture_is_refused_with_those_that_fit(typed):
    outcome = read(f"a fox {typed}")

    assert isinstance(outcome, Refusal)
    assert "made for sdxl, and the model is sd1" in outcome.problems[0].message
    assert "inkWash, grain" in outcome.problems[0].message
    assert "^^^^^^^" in caret_line(outcome)
    assert accepted(f"a fox {typed} --model photo").request.loras[0].name == "glow-xl"


def test_a_licence_that_forbids_commercial_use_is_shown_and_may_be_forbidden():
    strict = Catalogue(commercial_only=True).offering(RELEASE)

    assert "--model research (sd1; not for commercial use)" in help_lines("models", catalogue=OFFERED)
    assert not any("research" in line for line in help_lines("models", catalogue=strict))
    assert "does not allow commercial use" in refused("a fox --model research", strict)


def test_the_settings_list_of_models_stays_the_only_one_and_keeps_its_facts():
    chosen = Catalogue(models=("old", "research"), commercial_only=True).offering(RELEASE)

    assert chosen.models == ("old",)
    assert "--model old (sd1)" in help_lines("models", catalogue=chosen)
    assert "photo" not in " ".join(help_lines("models", catalogue=chosen))


def test_a_model_of_the_settings_that_the_release_lacks_is_not_offered():
    strict = Catalogue(models=("gone", "old"))

    assert strict.offering(RELEASE).models == ("old",)
    assert strict.offering(dataclasses.replace(RELEASE, is_whole=False)).models == ("gone", "old")


def test_files_that_the_next_update_brings_are_told_and_not_offered():
    later = {**FILES, "Lora/pen.safetensors": {}, "Lora/off.safetensors": {"disabled": True}}
    told = shared(RELEASE, newer="next") | {"coming": paths_coming(RELEASE, read_release({"files": later}))}
    soon = Catalogue().offering(read_release(told))

    assert "--lora pen:0.8 comes with it" in help_lines("loras", catalogue=soon)
    assert not any("comes with it" in line for line in help_lines("models", catalogue=soon))
    assert "There is no LoRA" in refused("a fox --lora pen", soon)


def test_the_pages_tell_words_aliases_and_releases():
    newer = Catalogue().offering(read_release({**CONTENT, "newer": "20261129-080000-aaaaaaaa"}))
    models, loras = help_lines("models", catalogue=newer), help_lines("loras", catalogue=newer)

    assert "--model photo-xl (also photo; sdxl)" in models
    assert '--lora inkWash:0.8 (sd1; listens to "ink wash", "sumi-e")' in loras
    assert models[-2:] == (
        "Release 20261128-101500-3fa9c1d2 draws now.",
        "Release 20261129-080000-aaaaaaaa: from the next update.",
    )


def test_where_nobody_has_listed_the_files_a_plain_name_is_left_to_the_endpoint():
    unknown = Catalogue().offering(None)

    request = accepted("a fox --model anything-v5 --lora my-style:0.6", unknown).request
    assert (request.model, request.loras[0].name) == ("anything-v5", "my-style")
    assert "There is no LoRA" in refused("a fox --lora 'a>b:0.6'", unknown)
    assert "passed on" in help_lines("models", catalogue=unknown)[0]


def test_models_that_the_settings_list_are_never_left_to_the_endpoint():
    assert "There is no model" in refused("a fox --model other", Catalogue(models=("demo",)).offering(None))


def test_an_inference_server_tells_names():
    told = {"models": [{"name": "stripes.safetensors"}, {"title": "x"}, 3], "loras": [{"name": "ink.pt"}]}
    offered = Catalogue().offering(read_server_list(told))

    assert (offered.models, offered.loras) == (("stripes",), ("ink",))


def test_what_is_shared_is_read_back_the_same():
    assert read_release(json.loads(json.dumps(shared(RELEASE)))) == RELEASE


def test_a_large_release_is_cut_and_said_to_be():
    words = ["w" * 80] * 5
    many = {f"Lora/{'n' * 60}{number}.safetensors": {"trigger_words": words} for number in range(2000)}
    told = shared(read_release({"files": many}))

    assert len(json.dumps(told)) <= MOST_BYTES
    cut = Catalogue().offering(read_release(told))
    assert len(cut.loras) > 50
    assert accepted("a fox --lora unlisted", cut).request.loras[0].name == "unlisted"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
KEYS = st.sampled_from(["alias", "architecture", "trigger_words", "non_commercial", "disabled", "defaults"])
PATHS = st.builds(
    "{}{}{}".format,
    st.sampled_from(["Lora/", "Stable-diffusion/", "VAE/", "", "/"]),
    st.text(st.characters(), max_size=10),
    st.sampled_from([".safetensors", ".ckpt", "", "."]),
)
RELEASES = JSON | st.fixed_dictionaries(
    {"files": st.dictionaries(PATHS, JSON | st.dictionaries(KEYS, JSON, max_size=4), max_size=6)},
    optional={
        "release": JSON,
        "default_model": PATHS | JSON,
        "newer": JSON,
        "coming": JSON | st.lists(PATHS, max_size=3),
        "is_whole": JSON,
    },
)


@given(RELEASES)
@settings(max_examples=150, deadline=None)
def test_any_json_is_a_release_or_an_empty_one(content):
    release = read_release(content)

    assert read_server_list(content) is not None
    assert read_release(json.loads(json.dumps(shared(release, newer=release.newer)))) == release


@given(RELEASES)
@settings(max_examples=150, deadline=None)
def test_every_file_that_is_offered_can_be_named_in_a_line(content):
    offered = Catalogue().offering(read_release(content))

    for kind, names in ((Kind.MODEL, offered.models), (Kind.LORA, offered.loras)):
        for name in names:
            value = f'"{name}:0.8"' if kind is Kind.LORA else f'"{name}"'
            outcome = read(f"a fox --{kind} {value}", offered)
            if isinstance(outcome, Parsed):
                request = outcome.request
                got = request.model if kind is Kind.MODEL else request.loras[0].name
                assert got == name
                assert accepted(render(request, outcome.defaults), offered).request == request
            else:
                assert {problem.code for problem in outcome.problems} == {"unfit_lora"}


def test_an_endpoint_without_facts_has_no_opinion_on_what_fits():
    plain = Release(files=(ModelFile(kind=Kind.LORA, name="ink"),), name="")

    assert accepted("a fox --lora ink", Catalogue().offering(plain)).notes == ()
