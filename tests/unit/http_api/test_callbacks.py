"""Outcomes reach the client's address, signed, once the job is decided, however often the address fails."""

import base64
import dataclasses
import hashlib
import hmac
import json
import socket
import ssl
from urllib.parse import urlsplit

import pytest

from bot.domain.errors import Ambiguous, Busy, Rejected, Unavailable
from bot.domain.job import Address, Outcome, SinkKind, State, state_of
from bot.http_api import callback_address, callback_post
from bot.http_api.callback_address import AddressRules
from bot.http_api.callback_post import Answer, HttpsPost
from bot.http_api.callback_sink import CallbackSink, Patience
from bot.http_api.generations import KEY, URL
from bot.http_api.keys import Keys, create, revoke
from bot.ports import EndpointState, Stage, Warmth
from bot.services.control import cancel
from bot.services.core import Caller
from bot.services.work import advance
from tests.aws.functions import TENANT
from tests.contracts.rows import NOW, a_job, a_result, after
from tests.unit.http_api.door import Door, told
from tests.unit.http_api.receiver import certificate, receiving, silent

LOOPBACK = AddressRules(loopback=True)
AWAKE = EndpointState(name="local", warmth=Warmth.AWAKE, window=3)


def post(url, *, seconds=5.0):
    return HttpsPost(LOOPBACK, seconds=seconds)(url, {"webhook-id": "1"}, b"{}")


def test_a_callback_is_one_post_to_the_path_as_it_was_given():
    with receiving() as receiver:
        answer = post(f"{receiver.url}/pictures?for=me")

    ((path, headers, body),) = receiver.heard
    assert (answer.status, path, body) == (204, "/pictures?for=me", b"{}")
    assert headers["host"] == urlsplit(receiver.url).netloc


def test_a_redirect_is_not_followed():
    with receiving() as elsewhere, receiving() as receiver:
        receiver.plan(302, location=elsewhere.url)
        answer = post(receiver.url)

    assert (answer.status, elsewhere.heard) == (302, [])


def test_how_long_the_address_wants_to_be_left_alone_is_read():
    with receiving() as receiver:
        receiver.plan(503, retry_after="17")
        receiver.plan(503, retry_after="Fri, 31 Dec 1999 23:59:59 GMT")

        assert post(receiver.url) == Answer(status=503, retry_after=17.0)
        assert post(receiver.url) == Answer(status=503)


def test_an_address_that_never_answers_is_left():
    with silent() as url, pytest.raises(Ambiguous, match="callback_no_answer"):
        post(url, seconds=0.2)


def test_once_connected_an_answer_may_take_the_whole_time(monkeypatch):
    opened = []

    def connect(address, timeout):
        opened.append(socket.socket())
        opened[0].settimeout(timeout)
        opened[0].connect(address)
        return opened[0]

    monkeypatch.setattr(callback_post.socket, "create_connection", connect)
    with receiving() as receiver:
        post(receiver.url, seconds=7.0)

    assert opened[0].gettimeout() == 7.0


def test_an_address_where_nobody_listens_was_not_reached():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    with pytest.raises(Unavailable, match="callback_unreachable"):
        post(f"http://127.0.0.1:{port}")


@pytest.fixture
def secure(tmp_path, monkeypatch):
    """Rules that take 127.0.0.1 for a public address, and the ports that are free here for 443."""
    monkeypatch.setattr(callback_address, "is_public", lambda _address: True)
    path = certificate(tmp_path, "hooks.example.com")
    with receiving(path) as receiver:
        port = urlsplit(receiver.url).port
        monkeypatch.setattr(callback_address, "HTTPS_PORTS", frozenset({port}))
        yield receiver, ssl.create_default_context(cafile=path), port


def test_over_tls_the_name_is_asked_for_and_the_checked_address_called(secure):
    receiver, trusted, port = secure
    asked = []

    def resolve(host, _port):
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.99"]

    answer = HttpsPost(AddressRules(resolve=resolve), context=trusted)(
        f"https://hooks.example.com:{port}/x", {}, b"{}"
    )

    assert (answer.status, asked) == (204, ["hooks.example.com"])
    assert receiver.heard[0][1]["host"] == f"hooks.example.com:{port}"


def test_a_certificate_of_another_name_is_no_certificate(secure):
    receiver, trusted, port = secure
    rules = AddressRules(resolve=lambda _host, _port: ["127.0.0.1"])

    with pytest.raises(Rejected, match="callback_certificate"):
        HttpsPost(rules, context=trusted)(f"https://other.example.com:{port}/x", {}, b"{}")
    with pytest.raises(Rejected, match="callback_certificate"):
        HttpsPost(rules)(f"https://hooks.example.com:{port}/x", {}, b"{}")
    assert receiver.heard == []


