"""The Web API client says what is known about a call, and never posts twice by itself."""

import json
import socket

import pytest

from bot.domain.errors import Ambiguous, Busy, ConfigError, Rejected, Unauthorized, Unavailable
from bot.slack.web import STALE_TOKEN, FixedToken, SlackWeb
from tests.unit.slack.scripted_peer import HANG_UP, HANG_UP_AFTER, Peer, no, ok, reply


class RotatingToken:
    def __init__(self):
        self.value = "old"

    def current(self):
        return self.value

    def refresh(self):
        self.value = "new"
        return self.value


@pytest.fixture
def peer():
    with Peer() as running:
        yield running


@pytest.fixture
def web(peer):
    client = SlackWeb(tokens=FixedToken("the-token"), base_url=peer.url + "api/", timeout=60)
    yield client
    client.close()


def post(web):
    return web.call("chat.postMessage", channel="C1", text="hello")


def test_a_call_carries_the_token_and_its_arguments(peer, web):
    peer.script = [ok(ts="1.2")]

    answer = web.call(
        "chat.postMessage", channel="C1", blocks=[{"text": "ü"}], thread_ts=None, unfurl_links=False
    )

    (request,) = peer.requests
    assert answer["ts"] == "1.2"
    assert request.target == "/api/chat.postMessage"
    assert request.headers["authorization"] == "Bearer the-token"
    assert request.form == {"channel": "C1", "blocks": '[{"text":"ü"}]', "unfurl_links": "false"}


def test_calls_share_a_connection(peer, web):
    for _ in range(3):
        post(web)

    assert peer.connections == 1


def test_a_connection_the_peer_closed_while_idle_is_not_used_for_a_post(peer, web):
    post(web)
    peer.close_connections()

    post(web)

    assert len(peer.requests) == 2
    assert peer.connections == 2


def test_a_post_whose_reply_is_lost_is_ambiguous_and_sent_once(peer, web):
    peer.script = [HANG_UP]

    with pytest.raises(Ambiguous):
        post(web)
    assert len(peer.requests) == 1


def test_a_look_whose_reply_is_lost_is_sent_again(peer, web):
    peer.script = [HANG_UP, ok(file={"id": "F1"})]

    assert web.call("files.info", file="F1")["file"]["id"] == "F1"
    assert len(peer.requests) == 2


def test_a_look_is_sent_at_most_twice(peer, web):
    peer.script = [HANG_UP, HANG_UP]

    with pytest.raises(Ambiguous):
        web.call("files.info", file="F1")
    assert len(peer.requests) == 2


def test_a_reply_cut_in_the_middle_is_ambiguous(peer, web):
    peer.script = [b"HTTP/1.1 200 -\r\nContent-Length: 50\r\n\r\n{" + HANG_UP_AFTER]

    with pytest.raises(Ambiguous):
        post(web)


def test_a_peer_that_does_not_answer_in_time_is_ambiguous_and_not_asked_again():
    with Peer(script=[b"HTTP/1.1 200 -\r\n"]) as peer:
        impatient = SlackWeb(tokens=FixedToken("t"), base_url=peer.url, timeout=0.05)
        with pytest.raises(Ambiguous):
            impatient.call("files.info", file="F1")
        peer.wait_for_requests(1)

    assert len(peer.requests) == 1


def test_a_refused_connection_is_provably_without_effect():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    web = SlackWeb(tokens=FixedToken("t"), base_url=f"http://127.0.0.1:{port}/api/")

    with pytest.raises(Unavailable):
        post(web)


@pytest.mark.parametrize(("header", "wish"), [("30", 30.0), ("0", 0.0), ("soon", None), ("-1", None)])
def test_throttling_passes_on_slacks_wish(peer, web, header, wish):
    peer.script = [reply(429, Retry_After=header)]

    with pytest.raises(Busy) as busy:
        post(web)
    assert busy.value.retry_after == wish


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (reply(500), Ambiguous),
        (reply(503), Ambiguous),
        (reply(404), Rejected),
        (reply(302, Location="https://elsewhere.test/"), Rejected),
        (reply(body=b"not json"), Ambiguous),
        (reply(body=b"[1]"), Ambiguous),
        (reply(body=b"[" * 100_000), Ambiguous),
        (no("internal_error"), Ambiguous),
        (no("fatal_error"), Ambiguous),
        (no("service_unavailable"), Unavailable),
        (no("ratelimited"), Busy),
        (no("channel_not_found"), Rejected),
        (no("a_new_error"), Rejected),
        *[(no(code), Unauthorized) for code in sorted(STALE_TOKEN)],
    ],
)
def test_every_answer_has_one_meaning(peer, web, answer, error):
    peer.script = [answer]

    with pytest.raises(error):
        post(web)


