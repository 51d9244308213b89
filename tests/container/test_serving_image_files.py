"""The picture files of a reply: their format, what they say of themselves and what they keep back."""

from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sd_parsers import ParserManager

from container.embedded.samplers import SAMPLERS
from container.serving.image_files import ImageFormat, accepted_format
from container.serving.pattern_engine import PatternEngine
from tests.container.served import info, pictures, serving, text_to_image

DESCRIPTION = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}Description"
SOURCE_TYPE = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"
TRAINED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
FORMATS = ["PNG", "JPEG", "WEBP"]


class ManySamplers(PatternEngine):
    """Offers the names that the embedded engine offers."""

    def catalogue(self):
        return type(super().catalogue())(models=super().catalogue().models, samplers=tuple(SAMPLERS))


@pytest.fixture(scope="module")
def client():
    with serving(ManySamplers()) as client:
        yield client


@pytest.fixture(scope="module")
def embedding():
    with serving(ManySamplers(), embed_parameters=True) as client:
        yield client


def drawn(client, format_, **fields):
    accept = {"Accept": f"application/json, image/{format_.lower()}"}
    response = client.post("/invocations", json=text_to_image(seed=7, **fields), headers=accept)
    assert response.status_code == 200
    assert int(response.headers["content-length"]) == len(response.content)
    assert response.headers["content-type"] == "application/json"
    (picture,) = pictures(response.json())
    assert picture.format == format_
    return picture, response.json()


def source_type(picture):
    packet = picture.info.get("XML:com.adobe.xmp") or picture.info["xmp"]
    (description,) = ET.fromstring(packet).iter(DESCRIPTION)
    return description.get(SOURCE_TYPE)


@pytest.mark.parametrize("format_", ["JPEG", "WEBP"])
def test_the_format_asked_for_shows_the_same_picture(client, format_):
    """By brightness: both formats halve the resolution of colour, which fine stripes suffer from."""
    wanted, got = (np.asarray(drawn(client, name)[0].convert("L")).astype(int) for name in ("PNG", format_))
    assert np.abs(got - wanted).mean() < 6


@pytest.mark.parametrize("format_", FORMATS)
def test_every_file_is_marked_as_made_by_ai_and_holds_no_prompt(client, format_):
    picture, _ = drawn(client, format_, prompt="a canary in a mine")
    assert source_type(picture) == TRAINED
    assert "canary" not in repr((picture.info, dict(picture.getexif()), picture.getexif().get_ifd(0x8769)))


@pytest.mark.parametrize("format_", FORMATS)
def test_where_parameters_are_embedded_the_mark_stays(embedding, format_):
    assert source_type(drawn(embedding, format_)[0]) == TRAINED


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("prompt", ["a red fox, snow", "ein Fuchs, снег 🦊", "line one\nline two: (fox:1.2)"])
def test_embedded_parameters_are_read_by_the_tools_that_read_webuis(embedding, format_, prompt):
    """sd-parsers is an independent reader of webui's files."""
    picture, body = drawn(embedding, format_, prompt=prompt, negative_prompt="blur", cfg_scale=5.5)
    read = ParserManager().parse(picture)
    assert read.generator.value == "AUTOMATIC1111"
    (sampler,) = read.samplers
    assert [found.value for found in sampler.prompts] == [prompt]
    assert [found.value for found in sampler.negative_prompts] == ["blur"]
    assert sampler.parameters["seed"] == "7"
    assert sampler.parameters["cfg_scale"] == "5.5"
    assert (sampler.model.name, sampler.model.hash) == ("stripes", "0000000000")
    assert info(body)["infotexts"][0].startswith(prompt)


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_samplers_name_is_read_back(embedding, name):
    read = ParserManager().parse(drawn(embedding, "PNG", sampler_name=name)[0])
    (sampler,) = read.samplers
    assert sampler.name == name


@pytest.mark.parametrize(
    ("accept", "format_"),
    [
        ("", "image/png"),
        ("*/*", "image/png"),
        ("image/*", "image/png"),
        ("application/json", "image/png"),
        ("application/json;jpeg", "image/png"),
        ("application/json, image/webp", "image/webp"),
        ("IMAGE/JPEG", "image/jpeg"),
        ("image/jpeg;q=0.5, image/webp;q=0.9", "image/webp"),
        ("image/jpeg, image/webp", "image/jpeg"),
        ("image/webp;q=0", "image/png"),
        ("image/webp;q=x", "image/png"),
        ("image/gif, image/webp;q=0.1", "image/webp"),
    ],
)
def test_the_accept_header_chooses_the_format(accept, format_):
    assert accepted_format(accept) == format_


@given(st.text() | st.from_regex(r"(image/(png|jpeg|webp|\*)(;q=\S*)?,? ?)*"))
def test_any_accept_header_is_understood_somehow(accept):
    assert accepted_format(accept) in ImageFormat