class Hooks:
    """A sink whose calls are answered as planned; `told` are their headers and documents."""

    def __init__(self, door: Door, *answers: Answer | Exception, **patience) -> None:
        self.answers = list(answers)
        self.told: list[tuple[dict[str, str], bytes]] = []
        self.sink = CallbackSink(
            keys=Keys(door.core.cells, clock=door.core.clock, max_age=60.0),
            post=self._post,
            links=door.links,
            clock=door.core.clock,
            patience=Patience(**patience),
        )
        sinks = {**door.core.sinks, SinkKind.CALLBACK: self.sink}
        door.core = dataclasses.replace(door.core, sinks=sinks)

    def _post(self, _url, headers, body):
        self.told.append((dict(headers), body))
        answer = self.answers.pop(0) if self.answers else Answer(status=204)
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def documents(self):
        return [json.loads(body) for _, body in self.told]


ASKED = {"prompt": "a fox", "callback_url": "https://hooks.example.com/x"}


def through(door, job_id):
    """Time passes until nothing is left to do."""
    for _ in range(60):
        job = door.job(job_id)
        if job.next_check_at is None:
            return
        door.core.clock.move_to(job.next_check_at)
        advance(door.core, job_id)


def test_the_outcome_is_told_with_links_and_a_signature_that_holds(door):
    hooks = Hooks(door)
    asked = door.create(ASKED)
    door.draw(asked["id"])

    ((headers, body),) = hooks.told
    document = json.loads(body)
    assert (document["id"], document["state"], document["outcome"]) == (asked["id"], "ended", "ok")
    assert document["pictures"][0]["url"].startswith("http")
    secret = base64.b64decode(door.mine.key.callback_secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert headers["webhook-id"] == asked["id"]


def test_an_outcome_is_told_once_and_our_later_look_back_tells_nothing(door):
    hooks = Hooks(door)
    asked = door.create(ASKED)
    door.draw(asked["id"])
    through(door, asked["id"])

    assert len(hooks.told) == 1
    assert state_of(door.job(asked["id"])) is State.AUDITED


def test_a_cancelled_job_is_told_too(door):
    hooks = Hooks(door)
    asked = door.create(ASKED)
    cancel(door.core, Caller(tenant=TENANT, user=f"key-{door.mine.key.id}"), job_ref=asked["id"])
    advance(door.core, asked["id"])

    assert [document["outcome"] for document in hooks.documents] == ["cancelled"]


@pytest.mark.parametrize(
    "failure",
    [
        Answer(status=500),
        Answer(status=404),
        Answer(status=429, retry_after=30.0),
        Unavailable("x"),
        Ambiguous("x"),
    ],
)
def test_a_call_that_failed_is_made_again_later_and_the_quota_waits_for_it(door, failure):
    hooks = Hooks(door, failure, failure)
    asked = door.create(ASKED)
    door.draw(asked["id"])
    job = door.job(asked["id"])
    assert (job.done_at, state_of(job)) == (None, State.DELIVERING)
    through(door, asked["id"])

    assert [document["outcome"] for document in hooks.documents] == ["ok"] * 3
    assert door.read(asked["id"])["outcome"] == "ok"
    stamps = [int(headers["webhook-timestamp"]) for headers, _ in hooks.told]
    assert stamps[2] - stamps[1] > stamps[1] - stamps[0] >= 5 or failure == Answer(
        status=429, retry_after=30.0
    )


@pytest.mark.parametrize("outcome", ["ok", "cancelled"])
def test_whoever_polls_need_not_wait_for_an_address_that_fails(door, outcome):
    hooks = Hooks(door, *[Answer(status=500)] * 99)
    asked = door.create(ASKED)
    if outcome == "ok":
        door.draw(asked["id"])
    else:
        advance(door.core, asked["id"])
        door.ask("DELETE", f"/v1/generations/{asked['id']}")
        advance(door.core, asked["id"])

    document = door.read(asked["id"])
    assert hooks.told
    assert door.job(asked["id"]).done_at is None
    assert (document["state"], document["outcome"]) == ("ended", outcome)
    assert len(document["pictures"]) == (outcome == "ok")
    through(door, asked["id"])
    assert door.read(asked["id"])["ended_at"] == document["ended_at"] is not None


def test_who_deletes_what_is_still_being_told_is_told_how_to_end_that(door):
    Hooks(door, Answer(status=500), Answer(status=410))
    asked = door.create(ASKED)
    door.draw(asked["id"])
    early = door.ask("DELETE", f"/v1/generations/{asked['id']}")
    door.core.clock.move_to(door.job(asked["id"]).next_check_at)
    advance(door.core, asked["id"])

    assert (early.status, told(early)["type"]) == (409, "urn:imagine:problem:callback_underway")
    assert "410" in told(early)["fix"]
    assert told(door.ask("DELETE", f"/v1/generations/{asked['id']}"))["state"] == "deleted"


def test_a_second_worker_does_not_call_while_the_first_one_does(door):
    hooks = Hooks(door)
    asked = door.create(ASKED)
    first, others = hooks.sink.finish, []

    def finish(stage):
        others.append(stage.job.id)
        if len(others) == 1:
            advance(door.core, asked["id"])
        first(stage)

    hooks.sink.finish = finish
    door.draw(asked["id"])

    assert others == [asked["id"]]
    assert len(hooks.told) == 1
    assert door.read(asked["id"])["state"] == "ended"


@pytest.mark.parametrize("first", [Answer(status=500), None])
def test_two_workers_that_come_at_once_make_one_call(door, first):
    """A nudge and the sweep wake for the same try; the one that is later finds the job taken."""
    hooks = Hooks(door, *([first] if first else []))
    asked = door.create(ASKED)
    advance(door.core, asked["id"])
    if first is None:
        door.ask("DELETE", f"/v1/generations/{asked['id']}")
    else:
        door.draw(asked["id"])
        door.core.clock.move_to(door.job(asked["id"]).next_check_at)
    calls = len(hooks.told)
    post, hooks.sink._post = hooks.sink._post, None

    def together(url, headers, body):
        hooks.sink._post = post
        advance(door.core, asked["id"])
        return post(url, headers, body)

    hooks.sink._post = together
    advance(door.core, asked["id"])

    assert len(hooks.told) == calls + 1
    assert door.job(asked["id"]).done_at is not None


def test_an_address_that_asks_for_time_gets_it(door):
    hooks = Hooks(door, Answer(status=503, retry_after=600.0))
    asked = door.create(ASKED)
    door.draw(asked["id"])
    through(door, asked["id"])

    stamps = [int(headers["webhook-timestamp"]) for headers, _ in hooks.told]
    assert stamps[1] - stamps[0] >= 600


@pytest.mark.parametrize("status", [301, 302, 307, 308, 410])
def test_an_address_that_moved_or_is_gone_is_not_called_again(door, status):
    hooks = Hooks(door, Answer(status=status))
    asked = door.create(ASKED)
    door.draw(asked["id"])
    through(door, asked["id"])

    assert len(hooks.told) == 1
    assert door.read(asked["id"])["outcome"] == "ok"


def test_an_address_that_never_takes_it_is_given_up_and_polling_still_shows_the_pictures(door):
    hooks = Hooks(door, *[Answer(status=500)] * 99, calls=4)
    asked = door.create(ASKED)
    door.draw(asked["id"])
    through(door, asked["id"])

    assert len(hooks.told) == 4
    document = door.read(asked["id"])
    assert (document["state"], document["outcome"], len(document["pictures"])) == ("ended", "ok", 1)
    assert {"job": asked["id"], "code": "callback_given_up"} in door.core.journal.named("finish_rejected")


def test_nothing_is_sent_for_a_key_that_was_revoked(door):
    hooks = Hooks(door)
    asked = door.create(ASKED)
    revoke(door.core.cells, door.mine.key.id, now=NOW)
    door.draw(asked["id"])
    through(door, asked["id"])

    assert hooks.told == []
    assert state_of(door.job(asked["id"])) is State.AUDITED


def test_a_wait_grows_and_has_an_end():
    patience = Patience()
    waits = [patience.wait(failed) for failed in range(12)]

    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (5.0, 3600.0)


def test_no_prompt_and_no_address_is_in_the_journal(door):
    hooks = Hooks(door, Answer(status=500), Rejected("callback_address"))
    asked = door.create(ASKED)
    door.draw(asked["id"])
    through(door, asked["id"])

    lines = json.dumps(door.core.journal.events)
    assert len(hooks.told) == 2
    assert "fox" not in lines
    assert "hooks.example.com" not in lines


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_has_words(door, outcome):
    hooks = Hooks(door)
    key = create(door.core.cells, name="k", now=NOW).key
    address = Address(kind=SinkKind.CALLBACK, parts={URL: "https://hooks.example.com/", KEY: key.id})
    job = after(a_job(sink=address), result=a_result(outcome))
    with_key = dataclasses.replace(job)
    hooks.sink.finish(Stage(job=with_key, endpoint=AWAKE))

    (document,) = hooks.documents
    assert document["outcome"] == outcome
    assert document["stage"].endswith(".")


def test_a_failed_call_says_when_the_next_is_due(door):
    hooks = Hooks(door, Answer(status=500))
    address = Address(kind=SinkKind.CALLBACK, parts={URL: "https://x.example.com/", KEY: door.mine.key.id})
    job = after(a_job(sink=address), result=a_result(), attempts=2)

    with pytest.raises(Busy) as later:
        hooks.sink.finish(Stage(job=job, endpoint=AWAKE))
    assert (later.value.code, later.value.retry_after) == ("callback_500", 80.0)
