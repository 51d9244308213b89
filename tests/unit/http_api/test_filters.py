"""The team's filter passes, changes or refuses a body; its defects are ours to know and nobody's to read."""

import json

import pytest

from bot.domain.errors import ConfigError
from bot.http_api.filters import load_filter
from tests.unit.http_api.door import Door, told, wrong_fields

SMALL_ONLY = "Pictures are at most 512 pixels wide here."


def only_small(body, *, caller):
    """An example as the documents show it."""
    assert caller.startswith("key-")
    return SMALL_ONLY if (body.get("width") or 512) > 512 else {**body, "steps": 7}


def failing(body, *, caller):
    raise KeyError(body["prompt"])


def forgetful(body, *, caller):
    return None


def test_a_body_goes_on_as_the_filter_leaves_it():
    door = Door(by=only_small)

    assert door.create({"prompt": "a fox"})["request"]["steps"] == 7


def test_a_refusal_is_told_in_the_filters_own_words():
    answer = Door(by=only_small).ask("POST", "/v1/generations", {"prompt": "a fox", "width": 768})

    assert (answer.status, told(answer)["detail"]) == (403, SMALL_ONLY)


@pytest.mark.parametrize(
    ("form", "body"),
    [
        ("webui", {"prompt": "a fox", "width": 768}),
        ("sagemaker", {"task": "text-to-image", "txt2img_payload": {"prompt": "a fox", "width": 768}}),
    ],
)
def test_no_format_leads_past_it(form, body):
    door = Door(by=only_small)
    answer = door.ask("POST", "/v1/generations", body, query={"format": form})

    assert (answer.status, told(answer)["detail"]) == (403, SMALL_ONLY)
    assert door.create({"prompt": "a fox"}, query={"format": "webui"})["request"]["steps"] == 7


def test_a_body_that_is_wrong_by_itself_is_told_so_where_the_filter_trips_over_it():
    door = Door(by=only_small)
    answer = door.ask("POST", "/v1/generations", {"prompt": "a fox", "width": "wide"})

    assert (answer.status, wrong_fields(answer)) == (422, {"/width"})
    assert door.core.journal.named("filter_failed") == []
    assert door.create({"prompt": "a fox", "width": None})["request"]["width"] == 512


@pytest.mark.parametrize("by", [failing, forgetful])
def test_a_filter_that_fails_is_a_500_that_says_nothing(by):
    door = Door(by=by)
    answer = door.ask("POST", "/v1/generations", {"prompt": "a red fox"})

    assert (answer.status, told(answer)["type"]) == (500, "urn:imagine:problem:defect")
    assert "fox" not in answer.body.decode() + json.dumps(door.core.journal.events)
    assert len(door.core.journal.named("filter_failed")) == 1


def test_it_runs_after_authentication():
    answer = Door(by=failing).ask("POST", "/v1/generations", {"prompt": "a fox"}, authorization="Bearer x")

    assert answer.status == 401


def test_what_the_same_key_asked_for_is_not_filtered_twice():
    seen = []

    def counting(body, *, caller):
        seen.append(caller)
        return body

    door = Door(by=counting)
    for _ in range(2):
        door.create({"prompt": "a fox"}, idempotency_key="k")

    assert len(seen) == 1


def test_the_setting_names_a_function():
    assert load_filter("") is None
    assert load_filter("json:loads") is json.loads


@pytest.mark.parametrize(
    "setting", ["json", "json:", ":loads", "no.such.module:f", "json:nothing", "json:__doc__"]
)
def test_a_setting_that_leads_nowhere_is_named_at_the_start(setting):
    with pytest.raises(ConfigError, match="IMAGINE_API_FILTER"):
        load_filter(setting)
