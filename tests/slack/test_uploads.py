"""Uploads in three steps, readiness, sharing, and who may read the bytes."""

from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from infra.local.slack.clock import ManualClock
from infra.local.slack.testing import LocalSlack
from tests.slack import loopback
from tests.slack.bots import EVERY_SCOPE, manifest_with
from tests.slack.pictures import picture

PICTURES = "C0000000001"


def send(client: WebClient, content: bytes, *, name: str = "fox.png", alt_txt: str | None = None) -> str:
    """Steps one and two; the file's id."""
    ticket = client.files_getUploadURLExternal(filename=name, length=len(content), alt_txt=alt_txt)
    loopback.post(ticket["upload_url"], content=content).raise_for_status()
    return str(ticket["file_id"])


def complete(client: WebClient, *file_ids: str, **where: Any) -> None:
    client.files_completeUploadExternal(
        files=[{"id": id_, "title": "a red fox"} for id_ in file_ids], **where
    )


def test_a_completed_upload_is_one_message_with_all_files(slack: LocalSlack, client: WebClient) -> None:
    ids = [send(client, picture()), send(client, picture("JPEG"), name="b.jpg"), send(client, picture("GIF"))]

    complete(client, *ids, channel_id=PICTURES, initial_comment="three foxes")

    (message,) = slack.messages()
    assert message.text == "three foxes"
    assert [(f["id"], f["mimetype"], f["width"], f["height"]) for f in message.files] == [
        (ids[0], "image/png", 6, 4),
        (ids[1], "image/jpeg", 6, 4),
        (ids[2], "image/gif", 6, 4),
    ]


def test_the_bytes_are_kept_as_sent(slack: LocalSlack, client: WebClient) -> None:
    content = picture()

    file_id = client.files_upload_v2(content=content, filename="fox.png", channel=PICTURES)["file"]["id"]

    assert slack.file_bytes(file_id) == content


def test_a_share_lands_under_the_parent(slack: LocalSlack, client: WebClient) -> None:
    parent = client.chat_postMessage(channel=PICTURES, text="card")["ts"]
    file_id = send(client, picture())

    complete(client, file_id, channel_id=PICTURES, thread_ts=parent)

    (reply,) = slack.thread("pictures", parent)
    share = client.files_info(file=file_id)["file"]["shares"]["public"][PICTURES][0]
    assert (share["ts"], share["thread_ts"]) == (reply.ts, parent)


def test_the_wrong_number_of_bytes_is_refused(slack: LocalSlack, client: WebClient) -> None:
    ticket = client.files_getUploadURLExternal(filename="a.png", length=10)

    answer = loopback.post(ticket["upload_url"], content=b"nine byte")

    assert (answer.status_code, answer.text) == (400, "expected 10 bytes, got 9")
    with pytest.raises(SlackApiError, match="file_not_found"):
        complete(client, ticket["file_id"], channel_id=PICTURES)
    assert slack.messages() == []


def test_an_unknown_upload_address_is_refused(slack: LocalSlack) -> None:
    answer = loopback.post(f"{slack.base_url}/upload/v1/guess", content=b"x")

    assert answer.status_code == 400


def test_without_a_channel_the_file_stays_with_the_bot(slack: LocalSlack, client: WebClient) -> None:
    file_id = send(client, picture())

    complete(client, file_id)

    assert slack.messages() == []
    info = client.files_info(file=file_id)["file"]
    assert (info["shares"], info["mimetype"]) == ({}, "image/png")


def test_several_channels_get_one_message_each(slack: LocalSlack, client: WebClient) -> None:
    file_id = send(client, picture())

    complete(client, file_id, channels=[PICTURES, "C0000000002"])

    assert [len(slack.messages(name)) for name in ("pictures", "general")] == [1, 1]


def test_type_and_shares_are_empty_until_the_file_is_ready() -> None:
    clock = ManualClock()
    with LocalSlack(manifest=manifest_with(*EVERY_SCOPE), clock=clock) as slack:
        client = WebClient(slack.bot_token, base_url=slack.api_url)
        slack.faults.readiness_seconds = 2
        file_id = send(client, picture())
        complete(client, file_id, channel_id=PICTURES)

        early = client.files_info(file=file_id)["file"]
        seen_early = slack.messages()
        slack.advance(1.9)
        still = client.files_info(file=file_id)["file"]["mimetype"]
        slack.advance(0.2)
        late = client.files_info(file=file_id)["file"]

    assert (early["mimetype"], early["shares"], seen_early, still) == ("", {}, [], "")
    assert (late["mimetype"], list(late["shares"]["public"])) == ("image/png", [PICTURES])