def test_a_refusal_carries_slacks_own_error_string(peer, web):
    peer.script = [no("is_archived")]

    with pytest.raises(Rejected) as rejected:
        post(web)
    assert rejected.value.code == "is_archived"


def test_a_rotated_token_is_fetched_once_and_used(peer):
    peer.script = [no("invalid_auth"), ok()]
    web = SlackWeb(tokens=RotatingToken(), base_url=peer.url)

    post(web)
    web.close()

    assert [request.headers["authorization"] for request in peer.requests] == ["Bearer old", "Bearer new"]


def test_a_token_that_did_not_change_is_not_tried_again(peer, web):
    peer.script = [no("invalid_auth")]

    with pytest.raises(Unauthorized):
        post(web)
    assert len(peer.requests) == 1


def test_no_refusal_of_a_token_is_one_of_a_channel():
    assert {"account_inactive", "invalid_auth", "not_authed", "token_revoked"} <= STALE_TOKEN
    assert not STALE_TOKEN & {"is_archived", "not_in_channel", "channel_not_found", "restricted_action"}


def test_bytes_go_to_the_upload_address_without_the_token(peer, web):
    web.upload(peer.url + "upload/1?key=2", b"\x89PNG")

    (request,) = peer.requests
    assert (request.target, request.body) == ("/upload/1?key=2", b"\x89PNG")
    assert "authorization" not in request.headers


def test_a_response_goes_to_its_address_without_the_token(peer, web):
    web.respond(peer.url + "response/1", {"text": "hi"})

    (request,) = peer.requests
    assert json.loads(request.body) == {"text": "hi"}
    assert "authorization" not in request.headers


SPOOFED = [
    "https://hooks.slack.com.evil.test/x",
    "https://evil.test/hooks.slack.com",
    "https://hooks.slack.com@evil.test/",
    "https://user:pass@hooks.slack.com/x",
    "https://hooks.slack.com:444/x",
    "https://hooks.slack.com:99999/x",
    "https://evil.test\\@hooks.slack.com/",
    "https://hooks.slack.com\t.evil.test/",
    "https://HOOKS.slack.com\r\nHost: evil.test/",
    "http://hooks.slack.com/x",
    "http://169.254.169.254/latest/meta-data",
    "http://127.0.0.1:1/x",
    "http://[::1]/x",
    "https://hooks.slack.cоm/x",
    "file:///etc/passwd",
    "//hooks.slack.com/x",
    "https://",
    "https://[",
    "",
]


@pytest.mark.parametrize("url", SPOOFED)
def test_nothing_is_sent_to_an_address_slack_would_not_name(peer, web, url):
    with pytest.raises(Rejected, match="untrusted_address"):
        web.respond(url, {"text": "hi"})
    with pytest.raises(Rejected, match="untrusted_address"):
        web.upload(url, b"x")
    assert peer.requests == []


def test_against_real_slack_even_the_local_address_is_foreign(peer):
    web = SlackWeb(tokens=FixedToken("t"))

    with pytest.raises(Rejected, match="untrusted_address"):
        web.respond(peer.url, {"text": "hi"})


@pytest.mark.parametrize("url", ["http://slack.com/api/", "ftp://x", "slack.com", "http://10.0.0.1/api/"])
def test_an_api_address_that_would_leak_the_token_is_a_configuration_error(url):
    with pytest.raises(ConfigError):
        SlackWeb(tokens=FixedToken("t"), base_url=url)


def test_a_fixed_token_does_not_show_itself():
    assert "secret" not in repr(FixedToken("secret"))
