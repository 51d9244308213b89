"""Slack is answered in time and in the gateway's form, whatever arrives and whatever is broken behind."""

import base64
import json
import threading
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain import messages
from bot.domain.errors import Unavailable
from bot.functions.front import Front
from bot.local.journal import ListJournal
from bot.local.system import ManualClock
from bot.slack import gate
from bot.slack.app import create_app
from bot.slack.receiver import Receiver, Response
from bot.slack.settings import SlackSettings
from bot.slack.web import FixedToken, SlackWeb
from tests.aws.functions import TENANT, YOU, build

SECRET = "a-signing-secret"
FORM = "application/x-www-form-urlencoded"


def command(text="a red fox", trigger="1.1"):
    fields = {"command": "/imagine", "text": text, "team_id": TENANT, "user_id": YOU, "channel_id": "C1"}
    return urlencode({**fields, "trigger_id": trigger, "response_url": "https://hooks.slack.com/commands/1"})


def event(text: str, /, *, method="POST", content_type=FORM, encoded=True, secret=SECRET, at=None, **changes):
    """An HTTP API event, format 2.0, signed at `at`; the gateway hands forms over in base64."""
    stamp = str(int(at or ManualClock().now()))
    signature = gate.sign(secret, b"v0:" + stamp.encode() + b":" + text.encode())
    return {
        "version": "2.0",
        "routeKey": "POST /slack/events",
        "rawPath": "/slack/events",
        "rawQueryString": "",
        "headers": {
            "content-type": content_type,
            "x-slack-request-timestamp": stamp,
            "x-slack-signature": signature,
        },
        "requestContext": {"http": {"method": method, "path": "/slack/events"}, "stage": "$default"},
        "body": base64.b64encode(text.encode()).decode() if encoded else text,
        "isBase64Encoded": encoded,
        **changes,
    }


class NoSecrets:
    def __init__(self, error):
        self._error = error

    def current(self):
        raise self._error

    refresh = current


@pytest.fixture
def core():
    return build()


def front(core, *, secrets=(SECRET,)):
    web = SlackWeb(tokens=FixedToken("xoxb-none"), base_url="http://127.0.0.1:9/api/")
    app = create_app(core, SlackSettings(team_id=TENANT), web=web)
    receiver = Receiver(app, secrets=secrets, clock=core.clock)
    return Front(receiver.handle, clock=core.clock, journal=core.journal)


@pytest.mark.parametrize("encoded", [True, False])
def test_a_signed_command_is_a_durable_job_and_an_empty_answer(core, encoded):
    answer = front(core)(event(command(), encoded=encoded), None)

    assert (answer["statusCode"], answer["body"], answer["isBase64Encoded"]) == (200, "", False)
    assert "cookies" not in answer
    assert core.queue.take(0) is not None


def test_an_answer_for_the_person_is_json(core):
    answer = front(core)(event(command("help")), None)

    assert answer["headers"]["content-type"].startswith("application/json")
    assert json.loads(answer["body"])["response_type"] == "ephemeral"


@pytest.mark.parametrize(
    ("request_event", "status"),
    [
        (event(command(), secret="another"), 401),
        (event(command(), headers={}), 401),
        (event(command(), method="GET"), 405),
        (event("x" * (gate.MAX_BODY + 1)), 413),
        (event("x" * (2 * gate.MAX_BODY), encoded=False), 413),
        (event(command(), body="no base64!"), 400),
        (event(command(), body=7), 400),
        (event(command(), headers=None), 400),
        (event(command(), headers={"a": 1}), 400),
        (event(command(), requestContext={"httpMethod": "POST"}), 400),
        ({}, 400),
        (None, 400),
        ([], 400),
    ],
)
def test_what_is_no_signed_request_is_refused(core, request_event, status):
    answer = front(core)(request_event, None)

    assert answer["statusCode"] == status
    assert core.queue.take(0) is None


@given(
    st.dictionaries(st.sampled_from(["headers", "body", "requestContext", "rawPath"]), st.none() | st.text())
)
def test_no_event_makes_it_raise(changes):
    answer = front(build())(event(command(), **changes), None)

    assert 200 <= answer["statusCode"] < 500


@pytest.mark.parametrize("error", [Unavailable("secret_missing"), Unavailable("AccessDeniedException")])
def test_without_signing_secrets_nothing_is_let_in(core, error):
    answer = front(core, secrets=NoSecrets(error))(event(command()), None)

    assert answer["statusCode"] == 503
    assert core.queue.take(0) is None


def stuck(body, *, content_type=FORM, received_ago=0.0):
    """The answer where the work behind never ends, and what was counted."""
    journal, clock, released = ListJournal(), ManualClock(), threading.Event()

    def handle(_method, _path, _headers, _body):
        released.wait()
        return Response(status=200, headers={}, body=b"")

    slow = event(body, content_type=content_type)
    slow["requestContext"]["timeEpoch"] = int((clock.now() - received_ago) * 1000)
    answer = Front(handle, clock=clock, journal=journal, hard_stop=0.6)(slow, None)
    released.set()
    return answer, journal


@pytest.mark.parametrize("received_ago", [0.0, 60.0])
def test_a_person_is_told_when_the_work_is_late(received_ago):
    answer, journal = stuck(command(), received_ago=received_ago)

    assert answer["statusCode"] == 200
    assert json.loads(answer["body"])["text"] == messages.refusal("not_confirmed", {})
    assert journal.named("hard_stop") == [{}]


def test_a_late_event_is_refused_so_that_slack_sends_it_again():
    answer, _ = stuck("{}", content_type="application/json")

    assert answer["statusCode"] == 503


def test_a_late_control_shows_that_it_had_no_answer():
    """Slack marks it; a text in the answer would be seen by nobody."""
    answer, _ = stuck(urlencode({"payload": "{}"}))

    assert answer["statusCode"] == 503


def test_a_defect_is_an_answer_too_and_says_nothing_of_itself():
    def handle(_method, _path, _headers, _body):
        raise KeyError("a red fox")

    journal = ListJournal()
    answer = Front(handle, clock=ManualClock(), journal=journal)(event(command()), None)

    assert (answer["statusCode"], answer["body"]) == (500, messages.UNEXPECTED)
    assert journal.named("handler_failed") == [{"handler": "slack", "kind": "KeyError"}]
