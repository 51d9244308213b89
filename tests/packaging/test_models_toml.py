"""models.toml: what the team may write, and the line a mistake is found on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_packaging.catalogue import Catalogue, ModelFile, check_path, from_json, to_json
from model_packaging.errors import BadCatalogue, LicenceRefused
from model_packaging.licences import check_allowed, licence_named
from model_packaging.models_toml import parse_notes, with_notes

FILE = ModelFile(path="Lora/ink.safetensors", size=8, sha256="a" * 64, kind="lora")


def test_what_the_team_writes_is_read_and_outweighs_what_was_found():
    notes = parse_notes(b'["Lora/ink.safetensors"]\nalias = "ink"\nsteps = 24\nlicence = "cc-by-nc-4.0"\n')
    file = with_notes(FILE, notes.files[FILE.path])
    assert (file.alias, file.defaults.steps) == ("ink", 24)
    assert (file.licence, file.non_commercial) == ("CC-BY-NC-4.0", True)


@pytest.mark.parametrize(
    ("text", "line", "fix"),
    [
        ('["Lora/a.safetensors"]\nstep = 3', 2, "did you mean steps"),
        ('["Lora/a.safetensors"]\nalias = "x"\nwidth = 5', 3, "from 64 to 4096"),
        ('["Lora/a.safetensors"]\n\ndisabled = "yes"', 3, "true or false"),
        ('["Lora/a.safetensors"]\nalias = "two words"', 2, "no blanks"),
        ('["Lora/a.safetensors"]\ntrigger_words = "one"', 2, 'trigger_words = ["first", "second"]'),
        ("alias = ink", 1, "double quotes"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_the_fix(text, line, fix):
    with pytest.raises(BadCatalogue, match=f"line {line}") as told:
        parse_notes(text.encode())
    assert told.value.line == line
    assert fix in str(told.value)


@given(st.binary(max_size=200))
def test_bytes_that_are_no_toml_are_refused(body):
    with pytest.raises(BadCatalogue, match=r"models\.toml"):
        parse_notes(b"[" + body.replace(b"]", b""))


@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), st.integers(0, 2**50), max_size=3))
def test_a_catalogue_comes_back_as_it_was_written(sizes):
    files = {
        f"Lora/{name}.safetensors": ModelFile(
            path=f"Lora/{name}.safetensors", size=size, sha256="b" * 64, trigger_words=(name,), disabled=True
        )
        for name, size in sizes.items()
    }
    catalogue = Catalogue(files=files, release="20260101-000000-00000000")
    assert from_json(to_json(catalogue)) == catalogue


@given(st.binary(max_size=300))
def test_any_bytes_are_a_catalogue_or_a_refusal(body):
    with pytest.raises(BadCatalogue):
        from_json(b"{" + body)


@pytest.mark.parametrize(
    "path", ["x.safetensors", "lora/x", "Lora/../x", "Lora//x", "Lora/" + "x" * 256, "Lora/a\nb", "/Lora/x"]
)
def test_paths_that_would_break_an_endpoint_are_refused(path):
    with pytest.raises(BadCatalogue):
        check_path(path)


def test_one_name_means_one_file():
    other = ModelFile(path="Lora/dry.safetensors", size=8, sha256="c" * 64, kind="lora", alias="INK")
    with pytest.raises(BadCatalogue, match="would both be called"):
        to_json(Catalogue(files={FILE.path: FILE, other.path: other}))


@pytest.mark.parametrize(
    ("text", "name", "flagged"),
    [
        ("apache license 2.0", "Apache-2.0", False),
        ("creativeml-openrail-m", "CreativeML-OpenRAIL-M", False),
        ("flux-1-dev-non-commercial-license", "FLUX.1-dev-Non-Commercial", True),
        ("Our own Non Commercial terms", "Our own Non Commercial terms", True),
        ("house licence", "house licence", False),
    ],
)
def test_licences_are_known_by_the_names_services_use(text, name, flagged):
    licence = licence_named(text)
    assert (licence.name, licence.is_flagged) == (name, flagged)


def test_a_team_may_forbid_what_is_not_for_commerce():
    licence = licence_named("cc-by-nc-4.0")
    with pytest.raises(LicenceRefused, match="IMAGINE_FORBID_NON_COMMERCIAL"):
        check_allowed(licence, forbid_non_commercial=True, path="Lora/x")
    check_allowed(licence, forbid_non_commercial=False, path="Lora/x")
