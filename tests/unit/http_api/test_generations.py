"""Asking, looking, cancelling: what one client sees, and what it must not see of another."""

import base64
import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.errors import Ambiguous, PersonMoved, Unavailable
from bot.http_api.generations import MAX_BODY
from bot.local.word_rules import WordRules
from bot.services import admin
from bot.services.core import Caller
from bot.services.work import advance
from tests.aws.functions import TENANT, Refusing, accepted, build
from tests.unit.http_api.door import Door, png, told, wrong_fields

ADMIN = Caller(tenant=TENANT, user="U1", is_admin=True)
URL = "https://hooks.example.com/pictures"


def test_what_is_taken_is_durable_and_its_address_is_told(door):
    answer = door.ask("POST", "/v1/generations", {"prompt": "a red fox", "n": 2, "seed": 7})

    document = told(answer)
    assert answer.status == 202
    assert answer.headers["location"] == f"/v1/generations/{document['id']}"
    assert (document["state"], document["place"], document["outcome"]) == ("waiting", 0, None)
    assert document["request"]["seed"] == 7
    job = door.job(document["id"])
    assert (job.request.prompt, job.request.n, job.tenant) == ("a red fox", 2, TENANT)
    assert door.core.queue.take(0) == job.id


def test_polling_leads_to_links_that_open_the_pictures(door):
    asked = door.create({"prompt": "a red fox", "n": 2})
    door.draw(asked["id"], pictures=2)

    document = door.read(asked["id"])
    assert (document["state"], document["outcome"], document["stage"]) == ("ended", "ok", "Drawn.")
    assert [picture["width"] for picture in document["pictures"]] == [8, 8]
    assert document["ended_at"] is not None
    for picture in document["pictures"]:
        path, _, query = picture["url"].removeprefix("http://127.0.0.1:8090").partition("?")
        served = door.links.serve(path, dict(part.split("=") for part in query.split("&")))
        assert served.body.startswith(b"\x89PNG")


def test_the_same_key_with_the_same_body_is_one_generation(door):
    body = {"prompt": "a red fox", "width": 512}
    first = door.create(body, idempotency_key="k-1")
    again = door.ask(
        "POST", "/v1/generations", b'{"width": 512,   "prompt": "a red fox"}', idempotency_key="k-1"
    )

    assert (again.status, told(again)["id"]) == (202, first["id"])
    assert again.headers["idempotency-replayed"] == "true"


def test_the_same_key_with_another_body_is_refused(door):
    door.create({"prompt": "a red fox"}, idempotency_key="k-1")

    answer = door.ask("POST", "/v1/generations", {"prompt": "a hen"}, idempotency_key="k-1")

    assert (answer.status, told(answer)["type"]) == (409, "urn:imagine:problem:idempotency_key_used")


def test_a_body_in_another_format_is_another_body(door):
    door.create({"prompt": "a red fox"}, idempotency_key="k-1")

    answer = door.ask(
        "POST", "/v1/generations", {"prompt": "a red fox"}, query={"format": "webui"}, idempotency_key="k-1"
    )

    assert answer.status == 409


def test_the_key_of_one_client_means_nothing_to_another(door):
    robin = door.new_key("robin")
    mine = door.create(idempotency_key="k-1")
    theirs = door.create({"prompt": "a hen"}, key=robin, idempotency_key="k-1")

    assert mine["id"] != theirs["id"]


def test_what_was_taken_stays_taken_while_drawing_is_paused(door):
    first = door.create(idempotency_key="k-1")
    admin.pause(door.core, ADMIN, reason="the budget")

    assert door.create(idempotency_key="k-1")["id"] == first["id"]


def test_two_requests_without_a_key_are_two_generations(door):
    assert door.create()["id"] != door.create()["id"]


@pytest.mark.parametrize("key", ["", "a b", "ü", "x" * 201])
def test_an_idempotency_key_that_is_none_is_refused_by_name(door, key):
    answer = door.ask("POST", "/v1/generations", {"prompt": "a red fox"}, idempotency_key=key)

    assert (answer.status, wrong_fields(answer)) == (400, {"Idempotency-Key"})


def test_nobody_sees_lists_cancels_or_deletes_what_is_anothers(door):
    mine, robin = door.create()["id"], door.new_key("robin")
    path = f"/v1/generations/{mine}"

    for method in ("GET", "DELETE"):
        answer = door.ask(method, path, key=robin)
        missing = door.ask(method, f"/v1/generations/{'z' * 26}", key=robin)
        assert (answer.status, answer.body) == (404, missing.body)
    assert told(door.ask("GET", "/v1/generations", key=robin))["generations"] == []
    assert door.read(mine)["state"] == "waiting"


def test_a_job_of_a_person_in_slack_is_none_of_the_apis(door):
    job = accepted(door.core)

    assert door.ask("GET", f"/v1/generations/{job.id}").status == 404


