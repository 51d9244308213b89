"""Pictures over HTTP: asked for with a key, polled for or pushed, beside the people in Slack."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from bot.http_api.keys import NewKey
from container.serving.errors import OutOfMemory
from tests.scenarios.conftest import MakeStack
from tests.scenarios.stack import Stack, pixels
from tests.unit.http_api.receiver import Receiver, receiving

ASK = {"prompt": "a quiet red fox", "seed": 7}


@dataclass(frozen=True, kw_only=True)
class Client:
    """A program with a key."""

    stack: Stack
    key: NewKey

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {"authorization": f"Bearer {self.key.token}", **named}
        return httpx.request(method, f"{self.stack.bot.api_url}{path}", json=body, headers=sent, timeout=60)

    def create(self, body: Mapping[str, Any], path: str = "/v1/generations", **headers: str) -> str:
        """The address of a generation that was taken."""
        answer = self.ask("POST", path, body, **headers)
        assert answer.status_code == 202, answer.text
        return answer.headers["location"]

    def ended(self, location: str) -> dict[str, Any]:
        """Poll until the end."""
        return self.stack.until(lambda: self._if(location, "ended"))

    def drawing(self, location: str) -> dict[str, Any]:
        return self.stack.until(lambda: self._if(location, "drawing"))

    def _if(self, location: str, state: str) -> dict[str, Any] | None:
        document: dict[str, Any] = self.ask("GET", location).json()
        return document if document["state"] == state else None


@pytest.fixture
def stack(make_stack: MakeStack) -> Stack:
    made = make_stack(http_api=True)
    made.bot.open()
    return made


@pytest.fixture
def client(stack: Stack) -> Client:
    return Client(stack=stack, key=stack.bot.new_key("scenario"))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as built:
        yield built


def test_what_is_asked_for_is_polled_for_and_opened_by_a_link(stack: Stack, client: Client):
    document = client.ended(client.create({**ASK, "n": 2}))

    assert (document["outcome"], len(document["pictures"])) == ("ok", 2)
    (job,) = stack.bot.jobs(f"key-{client.key.key.id}")
    opened = [pixels(stack.bot.open_link(picture["url"])) for picture in document["pictures"]]
    assert all((mine == stored).all() for mine, stored in zip(opened, stack.originals(job), strict=True))
    assert stack.cards() == []
    assert "fox" not in stack.bot.log


def test_the_outcome_is_pushed_signed_and_under_one_id(stack: Stack, client: Client, receiver: Receiver):
    location = client.create({**ASK, "callback_url": f"{receiver.url}/pictures"})
    client.ended(location)
    stack.until(lambda: receiver.heard)  # it may be polled before it is told

    assert len({headers["webhook-id"] for _, headers, _ in receiver.heard}) == 1, "told twice, known as one"
    path, headers, body = receiver.heard[0]
    told = json.loads(body)
    assert (path, told["url"], told["outcome"]) == ("/pictures", location, "ok")
    secret = base64.b64decode(client.key.key.callback_secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    signature = base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{signature}"
    assert stack.bot.open_link(told["pictures"][0]["url"]).startswith(b"\x89PNG")
    assert "fox" not in stack.bot.log


def test_a_failure_is_pushed_too_and_costs_nothing(stack: Stack, client: Client, receiver: Receiver):
    stack.engine.fail_next(OutOfMemory("no room"))
    document = client.ended(client.create({**ASK, "callback_url": receiver.url}))

    assert document["outcome"] == "out_of_memory"
    stack.until(lambda: receiver.heard)
    assert {json.loads(body)["outcome"] for _, _, body in receiver.heard} == {"out_of_memory"}
    assert stack.bot.gpu_time_used(f"key-{client.key.key.id}") == 0


def test_what_is_being_drawn_can_be_cancelled(stack: Stack, client: Client):
    stack.engine.hold()
    location = client.create(ASK)
    client.drawing(location)
    answer = client.ask("DELETE", location)
    stack.engine.release()

    assert answer.status_code == 200
    assert client.ended(location)["outcome"] == "cancelled"


def test_a_repeated_request_is_drawn_once(stack: Stack, client: Client):
    first, again = (client.create(ASK, idempotency_key="k-1") for _ in range(2))
    client.ended(first)

    assert first == again
    assert len(stack.engine.asked) == 1
    assert (
        client.ask("POST", "/v1/generations", {"prompt": "a hen"}, idempotency_key="k-1").status_code == 409
    )


@pytest.mark.parametrize(
    ("form", "body"),
    [
        ("webui", {"prompt": "a fox", "seed": 7, "sampler_index": "Euler", "cfg_scale": 7, "n_iter": 2}),
        ("sagemaker", {"task": "text-to-image", "txt2img_payload": {"prompt": "a fox", "batch_size": 2}}),
    ],
)
def test_bodies_of_others_are_drawn(client: Client, form: str, body: dict[str, Any]):
    document = client.ended(client.create(body, f"/v1/generations?format={form}"))

    assert (document["outcome"], len(document["pictures"])) == ("ok", 2)


def test_a_picture_to_start_from_reaches_the_engine(stack: Stack, client: Client):
    start = stack.bot.open_link(client.ended(client.create(ASK))["pictures"][0]["url"])
    body = {"prompt": "a hen", "init_image": base64.b64encode(start).decode(), "strength": 0.5}
    document = client.ended(client.create(body))

    assert document["outcome"] == "ok"
    assert stack.engine.asked[-1].init_images


def test_one_key_sees_nothing_of_another_or_of_slack(stack: Stack, client: Client):
    other = Client(stack=stack, key=stack.bot.new_key("other"))
    location = client.create(ASK)
    client.ended(location)
    stack.draw("a hen")

    assert other.ask("GET", location).status_code == 404
    assert other.ask("DELETE", location).status_code == 404
    assert other.ask("GET", "/v1/generations").json()["generations"] == []
    assert len(client.ask("GET", "/v1/generations").json()["generations"]) == 1


def test_a_process_that_dies_in_the_midst_loses_nothing(stack: Stack, client: Client, receiver: Receiver):
    stack.engine.hold()
    location = client.create({**ASK, "callback_url": receiver.url})
    client.drawing(location)
    stack.bot.die()
    stack.engine.release()
    stack.bot.open()

    assert client.ended(location)["outcome"] == "ok"
    stack.until(lambda: receiver.heard)
    assert {json.loads(body)["outcome"] for _, _, body in receiver.heard} == {"ok"}


def test_a_callback_whose_process_dies_is_made_again(stack: Stack, client: Client, receiver: Receiver):
    stack.bot.die_at("sink.finish", after=True)
    location = client.create({**ASK, "callback_url": receiver.url})
    stack.until(lambda: receiver.heard)
    stack.bot.die()
    stack.bot.open()

    assert client.ended(location)["outcome"] == "ok"
    assert {headers["webhook-id"] for _, headers, _ in receiver.heard} == {location.rpartition("/")[2]}


def test_the_sweep_alone_brings_it_to_its_end(make_stack: MakeStack, receiver: Receiver):
    stack = make_stack(http_api=True)
    stack.bot.open_without_messages()
    client = Client(stack=stack, key=stack.bot.new_key("scenario"))
    location = client.create({**ASK, "callback_url": receiver.url})

    stack.sweep_until(lambda: client.ask("GET", location).json()["state"] == "ended" and receiver.heard)
    assert [json.loads(body)["outcome"] for _, _, body in receiver.heard] == ["ok"]


def test_bad_requests_are_told_as_problems(client: Client):
    answers = {
        "unsigned": client.ask("GET", "/v1/models", authorization="Bearer x"),
        "large": client.ask("POST", "/v1/generations", {"prompt": "x" * (2 << 20)}),
        "route": client.ask("GET", "/v1/nothing"),
        "method": client.ask("PUT", "/v1/models", {}),
        "field": client.ask("POST", "/v1/generations", {"prompt": "a fox", "width": 7}),
    }

    told = {name: answer.status_code for name, answer in answers.items()}
    assert told == {"unsigned": 401, "large": 413, "route": 404, "method": 405, "field": 422}
    del answers["large"]  # refused by whatever server stands in front, before the body is read
    kinds = {answer.headers["content-type"] for answer in answers.values()}
    assert kinds == {"application/problem+json"}
