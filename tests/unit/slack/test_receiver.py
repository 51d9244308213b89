"""Whatever arrives over HTTP gets a proper answer, and nothing unsigned reaches Bolt or a log."""

import json
import logging
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.domain.errors import Unavailable
from bot.local.system import ManualClock
from bot.slack import gate
from bot.slack.app import create_app
from bot.slack.controls import Action
from bot.slack.receiver import Receiver
from bot.slack.settings import SlackSettings
from tests.unit.slack.world import TEAM, YOU, World

SECRET = "a-signing-secret"
FORM = "application/x-www-form-urlencoded"
COMMAND = {
    "command": "/imagine",
    "text": "help",
    "team_id": TEAM,
    "user_id": YOU,
    "channel_id": "C0000000001",
    "trigger_id": "1.2.3",
    "response_url": "https://hooks.slack.com/commands/1",
}


@pytest.fixture(scope="module")
def world():
    with World() as running:
        yield running


@pytest.fixture(scope="module")
def receiver(world):
    return Receiver(world.app, secrets=[SECRET], clock=ManualClock())


class RotatingSecrets:
    """Signing secrets as they are known, and as they are now."""

    def __init__(self, *, known, fresh):
        self.known, self.fresh, self.looks = known, fresh, 0

    def current(self):
        return self.known

    def refresh(self):
        self.looks += 1
        self.known = self.fresh
        return self.known


class UnreadableSecrets:
    def current(self):
        raise Unavailable("secret_missing")

    refresh = current


def post(receiver, body, *, secret=SECRET, content_type=FORM, **headers):
    """The answer to a properly signed request."""
    stamp = str(int(ManualClock().now()))
    signature = gate.sign(secret, b"v0:" + stamp.encode() + b":" + body)
    signed = {
        "Content-Type": content_type,
        "X-Slack-Request-Timestamp": stamp,
        "X-Slack-Signature": signature,
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    return receiver.handle("POST", "/slack/events", signed, body)


def form(**fields):
    return urlencode(fields).encode()


def test_a_signed_command_is_answered(receiver):
    answer = post(receiver, form(**COMMAND))

    assert answer.status == 200
    assert "a red apple" in json.loads(answer.body)["text"] + str(json.loads(answer.body)["blocks"])


def test_the_same_headers_as_pairs_are_fine(receiver):
    body = form(**COMMAND)
    stamp = str(int(ManualClock().now()))
    pairs = [
        ("content-type", FORM),
        ("x-slack-request-timestamp", stamp),
        ("x-slack-signature", gate.sign(SECRET, b"v0:" + stamp.encode() + b":" + body)),
    ]

    assert receiver.handle("POST", "/", pairs, body).status == 200


def test_a_command_that_starts_a_job_is_acked_with_nothing(receiver):
    answer = post(receiver, form(**{**COMMAND, "text": "a red fox", "trigger_id": "9.9"}))

    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize("text", ["a payload of fish", "payload", "payload={}", "a fox & payload=1"])
def test_a_prompt_may_speak_of_a_payload(receiver, text):
    answer = post(receiver, form(**{**COMMAND, "text": text, "trigger_id": text}))

    assert (answer.status, answer.body) == (200, b"")


def test_slacks_address_check_is_answered(receiver):
    body = json.dumps({"type": "url_verification", "challenge": "abc"}).encode()

    answer = post(receiver, body, content_type="application/json")

    assert (answer.status, json.loads(answer.body)) == (200, {"challenge": "abc"})


def test_bolts_lazy_headers_have_no_effect(receiver):
    answer = post(receiver, form(**COMMAND), X_Slack_Bolt_Lazy_Only="1", X_Slack_Bolt_Lazy_Function_Name="f")

    assert b"apple" in answer.body


def test_a_command_from_another_workspace_is_refused(receiver):
    answer = post(receiver, form(**{**COMMAND, "team_id": "T0000000009"}))

    assert "its own workspace only" in json.loads(answer.body)["text"]


def test_other_methods_are_refused(receiver):
    assert receiver.handle("GET", "/", {}, b"").status == 405


def test_unsigned_requests_are_refused(receiver):
    assert receiver.handle("POST", "/", {}, form(**COMMAND)).status == 401


def test_a_large_body_is_refused(receiver):
    assert receiver.handle("POST", "/", {}, b"x" * (gate.MAX_BODY + 1)).status == 413


def test_while_a_secret_is_replaced_both_open(world):
    receiver = Receiver(world.app, secrets=["the-new-one", "the-old-one"], clock=ManualClock())

    for secret in ("the-new-one", "the-old-one"):
        assert post(receiver, form(**COMMAND), secret=secret).status == 200


def test_a_secret_that_was_replaced_a_moment_ago_opens(world):
    secrets = RotatingSecrets(known=("old",), fresh=("new", "old"))
    receiver = Receiver(world.app, secrets=secrets, clock=ManualClock())

    statuses = [post(receiver, form(**COMMAND), secret=secret).status for secret in ("old", "new", "old")]

    assert (statuses, secrets.looks) == ([200, 200, 200], 1)


def test_a_forged_signature_stays_forged_with_the_newest_secrets(world):
    secrets = RotatingSecrets(known=("old",), fresh=("new",))
    receiver = Receiver(world.app, secrets=secrets, clock=ManualClock())

    assert post(receiver, form(**COMMAND), secret="forged").status == 401


def test_no_request_is_let_in_while_there_is_no_secret_to_judge_it_by(world):
    receiver = Receiver(world.app, secrets=UnreadableSecrets(), clock=ManualClock())

    answer = post(receiver, form(**COMMAND), secret="")

    assert (answer.status, b"apple" in answer.body) == (503, False)


def test_a_receiver_does_not_show_its_secrets(world):
    receiver = Receiver(world.app, secrets=["canary"], clock=ManualClock())

    assert "canary" not in repr(receiver) + repr(vars(receiver))


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", FORM),
        (b"\xff\xfe", FORM),
        (b"no fields at all", FORM),
        (b"payload=not json", FORM),
        (b"payload=[1]", FORM),
        (b"payload=7", FORM),
        (b"{", FORM),
        (b"{", "application/json"),
        (b"[]", "application/json"),
        (b"7", "application/json; charset=utf-8"),
        (b"[" * 200_000, "application/json"),
        (b'{"a":' * 200_000, FORM),
        (b"&".join([b"a=1"] * 300), FORM),
        (b'{"team": 5}', "application/json"),
        (b"payload=" + b'{"user": 5, "view": 3, "team": [1]}', FORM),
    ],
)
def test_a_signed_body_without_shape_is_malformed(receiver, body, content_type):
    assert post(receiver, body, content_type=content_type).status in (400, 404)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300), st.sampled_from([FORM, "application/json", "text/plain", ""]))
