"""Messages as the Web API posts, changes, deletes and lists them."""

import json

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from infra.local.slack.testing import LocalSlack
from tests.slack import loopback
from tests.slack.bots import EVERY_SCOPE, manifest_with

PICTURES = "C0000000001"
BUTTONS = [
    {
        "type": "actions",
        "elements": [{"type": "button", "action_id": "go", "text": {"type": "plain_text", "text": "Go"}}],
    }
]


def test_a_post_is_seen_and_answered_with_its_message(slack: LocalSlack, client: WebClient) -> None:
    answer = client.chat_postMessage(channel=PICTURES, text="a fox", blocks=BUTTONS)

    (shown,) = slack.messages()
    assert (answer["channel"], answer["ts"], answer["message"]["bot_id"]) == (
        PICTURES,
        shown.ts,
        "B0000000001",
    )
    assert shown.words == "Go"
    assert answer["message"]["blocks"][0]["block_id"]


def test_half_an_emoji_in_a_post_does_not_spoil_what_others_read(
    slack: LocalSlack, client: WebClient
) -> None:
    headers = {"Authorization": f"Bearer {slack.bot_token}", "Content-Type": "application/json"}
    body = rf'{{"channel": "{PICTURES}", "text": "half \ud83d"}}'

    assert loopback.post(f"{slack.api_url}chat.postMessage", content=body, headers=headers).json()["ok"]

    history = client.conversations_history(channel=PICTURES)
    assert [message["text"] for message in history["messages"]] == ["half ?"]


def test_a_channel_can_be_named(slack: LocalSlack, client: WebClient) -> None:
    client.chat_postMessage(channel="#general", text="hello")

    assert [m.text for m in slack.messages("general")] == ["hello"]


def test_form_json_and_query_bodies_mean_the_same(slack: LocalSlack) -> None:
    address, args = (
        f"{slack.api_url}chat.postMessage",
        {"channel": PICTURES, "text": "x", "token": slack.bot_token},
    )
    bearer = {"Authorization": f"Bearer {slack.bot_token}"}
    with loopback.browser() as http:
        answers = [
            http.post(address, data={**args, "blocks": json.dumps(BUTTONS)}),
            http.post(address, json={"channel": PICTURES, "text": "x", "blocks": BUTTONS}, headers=bearer),
            http.get(address, params={**args, "blocks": json.dumps(BUTTONS)}),
        ]

    assert [answer.json()["ok"] for answer in answers] == [True, True, True]
    assert [m.words for m in slack.messages()] == ["Go", "Go", "Go"]


