"""What the page gets and sends, as a browser would."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest
from slack_sdk import WebClient
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from infra.local.slack.sessions import COOKIE
from infra.local.slack.testing import LocalSlack
from tests.slack import loopback
from tests.slack.bots import RecordingBot
from tests.slack.pictures import picture

PICTURES, GENERAL, STUDIO = "C0000000001", "C0000000002", "C0000000004"
BUTTON = {"type": "button", "action_id": "go", "value": "1", "text": {"type": "plain_text", "text": "Go"}}
CARD = [{"type": "actions", "block_id": "b", "elements": [BUTTON]}]


@pytest.fixture
def browser(slack: LocalSlack) -> Iterator[httpx.Client]:
    with loopback.browser(slack.base_url) as client:
        client.get("/page/state")
        yield client


def send(browser: httpx.Client, **message: Any) -> dict[str, Any]:
    answer: dict[str, Any] = browser.post("/page/send", json={"channel": PICTURES, **message}).json()
    return answer


def shown(browser: httpx.Client, channel: str = PICTURES) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = browser.get("/page/messages", params={"channel": channel}).json()[
        "messages"
    ]
    return messages


@contextmanager
def live(slack: LocalSlack, browser: httpx.Client) -> Iterator[ClientConnection]:
    address = slack.base_url.replace("http:", "ws:") + "/page/live"
    cookie = {"Cookie": f"{COOKIE}={browser.cookies[COOKIE]}"}
    with connect(address, additional_headers=cookie, origin=Origin(slack.base_url)) as socket:
        slack.wait_for(lambda: slack.platform.workspace.listeners >= 2)
        yield socket


def event(socket: ClientConnection) -> dict[str, Any]:
    received: dict[str, Any] = json.loads(socket.recv(timeout=60))
    return received


def test_the_page_and_its_parts_are_served(browser: httpx.Client) -> None:
    page = browser.get("/")

    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert browser.get("/app.js").status_code == 200
    assert browser.get("/../server.py").status_code == 404


def test_the_state_says_who_is_here_and_what_can_be_done(browser: httpx.Client) -> None:
    state = browser.get("/page/state").json()

    assert (state["me"]["name"], state["bot"]["name"], state["team"]["name"]) == (
        "you",
        "Imagine",
        "Local workspace",
    )
    assert [c["name"] for c in state["channels"]] == ["pictures", "general", "random", "studio"]
    assert state["commands"] == [
        {
            "command": "/imagine",
            "description": "Draw a picture from a description",
            "usage_hint": "a red fox in the snow --ar 16:9",
        }
    ]


def test_a_browser_keeps_its_session_and_a_stale_one_is_replaced(
    slack: LocalSlack, browser: httpx.Client
) -> None:
    cookie = browser.cookies[COOKIE]
    browser.get("/page/state")
    kept = browser.cookies[COOKIE]
    with loopback.browser(base_url=slack.base_url, cookies={COOKIE: "from before a restart"}) as returning:
        replaced = returning.get("/page/state").headers["set-cookie"]

    assert kept == cookie
    assert "HttpOnly" in replaced
    assert "SameSite=strict" in replaced


@pytest.mark.parametrize("other", ['settings={"dark": true}', "a[b]=1", '"', "=", "lone", "name=ü"])
def test_cookies_of_other_programs_on_this_machine_do_not_end_the_session(
    slack: LocalSlack, browser: httpx.Client, other: str
) -> None:
    header = f"{other}; {COOKIE}={browser.cookies[COOKIE]}".encode()
    with loopback.browser(slack.base_url, headers={"Cookie": header}) as beside:
        assert shown(beside) == []


def test_without_a_session_nothing_is_shown_or_sent(slack: LocalSlack) -> None:
    with loopback.browser(slack.base_url) as stranger:
        answers = [
            stranger.get("/page/messages", params={"channel": PICTURES}).json(),
            stranger.get("/page/thread", params={"channel": PICTURES, "ts": "1.0"}).json(),
            send(stranger, text="hello"),
        ]

    assert [answer["ok"] for answer in answers] == [False] * 3
    assert slack.messages() == []


class TestSending:
    def test_text_is_posted_as_me_and_escaped(self, slack: LocalSlack, browser: httpx.Client) -> None:
        assert send(browser, text="cats & <b>dogs</b>") == {"ok": True}

        (message,) = shown(browser)
        assert (message["user"]["name"], message["text"]) == ("You", "cats &amp; &lt;b&gt;dogs&lt;/b&gt;")

    def test_a_slash_command_reaches_the_bot(self, browser: httpx.Client, bot: RecordingBot) -> None:
        assert send(browser, text="/imagine a red fox") == {"ok": True}

        assert dict(parse_qsl(bot.requests[0].content.decode()))["text"] == "a red fox"
        assert shown(browser) == []

    @pytest.mark.parametrize("line", ["/imagine\ta fox", "/imagine\na fox", "/imagine   a fox  "])
    def test_any_white_space_ends_the_commands_name(
        self, browser: httpx.Client, bot: RecordingBot, line: str
    ) -> None:
        assert send(browser, text=line) == {"ok": True}

        assert dict(parse_qsl(bot.requests[0].content.decode()))["text"] == "a fox"

    def test_a_reply_to_nothing_is_refused(self, browser: httpx.Client) -> None:
        assert send(browser, text="hello", thread_ts="1.000001") == {"ok": False, "error": "thread_not_found"}

    def test_a_failing_command_says_so_as_slack_does(self, browser: httpx.Client, bot: RecordingBot) -> None:
        bot.answers = [httpx.Response(500)]

        answer = send(browser, text="/imagine a red fox")

        assert answer == {"ok": False, "error": '/imagine failed with the error "dispatch_failed"'}

    def test_an_unknown_command_is_not_posted(self, browser: httpx.Client, bot: RecordingBot) -> None:
        answer = send(browser, text="/paint a fox")

        assert answer["error"].startswith("/paint is not a valid command.")
        assert (shown(browser), bot.requests) == ([], [])

    def test_commands_do_not_work_in_threads(self, browser: httpx.Client, bot: RecordingBot) -> None:
        send(browser, text="hello")

        answer = send(browser, text="/imagine a fox", thread_ts=shown(browser)[0]["ts"])

        assert answer == {"ok": False, "error": "/imagine is not supported in threads. Sorry!"}
        assert bot.requests == []

    def test_a_reply_goes_under_its_parent(self, browser: httpx.Client) -> None:
        send(browser, text="parent")
        ts = shown(browser)[0]["ts"]
        send(browser, text="reply", thread_ts=ts)

        (parent,) = shown(browser)
        thread = browser.get("/page/thread", params={"channel": PICTURES, "ts": ts}).json()["messages"]
        assert (parent["reply_count"], parent["latest_reply"]) == (1, thread[1]["ts"])
        assert [m["text"] for m in thread] == ["parent", "reply"]

    @pytest.mark.parametrize(
        ("message", "error"),
        [
            ({"text": "  "}, "no_text"),
            ({"text": None}, "no_text"),
            ({"text": ["x"]}, "no_text"),
            ({"text": "x" * 40_001}, "msg_too_long"),
            ({"text": "x", "channel": "C404"}, "channel_not_found"),
            ({"text": "x", "channel": ["C404"]}, "channel_not_found"),
        ],
    )
    def test_what_cannot_be_sent_is_refused(
        self, browser: httpx.Client, message: dict[str, Any], error: str
    ) -> None:
        assert send(browser, **message) == {"ok": False, "error": error}
        assert shown(browser) == []

    def test_half_an_emoji_does_not_spoil_the_channel(
        self, slack: LocalSlack, browser: httpx.Client, bot: RecordingBot
    ) -> None:
        """A browser sends one as JSON can spell it; no text that is sent on may hold it."""
        with live(slack, browser) as socket:
            for line in (r"half \ud83d, whole \ud83d\ude00", r"/imagine \ude00 cat"):
                body = f'{{"channel": "{PICTURES}", "text": "{line}"}}'
                assert browser.post("/page/send", content=body).json() == {"ok": True}

            assert event(socket)["message"]["text"] == "half ?, whole 😀"
        assert [message["text"] for message in shown(browser)] == ["half ?, whole 😀"]
        assert dict(parse_qsl(bot.requests[0].content.decode()))["text"] == "? cat"

    @pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"[" * 20_000])
    @pytest.mark.parametrize("path", ["/page/send", "/page/action", "/page/dismiss"])
    def test_a_body_that_is_no_object_is_refused(self, browser: httpx.Client, path: str, body: bytes) -> None:
        assert browser.post(path, content=body).json()["ok"] is False

    def test_an_archived_channel_takes_no_more(self, slack: LocalSlack, browser: httpx.Client) -> None:
        slack.platform.workspace.channels[PICTURES].is_archived = True

        assert send(browser, text="hello") == {"ok": False, "error": "is_archived"}

    def test_inviting_brings_the_bot_in(
        self, slack: LocalSlack, browser: httpx.Client, client: WebClient
    ) -> None:
        assert send(browser, channel=STUDIO, text="/invite @imagine") == {"ok": True}

        client.chat_postMessage(channel=STUDIO, text="here I am")

        assert [m.text for m in slack.messages("studio")] == ["joined the channel", "here I am"]


class TestActing:
    def act(self, browser: httpx.Client, **action: Any) -> dict[str, Any]:
        answer: dict[str, Any] = browser.post("/page/action", json={"channel": PICTURES, **action}).json()
        return answer

    def test_a_click_reaches_the_bot_with_the_message_values(
        self, browser: httpx.Client, client: WebClient, bot: RecordingBot
    ) -> None:
        ts = client.chat_postMessage(channel=PICTURES, text="x", blocks=CARD)["ts"]

        answer = self.act(browser, ts=ts, block_id="b", action_id="go", type="button", value="forged")

        told = json.loads(dict(parse_qsl(bot.requests[0].content.decode()))["payload"])
        assert answer == {"ok": True}
        assert told["actions"][0]["value"] == "1"

    def test_a_choice_and_the_state_of_the_menus_travel(
        self, browser: httpx.Client, client: WebClient, bot: RecordingBot
    ) -> None:
        options = [{"text": {"type": "plain_text", "text": v}, "value": v} for v in ("1", "2")]
        menus = [
            {"type": "static_select", "action_id": name, "options": options} for name in ("pick", "size")
        ]
        blocks = [{"type": "actions", "block_id": "b", "elements": menus}]
        ts = client.chat_postMessage(channel=PICTURES, text="x", blocks=blocks)["ts"]

        self.act(
            browser,
            ts=ts,
            block_id="b",
            action_id="pick",
            type="static_select",
            selected_option=options[1],
            state={"b": {"size": {"type": "static_select", "selected_option": options[0]}}},
        )

        told = json.loads(dict(parse_qsl(bot.requests[0].content.decode()))["payload"])
        values = told["state"]["values"]["b"]
        assert told["actions"][0]["selected_option"] == options[1]
        assert [values[name]["selected_option"]["value"] for name in ("pick", "size")] == ["2", "1"]

    def test_a_control_the_bot_does_not_acknowledge_gets_a_warning(
        self, browser: httpx.Client, client: WebClient, bot: RecordingBot
    ) -> None:
        ts = client.chat_postMessage(channel=PICTURES, text="x", blocks=CARD)["ts"]
        bot.answers = [httpx.Response(500)]

        answer = self.act(browser, ts=ts, block_id="b", action_id="go", type="button")

        assert answer == {"ok": True, "warning": "This did not work (dispatch_failed). Try again."}

    @pytest.mark.parametrize(
        "choice",
        [
            {"selected_options": 5},
            {"selected_options": "1"},
            {"selected_options": [7]},
            {"selected_option": "1"},
            {"state": {"b": {"pick": {"selected_options": 5}}}},
        ],
    )
    def test_a_choice_of_another_shape_is_no_choice(
        self, browser: httpx.Client, client: WebClient, bot: RecordingBot, choice: dict[str, Any]
    ) -> None:
        options = [{"text": {"type": "plain_text", "text": "1"}, "value": "1"}]
        menu: dict[str, Any] = {"type": "static_select", "action_id": "pick", "options": options}
        blocks: list[dict[str, Any]] = [{"type": "actions", "block_id": "b", "elements": [menu]}]
        ts = client.chat_postMessage(channel=PICTURES, text="x", blocks=blocks)["ts"]

        assert self.act(browser, ts=ts, block_id="b", action_id="pick", **choice) == {"ok": True}

        told = json.loads(dict(parse_qsl(bot.requests[0].content.decode()))["payload"])
        assert told["actions"][0]["selected_option"] is None

    @pytest.mark.parametrize("state", [None, [], "x", {"b": 1}, {"b": {"go": 2}}, {"c": {"go": {}}}])
    def test_a_state_of_another_shape_is_left_out(
        self, browser: httpx.Client, client: WebClient, bot: RecordingBot, state: Any
    ) -> None:
        ts = client.chat_postMessage(channel=PICTURES, text="x", blocks=CARD)["ts"]

        assert self.act(browser, ts=ts, block_id="b", action_id="go", state=state) == {"ok": True}

        told = json.loads(dict(parse_qsl(bot.requests[0].content.decode()))["payload"])
        assert told["state"] == {"values": {}}

    def test_a_control_that_is_not_there_is_refused(self, browser: httpx.Client, client: WebClient) -> None:
        ts = client.chat_postMessage(channel=PICTURES, text="x", blocks=CARD)["ts"]

        unknown = self.act(browser, ts=ts, block_id="b", action_id="stop", type="button")
        elsewhere = self.act(browser, ts="1.000001", block_id="b", action_id="go", type="button")

        assert (unknown["error"], elsewhere["error"]) == ("action_not_found", "message_not_found")

    def test_an_ephemeral_can_be_used_and_dismissed_only_by_its_person(
        self, slack: LocalSlack, browser: httpx.Client, client: WebClient
    ) -> None:
        mine = client.chat_postEphemeral(channel=PICTURES, user="U0000000001", text="x", blocks=CARD)[
            "message_ts"
        ]
        other = client.chat_postEphemeral(channel=PICTURES, user="U0000000002", text="x", blocks=CARD)[
            "message_ts"
        ]

        assert self.act(browser, ts=mine, ephemeral=True, block_id="b", action_id="go", type="button")["ok"]
        assert not self.act(browser, ts=other, ephemeral=True, block_id="b", action_id="go", type="button")[
            "ok"
        ]
        dismissed = [
            browser.post("/page/dismiss", json={"channel": PICTURES, "ts": ts}).json() for ts in (mine, other)
        ]
        assert [d["ok"] for d in dismissed] == [True, False]
        assert (slack.ephemerals("you"), len(slack.ephemerals("robin"))) == ([], 1)


class TestShowing:
    def test_another_persons_ephemerals_are_not_shown(self, browser: httpx.Client, client: WebClient) -> None:
        for user in ("U0000000001", "U0000000002"):
            client.chat_postEphemeral(channel=PICTURES, user=user, text=f"for {user}")

        assert [(m["text"], m["ephemeral"]) for m in shown(browser)] == [("for U0000000001", True)]

    def test_another_persons_ephemeral_cannot_be_opened(
        self, browser: httpx.Client, client: WebClient
    ) -> None:
        other = client.chat_postEphemeral(channel=PICTURES, user="U0000000002", text="secret")["message_ts"]

        answer = browser.get("/page/thread", params={"channel": PICTURES, "ts": other}).json()

        assert answer == {"ok": False, "error": "thread_not_found"}

    def test_files_come_with_size_and_address(self, browser: httpx.Client, client: WebClient) -> None:
        content = picture()
        client.files_upload_v2(content=content, filename="fox.png", title="a fox", channel=PICTURES)

        ((file,),) = (m["files"] for m in shown(browser))

        assert (file["title"], file["width"], file["height"], file["size"]) == ("a fox", 6, 4, len(content))
        assert browser.get(file["url"]).content == content

    def test_every_slack_file_gets_an_address(self, browser: httpx.Client, client: WebClient) -> None:
        file_id = client.files_upload_v2(content=picture(), filename="fox.png")["file"]["id"]
        image = {"type": "image", "alt_text": "a fox", "slack_file": {"id": file_id}}
        text = {"type": "plain_text", "text": "x"}
        link = client.files_info(file=file_id)["file"]["permalink"]
        blocks = [
            {**image, "slack_file": {"url": link}},
            {"type": "section", "text": text, "accessory": image},
            {"type": "context", "elements": [image, text]},
        ]
        client.chat_postMessage(channel=PICTURES, text="x", blocks=blocks)

        alone, section, context = shown(browser)[-1]["blocks"]

        addresses = [part["page_url"] for part in (alone, section["accessory"], context["elements"][0])]
        assert addresses == [f"/files-pri/T0000000001-{file_id}/fox.png"] * 3

    def test_a_file_that_was_deleted_is_not_found(self, browser: httpx.Client, client: WebClient) -> None:
        file_id = client.files_upload_v2(content=picture(), filename="fox.png", channel=PICTURES)["file"][
            "id"
        ]
        (file,) = shown(browser)[0]["files"]

        client.files_delete(file=file_id)

        assert browser.get(file["url"]).status_code == 404

    def test_a_permalink_leads_to_the_message_on_the_page(
        self, browser: httpx.Client, client: WebClient
    ) -> None:
        ts = client.chat_postMessage(channel=PICTURES, text="x")["ts"]
        link = client.chat_getPermalink(channel=PICTURES, message_ts=ts)["permalink"]

        assert browser.get(link).headers["location"] == f"/#{PICTURES}/{ts}"


class TestLive:
    def test_every_change_of_a_message_arrives(
        self, slack: LocalSlack, browser: httpx.Client, client: WebClient
    ) -> None:
        with live(slack, browser) as socket:
            ts = client.chat_postMessage(channel=PICTURES, text="one")["ts"]
            client.chat_update(channel=PICTURES, ts=ts, text="two")
            client.chat_delete(channel=PICTURES, ts=ts)
            events = [event(socket) for _ in range(3)]

        assert [e["type"] for e in events] == ["message", "changed", "deleted"]
        assert [e["ts"] for e in events] == [ts] * 3
        assert (events[0]["message"]["text"], events[1]["message"]["text"]) == ("one", "two")
        assert "message" not in events[2]

    def test_a_reply_also_changes_its_parent(
        self, slack: LocalSlack, browser: httpx.Client, client: WebClient
    ) -> None:
        parent = client.chat_postMessage(channel=PICTURES, text="card")["ts"]
        with live(slack, browser) as socket:
            client.chat_postMessage(channel=PICTURES, text="done", thread_ts=parent)
            reply, changed = event(socket), event(socket)

        assert (reply["type"], reply["thread_ts"]) == ("message", parent)
        assert (changed["type"], changed["message"]["reply_count"]) == ("changed", 1)

    def test_only_my_ephemerals_and_deliveries_arrive(
        self, slack: LocalSlack, browser: httpx.Client, client: WebClient
    ) -> None:
        with live(slack, browser) as socket:
            client.chat_postEphemeral(channel=PICTURES, user="U0000000002", text="not mine")
            slack.command("/imagine a fox", user="robin")
            client.chat_postEphemeral(channel=PICTURES, user="U0000000001", text="mine")
            slack.command("/imagine a fox")
            events = [event(socket), event(socket)]

        assert [e["type"] for e in events] == ["ephemeral", "delivery"]
        assert events[0]["message"]["text"] == "mine"
        delivery = events[1]["delivery"]
        assert (delivery["kind"], delivery["ok"], delivery["error"]) == ("slash_commands", True, None)
        assert delivery["ms"] >= 0

    def test_a_failed_delivery_arrives_with_its_reason(
        self, slack: LocalSlack, browser: httpx.Client, bot: RecordingBot
    ) -> None:
        bot.answers = [httpx.Response(500)]
        with live(slack, browser) as socket:
            slack.command("/imagine a fox")

            assert event(socket)["delivery"]["error"] == "dispatch_failed"

    def test_a_file_that_became_ready_arrives(
        self, slack: LocalSlack, browser: httpx.Client, client: WebClient
    ) -> None:
        with live(slack, browser) as socket:
            client.files_upload_v2(content=picture(), filename="fox.png", channel=PICTURES)

            assert [event(socket)["type"], event(socket)["type"]] == ["message", "files"]

    def test_without_a_session_there_is_nothing_to_follow(self, slack: LocalSlack) -> None:
        address = slack.base_url.replace("http:", "ws:") + "/page/live"

        with pytest.raises(InvalidStatus), connect(address):
            pass


class TestGuard:
    @pytest.mark.parametrize(
        "host", ["evil.example", "127.0.0.1.evil.example:3000", "", "192.168.1.4:3000", "[", "[::1", "a]b"]
    )
    @pytest.mark.parametrize("path", ["/", "/page/state", "/api/auth.test", "/log"])
    def test_a_foreign_host_is_refused(self, slack: LocalSlack, host: str, path: str) -> None:
        answer = loopback.get(f"{slack.base_url}{path}", headers={"Host": host})

        assert (answer.status_code, answer.text) == (403, "foreign Host or Origin")

    @pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
    def test_a_foreign_origin_is_refused(self, slack: LocalSlack, browser: httpx.Client, origin: str) -> None:
        message = {"channel": PICTURES, "text": "x"}

        answer = browser.post("/page/send", json=message, headers={"Origin": origin})

        assert answer.status_code == 403
        assert slack.messages() == []

    @pytest.mark.parametrize("site", ["cross-site", "same-site"])
    def test_an_image_elsewhere_cannot_call_the_api(self, slack: LocalSlack, site: str) -> None:
        args = {"token": slack.bot_token, "channel": PICTURES, "text": "x"}

        for mode in ("no-cors", "navigate"):
            headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode}
            answer = loopback.get(f"{slack.api_url}chat.postMessage", params=args, headers=headers)
            assert answer.status_code == 403

        assert slack.messages() == []

    def test_a_link_elsewhere_may_lead_to_the_page(self, slack: LocalSlack) -> None:
        headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}

        assert loopback.get(f"{slack.base_url}/", headers=headers).status_code == 200

    def test_a_foreign_page_cannot_follow_along(self, slack: LocalSlack, browser: httpx.Client) -> None:
        address = slack.base_url.replace("http:", "ws:") + "/page/live"
        cookie = {"Cookie": f"{COOKIE}={browser.cookies[COOKIE]}"}

        with (
            pytest.raises(InvalidStatus, match="403"),
            connect(address, additional_headers=cookie, origin=Origin("https://evil.example")),
        ):
            pass

    def test_the_own_page_may_speak_by_either_name(self, slack: LocalSlack) -> None:
        port = slack.base_url.rpartition(":")[2]
        for host in (f"127.0.0.1:{port}", f"localhost:{port}"):
            headers = {"Host": host, "Origin": f"http://{host}"}

            assert loopback.get(f"{slack.base_url}/page/state", headers=headers).status_code == 200
