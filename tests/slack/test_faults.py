"""The switches: what the caller sees and what happened all the same."""

from typing import Any

import httpx
import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from infra.local.slack.clock import ManualClock
from infra.local.slack.faults import Faults
from infra.local.slack.testing import LocalSlack
from tests.slack import loopback
from tests.slack.bots import EVERY_SCOPE, RecordingBot, manifest_with
from tests.slack.pictures import picture

PICTURES = "C0000000001"
BROKEN = (httpx.RemoteProtocolError, httpx.ReadError)


def post(slack: LocalSlack, text: str = "x") -> httpx.Response:
    headers = {"Authorization": f"Bearer {slack.bot_token}"}
    args = {"channel": PICTURES, "text": text}
    return loopback.post(f"{slack.api_url}chat.postMessage", json=args, headers=headers)


def texts(slack: LocalSlack) -> list[str]:
    return [message.text for message in slack.messages()]


@pytest.mark.parametrize(("seconds", "header"), [(1, "1"), (30, "30"), (3600, "3600"), (None, None)])
def test_rate_limited_is_429_with_the_seconds_to_wait(
    slack: LocalSlack, seconds: int | None, header: str | None
) -> None:
    slack.faults.rate_limit("chat.postMessage", retry_after=seconds)

    limited, after = post(slack), post(slack, "after")

    assert (limited.status_code, limited.headers.get("retry-after")) == (429, header)
    assert limited.json() == {"ok": False, "error": "ratelimited"}
    assert after.json()["ok"]
    assert texts(slack) == ["after"]


def test_a_server_error_is_500_without_effect(slack: LocalSlack) -> None:
    slack.faults.server_error("chat.postMessage", times=2)

    assert [post(slack).status_code, post(slack).status_code, post(slack, "third").status_code] == [
        500,
        500,
        200,
    ]
    assert texts(slack) == ["third"]


def test_a_refusal_has_the_planned_error(slack: LocalSlack, client: WebClient) -> None:
    slack.faults.refuse("chat.postMessage", "fatal_error")

    with pytest.raises(SlackApiError, match="fatal_error"):
        client.chat_postMessage(channel=PICTURES, text="x")

    assert texts(slack) == []


def test_dropped_before_leaves_nothing(slack: LocalSlack) -> None:
    slack.faults.drop_before("chat.postMessage")

    with pytest.raises(BROKEN):
        post(slack)

    assert texts(slack) == []


def test_dropped_after_leaves_the_effect(slack: LocalSlack) -> None:
    slack.faults.drop_after("chat.postMessage")

    with pytest.raises(BROKEN):
        post(slack)

    assert texts(slack) == ["x"]


def test_cut_short_leaves_the_effect_and_half_an_answer(slack: LocalSlack) -> None:
    slack.faults.cut_short("chat.postMessage")
    reply = post(slack)

    assert (reply.status_code, reply.text[:10]) == (200, '{"ok":true')
    with pytest.raises(ValueError, match="char"):
        reply.json()
    assert texts(slack) == ["x"]


def test_a_late_effect_comes_when_the_caller_has_given_up() -> None:
    with LocalSlack(manifest=manifest_with(*EVERY_SCOPE), clock=ManualClock()) as slack:
        slack.faults.late("chat.postMessage", seconds=20)

        with pytest.raises(BROKEN):
            post(slack)

        early = texts(slack)
        slack.advance(21)
        assert (early, texts(slack)) == ([], ["x"])


def test_a_slow_answer_comes_after_its_effect() -> None:
    with LocalSlack(manifest=manifest_with(*EVERY_SCOPE), clock=ManualClock()) as slack:
        slack.faults.slow("chat.postMessage", seconds=20)

        answer = slack.meanwhile(lambda: post(slack), advance=21)

        assert (answer.json()["ok"], texts(slack)) == (True, ["x"])


def test_a_fault_waits_for_its_method(slack: LocalSlack, client: WebClient) -> None:
    slack.faults.server_error("chat.update")

    assert post(slack).status_code == 200
    with pytest.raises(SlackApiError):
        client.chat_update(channel=PICTURES, ts=slack.messages()[0].ts, text="y")


def test_a_star_hits_whichever_comes_next(slack: LocalSlack) -> None:
    slack.faults.server_error("*")

    assert [post(slack).status_code, post(slack).status_code] == [500, 200]


def test_the_bytes_of_an_upload_can_be_lost(slack: LocalSlack, client: WebClient) -> None:
    content = picture()
    ticket = client.files_getUploadURLExternal(filename="a.png", length=len(content))
    slack.faults.drop_before("upload")

    with pytest.raises(BROKEN):
        loopback.post(ticket["upload_url"], content=content)
    with pytest.raises(SlackApiError, match="file_not_found"):
        client.files_completeUploadExternal(files=[{"id": ticket["file_id"]}], channel_id=PICTURES)


def test_a_completion_dropped_after_the_effect_is_shared(slack: LocalSlack, client: WebClient) -> None:
    content = picture()
    ticket = client.files_getUploadURLExternal(filename="a.png", length=len(content))
    loopback.post(ticket["upload_url"], content=content)
    slack.faults.drop_after("files.completeUploadExternal")

    with pytest.raises(OSError, match=r"(?i)closed|reset"):
        client.files_completeUploadExternal(files=[{"id": ticket["file_id"]}], channel_id=PICTURES)

    assert [m.files[0]["id"] for m in slack.messages()] == [ticket["file_id"]]


def test_a_response_url_can_fail(slack: LocalSlack, bot: RecordingBot) -> None:
    slack.command("/imagine a fox")
    url = dict(httpx.QueryParams(bot.requests[0].content.decode()))["response_url"]
    slack.faults.server_error("response_url")

    assert loopback.post(url, json={"text": "x"}).status_code == 500
    assert slack.ephemerals() == []


def test_faults_can_be_planned_over_http(slack: LocalSlack) -> None:
    fault = {"method": "chat.postMessage", "kind": "rate_limited", "seconds": 7}

    planned = loopback.post(f"{slack.base_url}/faults", json=fault)

    assert planned.json() == {"ok": True}
    assert post(slack).headers["retry-after"] == "7"


@pytest.mark.parametrize(
    "nonsense", [{"kind": "gremlins"}, [], "x", None, {"method": "upload", "kind": "slow", "seconds": "soon"}]
)
def test_what_is_no_fault_is_refused(slack: LocalSlack, nonsense: Any) -> None:
    refused = loopback.post(f"{slack.base_url}/faults", json=nonsense)

    assert (refused.status_code, refused.json()["ok"]) == (400, False)


def test_planned_faults_are_in_the_log(slack: LocalSlack) -> None:
    slack.faults.server_error("chat.postMessage")

    post(slack)

    assert [e.error for e in slack.traffic.all("chat.postMessage")] == ["fault: server_error"]


def test_clearing_brings_the_good_behaviour_back() -> None:
    faults = Faults()
    faults.server_error("*", times=9)
    faults.bot_seconds, faults.readiness_seconds, faults.dropped_shares = 9, 9, 9

    faults.clear()

    assert faults == Faults()