@pytest.mark.parametrize(
    ("content_type", "body", "error"),
    [
        ("application/json", b"{", "invalid_json"),
        ("application/json", b"[1]", "json_not_object"),
        ("application/x-www-form-urlencoded", b"\xff=1", "invalid_form_data"),
        ("multipart/form-data; boundary=x", b"--x--", "invalid_post_type"),
        ("", b"x", "missing_post_type"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(
    slack: LocalSlack, content_type: str, body: bytes, error: str
) -> None:
    headers = {"Content-Type": content_type, "Authorization": f"Bearer {slack.bot_token}"}

    answer = loopback.post(f"{slack.api_url}auth.test", content=body, headers=headers).json()

    assert answer["error"] == error


def test_text_over_40_000_is_cut(slack: LocalSlack, client: WebClient) -> None:
    client.chat_postMessage(channel=PICTURES, text="x" * 40_001)

    assert len(slack.messages()[0].text) == 40_000


def test_public_channels_open_up_with_chat_write_public(slack: LocalSlack, client: WebClient) -> None:
    slack.reinstall(manifest_with("chat:write", "chat:write.public"))

    client.chat_postMessage(channel="C0000000003", text="from outside")

    assert [m.text for m in slack.messages("random")] == ["from outside"]


def test_joining_lets_the_bot_post(slack: LocalSlack, client: WebClient) -> None:
    assert client.conversations_join(channel="C0000000003")["channel"]["is_member"] is True

    client.chat_postMessage(channel="C0000000003", text="inside")

    assert client.conversations_info(channel="C0000000003")["channel"]["num_members"] == 3
    assert [m.text for m in slack.messages("random")] == ["inside"]


def test_a_direct_conversation_is_the_same_by_either_way(client: WebClient) -> None:
    opened = client.conversations_open(users="U0000000001")["channel"]["id"]

    posted = client.chat_postMessage(channel="U0000000001", text="psst")

    assert posted["channel"] == opened
    assert client.conversations_info(channel=opened)["channel"]["user"] == "U0000000001"
    assert client.conversations_open(channel=opened)["channel"]["id"] == opened


class TestUpdate:
    def test_text_alone_takes_the_blocks_away_and_marks_the_edit(
        self, slack: LocalSlack, client: WebClient
    ) -> None:
        ts = client.chat_postMessage(channel=PICTURES, text="old", blocks=BUTTONS)["ts"]

        client.chat_update(channel=PICTURES, ts=ts, text="new")

        (shown,) = slack.messages()
        assert (shown.text, shown.blocks, shown.edited) == ("new", [], True)

    def test_blocks_replace_blocks_without_the_edited_mark(
        self, slack: LocalSlack, client: WebClient
    ) -> None:
        ts = client.chat_postMessage(channel=PICTURES, text="old")["ts"]

        client.chat_update(channel=PICTURES, ts=ts, text="new", blocks=BUTTONS)

        (shown,) = slack.messages()
        assert (shown.words, shown.edited) == ("Go", False)

    def test_metadata_alone_keeps_text_and_blocks(self, client: WebClient) -> None:
        ts = client.chat_postMessage(channel=PICTURES, text="old", blocks=BUTTONS)["ts"]
        job = {"event_type": "job", "event_payload": {"id": "j1"}}

        args = {"channel": PICTURES, "ts": ts, "metadata": job}
        message = client.api_call("chat.update", json=args)["message"]

        assert (message["text"], len(message["blocks"]), message["metadata"]) == ("old", 1, job)

    def test_metadata_stays_unless_named(self, client: WebClient) -> None:
        job = {"event_type": "job", "event_payload": {"id": "j1"}}
        ts = client.chat_postMessage(channel=PICTURES, text="old", metadata=job)["ts"]

        client.chat_update(channel=PICTURES, ts=ts, text="new")

        (message,) = client.conversations_history(channel=PICTURES, include_all_metadata=True)["messages"]
        assert message["metadata"] == job


class TestThreads:
    def test_replies_stay_out_of_the_channel_and_count_on_the_parent(
        self, slack: LocalSlack, client: WebClient
    ) -> None:
        parent = client.chat_postMessage(channel=PICTURES, text="card")["ts"]
        reply = client.chat_postMessage(channel=PICTURES, text="done", thread_ts=parent)["ts"]

        assert [m.text for m in slack.messages()] == ["card"]
        assert [m.text for m in slack.thread("pictures", parent)] == ["done"]
        listed = client.conversations_replies(channel=PICTURES, ts=parent)["messages"]
        assert [m["ts"] for m in listed] == [parent, reply]
        assert (listed[0]["reply_count"], listed[0]["latest_reply"]) == (1, reply)
        assert listed[1]["thread_ts"] == parent

    def test_a_deleted_parent_leaves_a_tombstone_that_can_be_replied_to(
        self, slack: LocalSlack, client: WebClient
    ) -> None:
        parent = client.chat_postMessage(channel=PICTURES, text="card", blocks=BUTTONS)["ts"]
        client.chat_postMessage(channel=PICTURES, text="one", thread_ts=parent)
        client.chat_delete(channel=PICTURES, ts=parent)
        client.chat_postMessage(channel=PICTURES, text="two", thread_ts=parent)

        assert [m.text for m in slack.messages()] == ["This message was deleted."]
        assert [m.text for m in slack.thread("pictures", parent)] == ["one", "two"]

    def test_a_deleted_message_without_replies_is_gone(self, slack: LocalSlack, client: WebClient) -> None:
        ts = client.chat_postMessage(channel=PICTURES, text="card")["ts"]
        client.chat_delete(channel=PICTURES, ts=ts)

        assert slack.messages() == []
        with pytest.raises(SlackApiError, match="thread_not_found"):
            client.chat_postMessage(channel=PICTURES, text="late", thread_ts=ts)

    def test_a_permalink_names_channel_message_and_thread(self, slack: LocalSlack, client: WebClient) -> None:
        parent = client.chat_postMessage(channel=PICTURES, text="card")["ts"]
        reply = client.chat_postMessage(channel=PICTURES, text="done", thread_ts=parent)["ts"]

        link = client.chat_getPermalink(channel=PICTURES, message_ts=reply)["permalink"]

        assert link.startswith(
            f"{slack.base_url}/archives/{PICTURES}/p{reply.replace('.', '')}?thread_ts={parent}"
        )


class TestEphemerals:
    def test_only_one_person_sees_it_and_no_history_has_it(
        self, slack: LocalSlack, client: WebClient
    ) -> None:
        client.chat_postEphemeral(channel=PICTURES, user="U0000000001", text="psst")

        assert [m.text for m in slack.ephemerals("you")] == ["psst"]
        assert slack.ephemerals("robin") == []
        assert slack.messages() == []
        assert client.conversations_history(channel=PICTURES)["messages"] == []


class TestHistory:
    def test_newest_first_in_pages(self, client: WebClient) -> None:
        for number in range(5):
            client.chat_postMessage(channel=PICTURES, text=str(number))

        first = client.conversations_history(channel=PICTURES, limit=2)
        cursor = first["response_metadata"]["next_cursor"]
        second = client.conversations_history(channel=PICTURES, limit=3, cursor=cursor)

        assert [m["text"] for m in [*first["messages"], *second["messages"]]] == ["4", "3", "2", "1", "0"]
        assert (first["has_more"], second["has_more"]) == (True, False)

    def test_a_window_leaves_its_edges_out_unless_inclusive(self, client: WebClient) -> None:
        stamps = [client.chat_postMessage(channel=PICTURES, text=str(n))["ts"] for n in range(3)]

        window = {"oldest": stamps[0], "latest": stamps[2]}
        between = client.conversations_history(channel=PICTURES, **window)["messages"]
        with_edges = client.conversations_history(channel=PICTURES, inclusive=True, **window)["messages"]

        assert [m["text"] for m in between] == ["1"]
        assert [m["text"] for m in with_edges] == ["2", "1", "0"]

    def test_metadata_comes_only_when_asked_for(self, client: WebClient) -> None:
        job = {"event_type": "job", "event_payload": {"id": "j1"}}
        client.chat_postMessage(channel=PICTURES, text="x", metadata=job)

        (bare,) = client.conversations_history(channel=PICTURES)["messages"]

        assert "metadata" not in bare


def test_api_test_needs_no_token_and_repeats_what_it_was_told(slack: LocalSlack) -> None:
    answer = WebClient(base_url=slack.api_url).api_test(foo="bar")

    assert answer["args"] == {"foo": "bar"}


def test_auth_test_names_bot_and_team(client: WebClient) -> None:
    answer = client.auth_test()

    assert (answer["user_id"], answer["bot_id"], answer["team_id"]) == (
        "U0000000100",
        "B0000000001",
        "T0000000001",
    )


def test_users_info_describes_a_person(client: WebClient) -> None:
    assert client.users_info(user="U0000000002")["user"]["profile"]["display_name"] == "Robin"


def test_every_call_is_in_the_log_and_no_token_is(slack: LocalSlack, client: WebClient) -> None:
    client.chat_postMessage(channel=PICTURES, text="x")

    log = loopback.get(f"{slack.base_url}/log")

    assert [e["name"] for e in log.json()["exchanges"]] == ["chat.postMessage"]
    assert slack.bot_token not in log.text


def test_the_granted_scopes_are_on_every_answer(slack: LocalSlack, client: WebClient) -> None:
    assert client.auth_test().headers["x-oauth-scopes"] == ",".join(EVERY_SCOPE)