def test_a_message_posted_meanwhile_stands_above_the_share() -> None:
    with LocalSlack(manifest=manifest_with(*EVERY_SCOPE), clock=ManualClock()) as slack:
        client = WebClient(slack.bot_token, base_url=slack.api_url)
        slack.faults.readiness_seconds = 2
        complete(client, send(client, picture()), channel_id=PICTURES)
        client.chat_postMessage(channel=PICTURES, text="here it is")
        slack.advance(3)

        assert [bool(m.files) for m in slack.messages()] == [False, True]


def test_alt_txt_makes_the_share_vanish_without_a_word(slack: LocalSlack, client: WebClient) -> None:
    file_id = send(client, picture(), alt_txt="a red fox")

    complete(client, file_id, channel_id=PICTURES)

    assert slack.messages() == []
    assert client.files_info(file=file_id)["file"]["shares"] == {}


def test_the_alt_txt_trap_can_be_disarmed(slack: LocalSlack, client: WebClient) -> None:
    slack.faults.alt_txt_drops_share = False

    complete(client, send(client, picture(), alt_txt="a red fox"), channel_id=PICTURES)

    assert len(slack.messages()) == 1


def test_a_dropped_share_can_be_completed_again(slack: LocalSlack, client: WebClient) -> None:
    slack.faults.dropped_shares = 1
    file_id = send(client, picture())
    complete(client, file_id, channel_id=PICTURES)
    nothing = slack.messages()

    complete(client, file_id, channel_id=PICTURES)

    assert (nothing, len(slack.messages())) == ([], 1)


def test_completing_a_shared_file_again_shows_it_twice(slack: LocalSlack, client: WebClient) -> None:
    file_id = send(client, picture())
    complete(client, file_id, channel_id=PICTURES)

    complete(client, file_id, channel_id=PICTURES)

    assert [m.files[0]["id"] for m in slack.messages()] == [file_id, file_id]


class TestReading:
    def test_the_bot_reads_with_its_token(self, client: WebClient, slack: LocalSlack) -> None:
        file_id, content = send(client, picture()), picture()
        complete(client, file_id)
        address = client.files_info(file=file_id)["file"]["url_private_download"]

        answer = loopback.get(address, headers={"Authorization": f"Bearer {slack.bot_token}"})

        assert (answer.content, answer.headers["content-type"]) == (content, "image/png")

    def test_a_stranger_gets_a_sign_in_page_with_status_200(self, client: WebClient) -> None:
        file_id = send(client, picture())
        complete(client, file_id, channel_id=PICTURES)
        address = client.files_info(file=file_id)["file"]["url_private"]

        answer = loopback.get(address)

        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")

    def test_a_person_reads_what_is_shared_where_they_are(self, slack: LocalSlack, client: WebClient) -> None:
        file_id, content = send(client, picture()), picture()
        complete(client, file_id)
        with loopback.browser(slack.base_url) as browser:
            browser.get("/page/state")
            address = client.files_info(file=file_id)["file"]["url_private"]
            before = browser.get(address).headers["content-type"]
            complete(client, file_id, channel_id=PICTURES)

            assert (before, browser.get(address).content) == ("text/html; charset=utf-8", content)

    def test_a_private_file_in_an_image_block_can_be_seen_there(
        self, slack: LocalSlack, client: WebClient
    ) -> None:
        file_id, content = send(client, picture()), picture()
        complete(client, file_id)
        image = {"type": "image", "alt_text": "a fox", "slack_file": {"id": file_id}}
        client.chat_postMessage(channel=PICTURES, text="x", blocks=[image])

        with loopback.browser(slack.base_url) as browser:
            browser.get("/page/state")
            (message,) = browser.get("/page/messages", params={"channel": PICTURES}).json()["messages"]

            assert browser.get(message["blocks"][0]["page_url"]).content == content


class TestDeleting:
    def test_a_message_of_nothing_else_goes_with_its_file(self, slack: LocalSlack, client: WebClient) -> None:
        file_id = send(client, picture())
        complete(client, file_id, channel_id=PICTURES)

        client.files_delete(file=file_id)

        assert slack.messages() == []

    def test_other_files_and_words_stay(self, slack: LocalSlack, client: WebClient) -> None:
        ids = [send(client, picture()), send(client, picture())]
        complete(client, *ids, channel_id=PICTURES, initial_comment="two")

        client.files_delete(file=ids[0])

        (message,) = slack.messages()
        assert (message.text, [f["id"] for f in message.files]) == ("two", [ids[1]])

    def test_a_file_deleted_while_it_is_processed_is_never_shared(self) -> None:
        with LocalSlack(manifest=manifest_with(*EVERY_SCOPE), clock=ManualClock()) as slack:
            client = WebClient(slack.bot_token, base_url=slack.api_url)
            slack.faults.readiness_seconds = 2
            file_id = send(client, picture())
            complete(client, file_id, channel_id=PICTURES)
            client.files_delete(file=file_id)
            slack.advance(3)

            assert slack.messages() == []
