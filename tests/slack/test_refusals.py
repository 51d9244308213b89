"""The local Slack refuses what Slack documents it refuses, with Slack's words, and accepts what fits
exactly.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from slack_sdk.errors import SlackObjectFormationError
from slack_sdk.models.blocks import Block

from infra.local.slack.blockcheck import check_blocks
from infra.local.slack.testing import LocalSlack
from infra.local.slack.workspace import Channel
from tests.slack import corpus, loopback
from tests.slack.bots import EVERY_SCOPE, manifest_with
from tests.slack.corpus import (
    BLOCK_REFUSALS,
    REFUSALS,
    Refusal,
    Stage,
    actions,
    button,
    menu,
    mrkdwn,
    option,
    plain,
)
from tests.slack.pictures import picture


@dataclass(frozen=True)
class Door:
    """The Web API as a bot calls it."""

    slack: LocalSlack
    http: httpx.Client

    def post(self, method: str, args: dict[str, Any], *, token: str | None = None) -> dict[str, Any]:
        token = self.slack.bot_token if token is None else token
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        body: dict[str, Any] = self.http.post(
            f"{self.slack.api_url}{method}", json=args, headers=headers
        ).json()
        return body

    def good(self, method: str, **args: Any) -> dict[str, Any]:
        body = self.post(method, args)
        assert body["ok"], body
        return body

    def upload(self, name: str, content: bytes, **where: Any) -> str:
        ticket = self.good("files.getUploadURLExternal", filename=name, length=len(content))
        self.http.post(ticket["upload_url"], content=content)
        self.good("files.completeUploadExternal", files=[{"id": ticket["file_id"]}], **where)
        return str(ticket["file_id"])


@pytest.fixture(scope="module")
def door() -> Iterator[Door]:
    with LocalSlack(manifest=manifest_with(*EVERY_SCOPE)) as slack, loopback.browser() as http:
        yield Door(slack, http=http)


@pytest.fixture(scope="module")
def stage(door: Door) -> Stage:
    workspace, channel = door.slack.platform.workspace, "C0000000001"
    archived = workspace.add_channel(Channel(id="C0000000009", name="old", members=set(workspace.users)))
    archived_card = door.good("chat.postMessage", channel=archived.id, text="old card")["ts"]
    archived.is_archived = True
    person = workspace.people[0].id
    card = door.good("chat.postMessage", channel=channel, text="card")["ts"]
    parent = door.good("chat.postMessage", channel=channel, text="parent")["ts"]
    reply = door.good("chat.postMessage", channel=channel, text="reply", thread_ts=parent)["ts"]
    door.good("chat.delete", channel=channel, ts=parent)
    deleted_file = door.upload("gone.png", picture())
    door.good("files.delete", file=deleted_file)
    ready, note = door.upload("a.png", picture()), door.upload("note.txt", b"hello")
    persons_file = door.upload("theirs.png", picture())
    workspace.files[persons_file].user = person
    door.slack.faults.readiness_seconds = 3600
    unready = door.upload("b.png", picture())
    door.slack.faults.readiness_seconds = 0
    return Stage(
        channel=channel,
        bare_channel="C0000000003",
        private_channel="C0000000004",
        archived_channel=archived.id,
        archived_card=archived_card,
        card=card,
        reply=reply,
        persons_message=door.slack.say("hello").ts,
        ephemeral=door.good("chat.postEphemeral", channel=channel, user=person, text="psst")["message_ts"],
        deleted_parent=parent,
        person=person,
        picture=ready,
        unready_picture=unready,
        note=note,
        deleted_file=deleted_file,
        persons_file=persons_file,
        direct_channel=door.good("conversations.open", users=person)["channel"]["id"],
        unsent_file=door.good("files.getUploadURLExternal", filename="c.png", length=9)["file_id"],
    )


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.name)
def test_refuses_as_slack_does(door: Door, stage: Stage, refusal: Refusal) -> None:
    door.slack.reinstall(manifest_with(*(refusal.scopes or EVERY_SCOPE)))
    before = [len(door.slack.messages()), len(door.slack.ephemerals())]

    body = door.post(refusal.method, refusal.build(stage), token=refusal.token)

    assert (body["ok"], body["error"]) == (False, refusal.error)
    sentences = body.get("response_metadata", {}).get("messages", [])
    assert refusal.sentence is None or any(refusal.sentence in sentence for sentence in sentences), sentences
    assert [len(door.slack.messages()), len(door.slack.ephemerals())] == before


def test_the_corpus_is_large_and_every_entry_names_its_source() -> None:
    assert len(REFUSALS) >= 60
    assert len({refusal.name for refusal in REFUSALS}) == len(REFUSALS)
    assert all(refusal.source for refusal in REFUSALS)


def test_a_missing_scope_names_what_is_needed_and_what_there_is(door: Door, stage: Stage) -> None:
    door.slack.reinstall(manifest_with("commands", "files:read"))

    body = door.post("chat.postMessage", {"channel": stage.channel, "text": "x"})

    assert (body["needed"], body["provided"]) == ("chat:write", "commands,files:read")


FITS_EXACTLY: dict[str, list[dict[str, Any]]] = {
    "50 blocks": [{"type": "divider"}] * 50,
    "section text of 3,000": [{"type": "section", "text": mrkdwn("x" * 3000)}],
    "10 fields of 1,000": [{"type": "section", "fields": [mrkdwn("x" * 1000)] * 10}],
    "header of 150": [{"type": "header", "text": plain("x" * 150, emoji=False)}],
    "25 actions": [actions(*[button(action_id=f"b{n}") for n in range(25)])],
    "button text of 75 and value of 2,000": [actions(button(text=plain("x" * 75), value="v" * 2000))],
    "100 options": [actions(menu(options=[option(str(n)) for n in range(100)]))],
    "menu with its initial option": [actions(menu(initial_option=option()))],
    "menu of groups": [
        actions(
            {
                "type": "static_select",
                "action_id": "g",
                "option_groups": [{"label": plain("g"), "options": [option()]}],
            }
        )
    ],
    "overflow of 5": [
        actions({"type": "overflow", "action_id": "m", "options": [option(str(n)) for n in range(5)]})
    ],
    "the same action_id in two blocks": [actions(button()), actions(button())],
    "confirm dialog": [actions(button(style="danger", confirm=corpus.confirm(style="danger")))],
    "context with image": [
        {
            "type": "context",
            "elements": [
                mrkdwn("x"),
                {"type": "image", "image_url": "https://example.com/a.png", "alt_text": "a"},
            ],
        }
    ],
    "rich text": [
        {
            "type": "rich_text",
            "elements": [
                {
                    "type": "rich_text_section",
                    "elements": [
                        {"type": "text", "text": "<b> & more", "style": {"bold": True}},
                        {"type": "user", "user_id": "U0000000001"},
                        {"type": "link", "url": "https://example.com", "text": "x"},
                    ],
                },
                {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": "/imagine"}]},
                {
                    "type": "rich_text_list",
                    "style": "bullet",
                    "elements": [{"type": "rich_text_section", "elements": []}],
                },
            ],
        }
    ],
    "input": [
        {
            "type": "input",
            "label": plain("Prompt"),
            "element": {"type": "plain_text_input", "action_id": "p", "multiline": True},
        }
    ],
    "markdown": [{"type": "markdown", "text": "**x**"}],
    "checkboxes and radio buttons": [
        actions(
            {"type": "checkboxes", "action_id": "c", "options": [{"text": mrkdwn("*x*"), "value": "1"}]},
            {"type": "radio_buttons", "action_id": "r", "options": [option()], "initial_option": option()},
        )
    ],
}


@pytest.mark.parametrize("name", FITS_EXACTLY)
def test_accepts_what_fits_exactly(door: Door, stage: Stage, name: str) -> None:
    door.slack.reinstall(manifest_with(*EVERY_SCOPE))

    body = door.good("chat.postMessage", channel=stage.channel, text="x", blocks=FITS_EXACTLY[name])

    assert len(body["message"]["blocks"]) == len(FITS_EXACTLY[name])


def test_accepts_a_ready_picture_in_an_image_block(door: Door, stage: Stage) -> None:
    door.slack.reinstall(manifest_with(*EVERY_SCOPE))
    image = {"type": "image", "alt_text": "a fox", "slack_file": {"id": stage.picture}}

    body = door.good("chat.postMessage", channel=stage.channel, text="x", blocks=[image])

    assert body["message"]["blocks"][0]["slack_file"] == {"id": stage.picture}


def refused_by_the_sdk(blocks: Any) -> bool:
    """Whether slack_sdk's own models refuse to build these blocks. A missing required field is a
    ``TypeError``.
    """
    try:
        parsed = [Block.parse(block) for block in blocks]
        _ = [block.to_dict() for block in parsed if block is not None]
    except (SlackObjectFormationError, TypeError):
        return True
    return False


def test_what_the_sdk_refuses_is_refused_here_too(stage: Stage) -> None:
    contents = [refusal.build(stage)["blocks"] for refusal in BLOCK_REFUSALS]
    refused = [content for content in contents if isinstance(content, list) and refused_by_the_sdk(content)]

    assert len(refused) >= 15
    assert all(check_blocks(content, file_is_usable=lambda _shown: True) for content in refused)


@pytest.mark.parametrize("name", FITS_EXACTLY)
def test_what_is_accepted_here_passes_the_sdk(name: str) -> None:
    assert not refused_by_the_sdk(FITS_EXACTLY[name])