def test_the_list_comes_in_pages_newest_first_and_holds_each_once(door):
    asked = []
    for number in range(5):
        door.core.clock.advance(1)
        asked.append(door.create({"prompt": f"fox {number}"})["id"])
    seen, cursor = [], ""
    while cursor is not None:
        query = {"limit": "2", **({"cursor": cursor} if cursor else {})}
        page = told(door.ask("GET", "/v1/generations", query=query))
        assert len(page["generations"]) <= 2
        seen += [each["id"] for each in page["generations"]]
        cursor = page["next_cursor"]

    assert seen == asked[::-1]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "51"}, "limit"),
        ({"limit": "x"}, "limit"),
        ({"cursor": "x"}, "cursor"),
    ],
)
def test_a_parameter_that_cannot_be_is_named(door, query, field):
    answer = door.ask("GET", "/v1/generations", query=query)

    assert (answer.status, wrong_fields(answer)) == (400, {field})


def test_delete_cancels_what_is_open_and_gives_its_time_back(door):
    asked = door.create()
    answer = door.ask("DELETE", f"/v1/generations/{asked['id']}")
    advance(door.core, asked["id"])

    assert answer.status == 200
    document = door.read(asked["id"])
    assert (document["state"], document["outcome"], document["pictures"]) == ("ended", "cancelled", [])
    assert door.core.jobs.person(TENANT, f"key-{door.mine.key.id}").used == 0


def test_delete_removes_the_pictures_of_what_has_ended(door):
    asked = door.create({"prompt": "a fox", "init_image": base64.b64encode(png()).decode(), "strength": 0.5})
    door.draw(asked["id"])
    answer = door.ask("DELETE", f"/v1/generations/{asked['id']}")
    advance(door.core, asked["id"])

    assert (answer.status, told(answer)["state"]) == (200, "deleted")
    assert door.read(asked["id"])["pictures"] == []
    assert door.core.objects.list(f"images/{TENANT}/{asked['id']}/") == ()


def test_a_picture_to_start_from_is_kept_for_the_drawing(door):
    asked = door.create({"prompt": "a fox", "init_image": base64.b64encode(png()).decode(), "strength": 0.5})

    job = door.job(asked["id"])
    assert job.request.strength == 0.5
    assert job.request.init_image is not None
    assert door.core.objects.get(job.request.init_image).startswith(b"\x89PNG")
    assert asked["request"]["has_init_image"] is True


def test_a_refused_request_leaves_no_picture_behind():
    door = Door(moderation=WordRules(["fox"]))
    answer = door.ask(
        "POST", "/v1/generations", {"prompt": "a fox", "init_image": base64.b64encode(png()).decode()}
    )

    assert answer.status == 403
    assert door.core.objects.list("images/") == ()


def test_a_quota_of_its_own_ends_in_429_until_midnight(door):
    poor = door.new_key("poor", gpu_seconds=2)
    statuses = [
        door.ask("POST", "/v1/generations", {"prompt": f"fox {n}"}, key=poor).status for n in range(3)
    ]
    answer = door.ask("POST", "/v1/generations", {"prompt": "fox"}, key=poor)

    assert statuses[0] == 202
    assert statuses[-1] == answer.status == 429
    assert 0 < int(answer.headers["retry-after"]) <= 86_400
    assert door.create()["state"] == "waiting"  # another key has a day of its own


def test_a_pause_is_503_with_its_reason(door):
    admin.pause(door.core, ADMIN, reason="the budget")
    answer = door.ask("POST", "/v1/generations", {"prompt": "a red fox"})

    assert (answer.status, told(answer)["detail"]) == (503, "Drawing is paused: the budget.")
    assert "retry-after" in answer.headers


@pytest.mark.parametrize("error", [Unavailable("down"), Ambiguous("lost")])
def test_a_store_that_fails_is_503_and_never_says_what_was_asked(error):
    core = build()
    door = Door(core=dataclasses.replace(core, jobs=Refusing(core.jobs, "create", error=error)))
    answer = door.ask("POST", "/v1/generations", {"prompt": "a red fox"})

    assert answer.status == 503
    assert "fox" not in answer.body.decode()
    assert not any("fox" in json.dumps(fields) for _, fields in core.journal.events)


class Contended:
    """Jobs of which the first writes meet another one of the same key."""

    def __init__(self, jobs, *, times):
        self._jobs, self._left = jobs, times

    def __getattr__(self, name):
        return getattr(self._jobs, name)

    def create(self, jobs, *, person, **rest):
        self._left -= 1
        if self._left >= 0:
            raise PersonMoved(person.user)
        self._jobs.create(jobs, person=person, **rest)


@pytest.mark.parametrize(("times", "status"), [(10, 202), (1000, 503)])
def test_a_program_that_asks_for_many_at_once_is_not_sent_away_for_it(times, status):
    core = build()
    door = Door(core=dataclasses.replace(core, jobs=Contended(core.jobs, times=times)))
    answer = door.ask("POST", "/v1/generations", {"prompt": "a red fox"})

    assert answer.status == status
    assert answer.headers.get("retry-after") == ("1" if status == 503 else None)