def test_no_signed_body_is_an_error_of_ours(receiver, body, content_type):
    assert post(receiver, body, content_type=content_type).status in (200, 400, 404)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "user", "team", "actions", "view", "event", "channel", "container", "id"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(json_values)
def test_no_odd_payload_is_answered_with_an_exception(receiver, payload):
    answer = post(receiver, form(payload=json.dumps(payload)))

    assert answer.status in (200, 400, 404)


def pressed(world, action, value):
    """A block_actions payload as Slack sends it."""
    return {
        "type": "block_actions",
        "team": {"id": TEAM},
        "user": {"id": YOU, "team_id": TEAM, "name": "you"},
        "channel": {"id": "C0000000001"},
        "container": {"type": "message", "message_ts": "1.2", "channel_id": "C0000000001"},
        "message": {"ts": "1.2"},
        "state": {"values": {}},
        "response_url": f"{world.slack.base_url}/actions/T1/none",
        "actions": [
            {"type": "button", "action_id": action, "value": value, "action_ts": "3.4", "block_id": "b"}
        ],
    }


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80)
@given(
    st.sampled_from(Action),
    st.sampled_from(["user", "channel", "container", "message", "state", "response_url", "actions", "team"]),
    json_values,
)
def test_a_control_with_a_broken_payload_is_answered(world, receiver, action, broken, odd):
    payload = {**pressed(world, action, "a" * 26), broken: odd}

    assert post(receiver, form(payload=json.dumps(payload))).status in (200, 400, 404)


def test_a_token_in_the_environment_is_ignored_without_a_word(world, monkeypatch, caplog):
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-somebody-elses")

    create_app(world.core, SlackSettings(team_id=TEAM), web=world.web)

    assert caplog.records == []


def test_nothing_that_was_typed_reaches_a_log(receiver, caplog):
    caplog.set_level(logging.DEBUG)

    post(receiver, form(**{**COMMAND, "text": "canary-in-a-prompt"}))
    post(receiver, form(**{**COMMAND, "command": "/other", "text": "canary-in-a-prompt"}))
    receiver.handle("POST", "/", {"X-Slack-Signature": "canary-signature"}, b"text=canary-in-a-prompt")

    assert "canary" not in caplog.text
    assert "hooks.slack.com" not in caplog.text