def test_a_defect_is_a_500_that_says_nothing_of_itself():
    core = build()
    door = Door(core=dataclasses.replace(core, jobs=Refusing(core.jobs, "get", error=KeyError("a red fox"))))
    answer = door.ask("GET", f"/v1/generations/{'a' * 26}")

    assert (answer.status, told(answer)["type"]) == (500, "urn:imagine:problem:defect")
    assert "fox" not in answer.body.decode()
    assert door.core.journal.named("handler_failed") == [{"handler": "api", "kind": "KeyError"}]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/nothing", 404),
        ("GET", "/", 404),
        ("GET", "/v1/generations/", 404),
        ("GET", "/v1/generations/a/b", 404),
        ("GET", "/v1/generations/NO", 404),
        ("PUT", "/v1/generations", 405),
        ("POST", "/v1/models", 405),
        ("POST", "/v1/openapi.json", 405),
    ],
)
def test_what_is_no_route_or_no_method_of_it_is_told(door, method, path, status):
    answer = door.ask(method, path)

    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json")
    assert (status == 405) == ("allow" in answer.headers)


def test_head_is_get_without_the_body(door):
    asked = door.create()
    answer = door.ask("HEAD", f"/v1/generations/{asked['id']}")

    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"x", "application/json", 400),
        (b"[]", "application/json", 400),
        (b'{"prompt": NaN}', "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"{}", "text/plain", 415),
        (b"{}", "", 415),
        (b" " * (MAX_BODY + 1), "application/json", 413),
        (b"{}", "application/json; charset=utf-8", 422),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(door, body, content_type, status):
    assert door.ask("POST", "/v1/generations", body, content_type=content_type).status == status


def test_where_a_body_is_no_json_is_told(door):
    answer = door.ask("POST", "/v1/generations", b'{"prompt": "a fox",}')

    assert "line 1, column 20" in told(answer)["detail"]
    assert "fox" not in answer.body.decode()


def test_a_field_that_is_there_twice_is_named(door):
    answer = door.ask("POST", "/v1/generations", b'{"prompt": "a fox", "prompt": "a hen"}')

    assert (answer.status, wrong_fields(answer)) == (400, {"/prompt"})


@pytest.mark.parametrize(
    ("headers", "field"),
    [({"content_type": "text/plain"}, "Content-Type"), ({"authorization": "x"}, "Authorization")],
)
def test_a_header_that_is_wrong_is_named(door, headers, field):
    answer = door.ask("POST", "/v1/generations", {"prompt": "a fox"}, **headers)

    assert wrong_fields(answer) == {field}
    assert field in told(answer)["detail"] + told(answer)["fix"]


def test_an_unknown_format_is_told_with_the_known_ones(door):
    answer = door.ask("POST", "/v1/generations", {"prompt": "a fox"}, query={"format": "comfy"})

    assert (answer.status, wrong_fields(answer)) == (400, {"format"})
    assert "webui" in told(answer)["fix"]


def test_a_callback_address_is_kept_with_the_key_that_signs(door):
    asked = door.create({"prompt": "a fox", "callback_url": URL})

    assert door.job(asked["id"]).sink.parts["callback_url"] == URL


@pytest.mark.parametrize(
    "url",
    ["http://example.com/", "https://127.0.0.1/", "https://localhost/", "https://u:p@example.com/", "x"],
)
def test_an_address_that_is_not_called_is_refused_at_once(door, url):
    answer = door.ask("POST", "/v1/generations", {"prompt": "a fox", "callback_url": url})

    assert (answer.status, wrong_fields(answer)) == (422, {"/callback_url"})


def test_models_are_listed(door):
    document = told(door.ask("GET", "/v1/models"))

    assert "Euler a" in document["samplers"]
    assert "watercolor" in document["styles"]
    assert document["is_complete"] is False


@given(
    st.binary(max_size=60)
    | st.recursive(st.none() | st.text(), st.lists).map(lambda x: json.dumps(x).encode())
)
def test_no_body_makes_it_fail(body):
    answer = Door().ask("POST", "/v1/generations", body)

    assert 400 <= answer.status < 500


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
NAMES = [
    "prompt",
    "negative_prompt",
    "width",
    "n",
    "steps",
    "guidance",
    "seed",
    "sampler",
    "model",
    "style",
    "loras",
    "init_image",
    "strength",
    "callback_url",
    "cfg_scale",
    "batch_size",
    "n_iter",
    "init_images",
    "override_settings",
    "task",
    "txt2img_payload",
    "styles",
]
SHARED = Door()


@given(
    st.dictionaries(st.sampled_from(NAMES), JSON_VALUES, max_size=5),
    st.sampled_from(["imagine", "webui", "sagemaker"]),
)
def test_no_field_makes_it_fail(fields, form):
    nested = {**fields, "txt2img_payload": {"prompt": "a fox", **fields}, "task": "text-to-image"}
    for body in (fields, {"prompt": "a fox", **fields}, nested):
        answer = SHARED.ask("POST", "/v1/generations", body, query={"format": form})
        assert answer.status in (202, 403, 422, 429)
