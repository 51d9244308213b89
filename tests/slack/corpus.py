"""Requests that Slack documents it refuses: method, arguments, its error string, where that is written.

``build`` gets the ``Stage``: a workspace with one of everything. ``sentence`` is what must stand in
``response_metadata.messages``; where no source quotes Slack's sentence it is left out. Sources: "docs: X" is
the
error table of method X at docs.slack.dev, "ref: X" the Block Kit reference of X, "owner/repo#n" an issue
thread that
quotes Slack's answer, "sdk" the limits that slack_sdk 3.47 enforces.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Ids of what a refusal can be about. ``bare_channel`` is public and without the bot."""

    channel: str
    bare_channel: str
    private_channel: str
    archived_channel: str
    archived_card: str
    card: str
    reply: str
    persons_message: str
    ephemeral: str
    deleted_parent: str
    person: str
    picture: str
    unready_picture: str
    note: str
    deleted_file: str
    unsent_file: str
    persons_file: str
    direct_channel: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    name: str
    method: str
    build: Callable[[Stage], dict[str, Any]]
    error: str
    source: str
    sentence: str | None = None
    scopes: tuple[str, ...] | None = None
    token: str | None = None


def plain(text: str, **rest: Any) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, **rest}


def mrkdwn(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text}


def section(**rest: Any) -> dict[str, Any]:
    return {"type": "section", "text": mrkdwn("x"), **rest}


def button(**rest: Any) -> dict[str, Any]:
    return {"type": "button", "text": plain("Go"), "action_id": "go", **rest}


def option(value: str = "1", text: str = "One") -> dict[str, Any]:
    return {"text": plain(text), "value": value}


def menu(**rest: Any) -> dict[str, Any]:
    return {"type": "static_select", "action_id": "pick", "options": [option()], **rest}


def actions(*elements: dict[str, Any]) -> dict[str, Any]:
    return {"type": "actions", "elements": list(elements)}


def confirm(**rest: Any) -> dict[str, Any]:
    return {
        "title": plain("Sure?"),
        "text": plain("Really"),
        "confirm": plain("Yes"),
        "deny": plain("No"),
        **rest,
    }


def without(part: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in part.items() if key != name}


def blocks(
    name: str, source: str, sentence: str | None, *content: Any, error: str = "invalid_blocks"
) -> Refusal:
    """A message whose blocks are refused."""
    return Refusal(
        name=name,
        method="chat.postMessage",
        build=lambda stage: {"channel": stage.channel, "text": "x", "blocks": list(content)},
        error=error,
        source=source,
        sentence=sentence,
    )


def shown_file(
    name: str, source: str, sentence: str, slack_file: Callable[[Stage], dict[str, str]]
) -> Refusal:
    return Refusal(
        name=name,
        method="chat.postMessage",
        build=lambda stage: {
            "channel": stage.channel,
            "text": "x",
            "blocks": [{"type": "image", "alt_text": "x", "slack_file": slack_file(stage)}],
        },
        error="invalid_blocks",
        source=source,
        sentence=sentence,
    )


def call(
    name: str, method: str, error: str, source: str, build: Callable[[Stage], dict[str, Any]], **rest: Any
) -> Refusal:
    return Refusal(name=name, method=method, build=build, error=error, source=source, **rest)


def scope(method: str, needed: str, build: Callable[[Stage], dict[str, Any]]) -> Refusal:
    granted = ("commands",)
    return Refusal(
        name=f"{method} without {needed}",
        method=method,
        build=build,
        error="missing_scope",
        source=f"docs: {method} (scopes)",
        scopes=granted,
    )


BLOCK_REFUSALS = [
    blocks(
        "51 blocks",
        "brave/security-action#589; ref: blocks",
        "no more than 50 items allowed [json-pointer:/blocks]",
        *[{"type": "divider"}] * 51,
    ),
    blocks(
        "section text over 3,000",
        "brainxx.org/blog/fixing-slack-api-error-message",
        "must be less than 3001 characters [json-pointer:/blocks/0/text/text]",
        {"type": "section", "text": mrkdwn("x" * 3001)},
    ),
    blocks(
        "section text over 3,000 names the union first",
        "brainxx.org/blog/fixing-slack-api-error-message",
        "failed to match all allowed schemas [json-pointer:/blocks/0/text]",
        {"type": "section", "text": mrkdwn("x" * 3001)},
    ),
    blocks(
        "empty text",
        "bolt-js#793; quoted in two public test suites",
        "must be more than 0 characters [json-pointer:/blocks/1/text/text]",
        {"type": "divider"},
        {"type": "section", "text": mrkdwn("")},
    ),
    blocks("empty field", "vvanouytsel/jetspotter#26", None, {"type": "section", "fields": [mrkdwn("")]}),
    blocks(
        "11 fields",
        "slack-go/slack#697",
        "no more than 10 items allowed [json-pointer:/blocks/0/fields]",
        {"type": "section", "fields": [mrkdwn("x")] * 11},
    ),
    blocks(
        "field over 2,000",
        "ref: section",
        "must be less than 2001 characters [json-pointer:/blocks/0/fields/0/text]",
        {"type": "section", "fields": [mrkdwn("x" * 2001)]},
    ),
    blocks(
        "section without text and fields",
        "java-slack-sdk#1017",
        "must define either `text` or `fields`",
        {"type": "section"},
    ),
    blocks(
        "unknown property on a button",
        "bolt-js#1891",
        "invalid additional property: disabled [json-pointer:/blocks/0/elements/0]",
        actions(button(disabled=True)),
    ),
    blocks(
        "type stamped onto an option",
        "CopilotKit/CopilotKit#6454",
        "invalid additional property: type",
        actions(menu(options=[{**option(), "type": "option"}])),
    ),
    blocks(
        "url on a menu's option",
        "slack-go/slack#612",
        "invalid additional property: url",
        actions(menu(options=[{**option(), "url": ""}])),
    ),
    blocks("block without type", "ref: blocks", "missing required field: type", {"text": mrkdwn("x")}),
    blocks(
        "unknown block type",
        "quoted as «unsupported type» in a public code base",
        "unsupported type: picture [json-pointer:/blocks/0/type]",
        {"type": "picture"},
    ),
    blocks(
        "unknown element type",
        "ref: actions",
        "unsupported type: link_button",
        actions({"type": "link_button"}),
    ),
    blocks(
        "text input among actions",
        "ref: actions",
        "unsupported type: plain_text_input",
        actions({"type": "plain_text_input", "action_id": "a"}),
    ),
    blocks(
        "26 actions",
        "adobe/spacecat-api-service#176",
        "no more than 25 items allowed [json-pointer:/blocks/0/elements]",
        actions(*[button(action_id=f"b{n}") for n in range(26)]),
    ),
    blocks("no actions", "ref: actions", None, actions()),
    blocks(
        "the same action_id twice in one block", "knacklabs/gantry#458", None, actions(button(), button())
    ),
    blocks(
        "the same block_id twice",
        "slack-go/slack#823",
        None,
        {"type": "divider", "block_id": "a"},
        {"type": "divider", "block_id": "a"},
    ),
    blocks(
        "block_id over 255",
        "ref: blocks",
        "must be less than 256 characters",
        {"type": "divider", "block_id": "x" * 256},
    ),
    blocks(
        "action_id over 255",
        "ref: button",
        "must be less than 256 characters",
        actions(button(action_id="x" * 256)),
    ),
    blocks(
        "header over 150",
        "ref: header",
        "must be less than 151 characters [json-pointer:/blocks/0/text/text]",
        {"type": "header", "text": plain("x" * 151)},
    ),
    blocks("mrkdwn in a header", "ref: header", None, {"type": "header", "text": mrkdwn("x")}),
    blocks("header without text", "ref: header", "missing required field: text", {"type": "header"}),
    blocks("mrkdwn on a button", "ref: button", None, actions(button(text=mrkdwn("x")))),
    blocks(
        "button without text",
        "ref: button",
        "missing required field: text",
        actions(without(button(), "text")),
    ),
    blocks(
        "button text over 75",
        "ref: button",
        "must be less than 76 characters",
        actions(button(text=plain("x" * 76))),
    ),
    blocks(
        "button value over 2,000",
        "ref: button",
        "must be less than 2001 characters",
        actions(button(value="x" * 2001)),
    ),
    blocks(
        "button url over 3,000",
        "ref: button",
        "must be less than 3001 characters",
        actions(button(url="https://example.com/" + "x" * 3000)),
    ),
    blocks("unknown button style", "ref: button", None, actions(button(style="warning"))),
    blocks(
        "accessibility label over 75",
        "ref: button",
        "must be less than 76 characters",
        actions(button(accessibility_label="x" * 76)),
    ),
    blocks(
        "confirm title over 100",
        "ref: confirmation dialog",
        "must be less than 101 characters",
        actions(button(confirm=confirm(title=plain("x" * 101)))),
    ),
    blocks(
        "confirm text over 300",
        "ref: confirmation dialog",
        "must be less than 301 characters",
        actions(button(confirm=confirm(text=plain("x" * 301)))),
    ),
    blocks(
        "confirm button over 30",
        "ref: confirmation dialog",
        "must be less than 31 characters",
        actions(button(confirm=confirm(confirm=plain("x" * 31)))),
    ),
    blocks(
        "confirm without deny",
        "ref: confirmation dialog",
        "missing required field: deny",
        actions(button(confirm=without(confirm(), "deny"))),
    ),
    blocks(
        "101 options",
        "ref: select menu",
        "no more than 100 items allowed",
        actions(menu(options=[option(str(n)) for n in range(101)])),
    ),
    blocks("menu without options", "ref: select menu", None, actions(without(menu(), "options"))),
    blocks(
        "options and option groups",
        "ref: select menu",
        None,
        actions(menu(option_groups=[{"label": plain("g"), "options": [option()]}])),
    ),
    blocks(
        "option text over 75",
        "ref: option",
        "must be less than 76 characters",
        actions(menu(options=[option(text="x" * 76)])),
    ),
    blocks(
        "option value over 150",
        "ref: option",
        "must be less than 151 characters",
        actions(menu(options=[option(value="x" * 151)])),
    ),
    blocks(
        "option without value",
        "ref: option",
        "missing required field: value",
        actions(menu(options=[{"text": plain("x")}])),
    ),
    blocks(
        "initial option that is not offered",
        "ref: select menu",
        None,
        actions(menu(initial_option=option("9"))),
    ),
    blocks(
        "placeholder over 150",
        "ref: select menu",
        "must be less than 151 characters",
        actions(menu(placeholder=plain("x" * 151))),
    ),
    blocks(
        "6 overflow options",
        "incidentbot/incidentbot#328",
        "no more than 5 items allowed [json-pointer:/blocks/0/accessory/options]",
        section(
            accessory={"type": "overflow", "action_id": "m", "options": [option(str(n)) for n in range(6)]}
        ),
    ),
    blocks(
        "11 context elements",
        "ref: context",
        "no more than 10 items allowed",
        {"type": "context", "elements": [mrkdwn("x")] * 11},
    ),
    blocks(
        "button in a context",
        "ref: context",
        "unsupported type: button",
        {"type": "context", "elements": [button()]},
    ),
    blocks(
        "image without alt_text",
        "ref: image",
        "missing required field: alt_text [json-pointer:/blocks/0]",
        {"type": "image", "image_url": "https://example.com/a.png"},
    ),
    blocks(
        "alt_text over 2,000",
        "ref: image",
        "must be less than 2001 characters",
        {"type": "image", "image_url": "https://example.com/a.png", "alt_text": "x" * 2001},
    ),
    blocks(
        "image title over 2,000",
        "ref: image",
        "must be less than 2001 characters",
        {
            "type": "image",
            "image_url": "https://example.com/a.png",
            "alt_text": "x",
            "title": plain("x" * 2001),
        },
    ),
    blocks(
        "image_url over 3,000",
        "ref: image",
        "must be less than 3001 characters",
        {"type": "image", "image_url": "https://example.com/" + "x" * 3000, "alt_text": "x"},
    ),
    blocks("image without a source", "ref: image", None, {"type": "image", "alt_text": "x"}),
    blocks(
        "image on localhost",
        "otiai10/amesh-bot#24",
        "downloading image failed [json-pointer:/blocks/0/image_url]",
        {"type": "image", "image_url": "http://localhost:8080/foo", "alt_text": "x"},
    ),
    blocks(
        "unknown rich text element",
        "ref: rich text",
        None,
        {"type": "rich_text", "elements": [{"type": "rich_text_table", "elements": []}]},
    ),
    blocks(
        "rich text without strings",
        "stoiveyp/Slack.NetStandard#90",
        "must provide a string",
        {
            "type": "rich_text",
            "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": 1}]}],
        },
    ),
    blocks("markdown over 12,000", "ref: markdown", None, {"type": "markdown", "text": "x" * 12_001}),
    blocks(
        "markdown over 12,000 in all",
        "ref: markdown",
        None,
        {"type": "markdown", "text": "x" * 6_001},
        {"type": "markdown", "text": "y" * 6_001},
    ),
    blocks(
        "too much block JSON",
        "bolt-js#2509, bolt-js#2867",
        None,
        *[{"type": "section", "text": mrkdwn("x" * 2_900)} for _ in range(5)],
        error="msg_blocks_too_long",
    ),
    shown_file(
        "slack_file of a file still processed",
        "python-slack-sdk#1797, java-slack-sdk#1349",
        "invalid slack file [json-pointer:/blocks/0/slack_file]",
        lambda stage: {"id": stage.unready_picture},
    ),
    shown_file(
        "slack_file that does not exist",
        "python-slack-sdk#1797",
        "invalid slack file",
        lambda _stage: {"id": "F0"},
    ),
    shown_file(
        "slack_file that is no picture",
        "ref: slack_file (png, jpg, jpeg, gif)",
        "invalid slack file",
        lambda stage: {"id": stage.note},
    ),
    shown_file(
        "slack_file that was deleted",
        "ref: slack_file",
        "invalid slack file",
        lambda stage: {"id": stage.deleted_file},
    ),
    shown_file(
        "slack_file with id and url",
        "ref: slack_file",
        "must define either `id` or `url`",
        lambda stage: {"id": stage.picture, "url": "https://files.example/x"},
    ),
    call(
        "blocks that are not JSON",
        "chat.postMessage",
        "invalid_blocks_format",
        "docs: chat.postMessage",
        lambda stage: {"channel": stage.channel, "blocks": "[{"},
    ),
    call(
        "blocks that are an object",
        "chat.postMessage",
        "invalid_blocks_format",
        "node-slack-sdk#1027",
        lambda stage: {"channel": stage.channel, "blocks": {"blocks": [section()]}},
    ),
]

MESSAGE_REFUSALS = [
    call(
        "a boolean that is none",
        "chat.postMessage",
        "invalid_blocks",
        "ref: text object",
        lambda stage: {
            "channel": stage.channel,
            "text": "x",
            "blocks": [{"type": "header", "text": plain("x", emoji="yes")}],
        },
        sentence="must provide a boolean",
    ),
    call(
        "an address that is none",
        "chat.postMessage",
        "invalid_blocks",
        "bolt-python#1016",
        lambda stage: {
            "channel": stage.channel,
            "text": "x",
            "blocks": [actions(button(url="not an address"))],
        },
        sentence="invalid_url",
    ),
    call(
        "attachments that are no list",
        "chat.postEphemeral",
        "invalid_attachments",
        "docs: chat.postEphemeral",
        lambda stage: {
            "channel": stage.channel,
            "user": stage.person,
            "text": "x",
            "attachments": {"text": "x"},
        },
    ),
    call(
        "metadata that is no object",
        "chat.postMessage",
        "invalid_metadata_format",
        "docs: chat.postMessage",
        lambda stage: {"channel": stage.channel, "text": "x", "metadata": ["x"]},
    ),
    call(
        "metadata over 8,000",
        "chat.postMessage",
        "metadata_too_large",
        "docs: chat.postMessage",
        lambda stage: {
            "channel": stage.channel,
            "text": "x",
            "metadata": {"event_type": "job", "event_payload": {"x": "x" * 8000}},
        },
    ),
    call(
        "thread that is no timestamp",
        "chat.postMessage",
        "invalid_thread_ts",
        "returned by Slack, in no table",
        lambda stage: {"channel": stage.channel, "text": "x", "thread_ts": "yesterday"},
    ),
    call(
        "update in an archived channel",
        "chat.update",
        "is_inactive",
        "docs: chat.update",
        lambda stage: {"channel": stage.archived_channel, "ts": stage.archived_card, "text": "x"},
    ),
    call(
        "ephemeral in an archived channel",
        "chat.postEphemeral",
        "is_archived",
        "docs: chat.postEphemeral",
        lambda stage: {"channel": stage.archived_channel, "user": stage.person, "text": "x"},
    ),
    call(
        "permalink into an unknown channel",
        "chat.getPermalink",
        "channel_not_found",
        "docs: chat.getPermalink",
        lambda stage: {"channel": "C404", "message_ts": stage.card},
    ),
    call(
        "history with a bad limit",
        "conversations.history",
        "invalid_limit",
        "docs: conversations.history",
        lambda stage: {"channel": stage.channel, "limit": "many"},
    ),
    call(
        "joining a direct conversation",
        "conversations.join",
        "method_not_supported_for_channel_type",
        "docs: conversations.join",
        lambda stage: {"channel": stage.direct_channel},
    ),
    call(
        "opening a public channel",
        "conversations.open",
        "channel_not_found",
        "docs: conversations.open",
        lambda stage: {"channel": stage.channel},
    ),
    call("a test of errors", "api.test", "my_error", "docs: api.test", lambda _stage: {"error": "my_error"}),
    call(
        "no channel",
        "chat.postMessage",
        "invalid_arguments",
        "docs: errors",
        lambda _stage: {"text": "x"},
        sentence="missing required field: channel",
    ),
    call(
        "no text",
        "chat.postMessage",
        "no_text",
        "docs: chat.postMessage",
        lambda stage: {"channel": stage.channel},
    ),
    call(
        "unknown channel",
        "chat.postMessage",
        "channel_not_found",
        "docs: chat.postMessage",
        lambda _stage: {"channel": "C404", "text": "x"},
    ),
    call(
        "post without membership",
        "chat.postMessage",
        "not_in_channel",
        "docs: chat.postMessage",
        lambda stage: {"channel": stage.bare_channel, "text": "x"},
    ),
    call(
        "post in a private channel from outside",
        "chat.postMessage",
        "channel_not_found",
        "docs: chat.postMessage",
        lambda stage: {"channel": stage.private_channel, "text": "x"},
    ),
    call(
        "post in an archived channel",
        "chat.postMessage",
        "is_archived",
        "docs: chat.postMessage",
        lambda stage: {"channel": stage.archived_channel, "text": "x"},
    ),
    call(
        "reply to a reply",
        "chat.postMessage",
        "cannot_reply_to_message",
        "docs: chat.postMessage",
        lambda stage: {"channel": stage.channel, "text": "x", "thread_ts": stage.reply},
    ),
    call(
        "101 attachments",
        "chat.postMessage",
        "too_many_attachments",
        "docs: chat.postMessage",
        lambda stage: {"channel": stage.channel, "text": "x", "attachments": [{"text": "x"}] * 101},
    ),
    call(
        "metadata without event_type",
        "chat.postMessage",
        "invalid_metadata_format",
        "docs: chat.postMessage",
        lambda stage: {"channel": stage.channel, "text": "x", "metadata": {"event_payload": {}}},
    ),
    call(
        "update over 4,000",
        "chat.update",
        "msg_too_long",
        "docs: chat.update",
        lambda stage: {"channel": stage.channel, "ts": stage.card, "text": "x" * 4001},
    ),
    call(
        "update of a person's message",
        "chat.update",
        "cant_update_message",
        "docs: chat.update",
        lambda stage: {"channel": stage.channel, "ts": stage.persons_message, "text": "x"},
    ),
    call(
        "update of nothing",
        "chat.update",
        "message_not_found",
        "docs: chat.update",
        lambda stage: {"channel": stage.channel, "ts": "1.000001", "text": "x"},
    ),
    call(
        "update of an ephemeral",
        "chat.update",
        "message_not_found",
        "docs: ephemeral messages",
        lambda stage: {"channel": stage.channel, "ts": stage.ephemeral, "text": "x"},
    ),
    call(
        "update of a deleted parent",
        "chat.update",
        "message_not_found",
        "docs: chat.update",
        lambda stage: {"channel": stage.channel, "ts": stage.deleted_parent, "text": "x"},
    ),
    call(
        "update with nothing to say",
        "chat.update",
        "no_text",
        "docs: chat.update",
        lambda stage: {"channel": stage.channel, "ts": stage.card},
    ),
    call(
        "update with bad blocks",
        "chat.update",
        "invalid_blocks",
        "docs: chat.update",
        lambda stage: {"channel": stage.channel, "ts": stage.card, "blocks": [{"type": "section"}]},
    ),
    call(
        "delete of a person's message",
        "chat.delete",
        "cant_delete_message",
        "docs: chat.delete",
        lambda stage: {"channel": stage.channel, "ts": stage.persons_message},
    ),
    call(
        "delete of an ephemeral",
        "chat.delete",
        "message_not_found",
        "docs: ephemeral messages",
        lambda stage: {"channel": stage.channel, "ts": stage.ephemeral},
    ),
    call(
        "ephemeral for someone elsewhere",
        "chat.postEphemeral",
        "user_not_in_channel",
        "docs: chat.postEphemeral",
        lambda stage: {"channel": stage.channel, "user": "U404", "text": "x"},
    ),
    call(
        "ephemeral without membership",
        "chat.postEphemeral",
        "not_in_channel",
        "docs: chat.postEphemeral",
        lambda stage: {"channel": stage.bare_channel, "user": stage.person, "text": "x"},
    ),
    call(
        "ephemeral without text",
        "chat.postEphemeral",
        "no_text",
        "docs: chat.postEphemeral",
        lambda stage: {"channel": stage.channel, "user": stage.person},
    ),
    call(
        "ephemeral over 40,000",
        "chat.postEphemeral",
        "msg_too_long",
        "docs: chat.postEphemeral",
        lambda stage: {"channel": stage.channel, "user": stage.person, "text": "x" * 40_001},
    ),
    call(
        "permalink of nothing",
        "chat.getPermalink",
        "message_not_found",
        "docs: chat.getPermalink",
        lambda stage: {"channel": stage.channel, "message_ts": "1.000001"},
    ),
    call(
        "replies of nothing",
        "conversations.replies",
        "thread_not_found",
        "docs: conversations.replies",
        lambda stage: {"channel": stage.channel, "ts": "1.000001"},
    ),
    call(
        "history without membership",
        "conversations.history",
        "not_in_channel",
        "docs: conversations.history",
        lambda stage: {"channel": stage.bare_channel},
    ),
    call(
        "history with a foreign cursor",
        "conversations.history",
        "invalid_cursor",
        "docs: conversations.history",
        lambda stage: {"channel": stage.channel, "cursor": "!"},
    ),
    call(
        "history with a bad time",
        "conversations.history",
        "invalid_ts_oldest",
        "docs: conversations.history",
        lambda stage: {"channel": stage.channel, "oldest": "yesterday"},
    ),
    call(
        "joining an archived channel",
        "conversations.join",
        "is_archived",
        "docs: conversations.join",
        lambda stage: {"channel": stage.archived_channel},
    ),
    call(
        "direct messages with nobody",
        "conversations.open",
        "users_list_not_supplied",
        "docs: conversations.open",
        lambda _stage: {},
    ),
    call(
        "direct messages with a stranger",
        "conversations.open",
        "user_not_found",
        "docs: conversations.open",
        lambda _stage: {"users": "U404"},
    ),
    call(
        "unknown person", "users.info", "user_not_found", "docs: users.info", lambda _stage: {"user": "U404"}
    ),
]

UPLOAD_REFUSALS = [
    call(
        "upload of nothing",
        "files.getUploadURLExternal",
        "missing_argument",
        "docs: files.getUploadURLExternal",
        lambda _stage: {"filename": "a.png", "length": 0},
    ),
    call(
        "upload without a name",
        "files.getUploadURLExternal",
        "invalid_arguments",
        "docs: errors",
        lambda _stage: {"length": 3},
        sentence="missing required field: filename",
    ),
    call(
        "alt_txt over 1,000",
        "files.getUploadURLExternal",
        "alt_txt_too_large",
        "docs: files.getUploadURLExternal",
        lambda _stage: {"filename": "a.png", "length": 3, "alt_txt": "x" * 1001},
    ),
    call(
        "completing before the bytes came",
        "files.completeUploadExternal",
        "file_not_found",
        "docs: files.completeUploadExternal",
        lambda stage: {"files": [{"id": stage.unsent_file}], "channel_id": stage.channel},
    ),
    call(
        "completing an unknown file",
        "files.completeUploadExternal",
        "file_not_found",
        "docs: files.completeUploadExternal",
        lambda stage: {"files": [{"id": "F404"}], "channel_id": stage.channel},
    ),
    call(
        "upload without membership",
        "files.completeUploadExternal",
        "not_in_channel",
        "getnao/nao#1372",
        lambda stage: {"files": [{"id": stage.picture}], "channel_id": stage.bare_channel},
    ),
    call(
        "upload to an unknown channel",
        "files.completeUploadExternal",
        "channel_not_found",
        "docs: files.completeUploadExternal",
        lambda stage: {"files": [{"id": stage.picture}], "channel_id": "C404"},
    ),
    call(
        "upload with a markdown block",
        "files.completeUploadExternal",
        "internal_error",
        "python-slack-sdk#1756",
        lambda stage: {
            "files": [{"id": stage.picture}],
            "channel_id": stage.channel,
            "blocks": [{"type": "markdown", "text": "x"}],
        },
    ),
    call(
        "upload under a reply",
        "files.completeUploadExternal",
        "cannot_reply_to_message",
        "docs: files.completeUploadExternal (never use a reply's ts)",
        lambda stage: {
            "files": [{"id": stage.picture}],
            "channel_id": stage.channel,
            "thread_ts": stage.reply,
        },
    ),
    call(
        "upload of no number",
        "files.getUploadURLExternal",
        "invalid_arguments",
        "docs: errors",
        lambda _stage: {"filename": "a.png", "length": "long"},
    ),
    call(
        "completing nothing",
        "files.completeUploadExternal",
        "invalid_arguments",
        "docs: errors",
        lambda stage: {"files": "[", "channel_id": stage.channel},
    ),
    call(
        "completing without ids",
        "files.completeUploadExternal",
        "invalid_arguments",
        "docs: errors",
        lambda stage: {"files": [{"title": "x"}], "channel_id": stage.channel},
    ),
    call(
        "completing a deleted file",
        "files.completeUploadExternal",
        "file_not_found",
        "docs: files.completeUploadExternal",
        lambda stage: {"files": [{"id": stage.deleted_file}], "channel_id": stage.channel},
    ),
    call(
        "upload to an archived channel",
        "files.completeUploadExternal",
        "is_archived",
        "docs: chat.postMessage",
        lambda stage: {"files": [{"id": stage.picture}], "channel_id": stage.archived_channel},
    ),
    call(
        "a thread in two channels",
        "files.completeUploadExternal",
        "invalid_arguments",
        "docs: files.completeUploadExternal (one channel with thread_ts)",
        lambda stage: {
            "files": [{"id": stage.picture}],
            "channels": f"{stage.channel},{stage.archived_channel}",
            "thread_ts": stage.card,
        },
    ),
    call(
        "deleting a person's file",
        "files.delete",
        "cant_delete_file",
        "docs: files.delete",
        lambda stage: {"file": stage.persons_file},
    ),
    call("unknown file", "files.info", "file_not_found", "docs: files.info", lambda _stage: {"file": "F404"}),
    call(
        "deleted file",
        "files.info",
        "file_deleted",
        "docs: files.info",
        lambda stage: {"file": stage.deleted_file},
    ),
    call(
        "deleting twice",
        "files.delete",
        "file_deleted",
        "docs: files.delete",
        lambda stage: {"file": stage.deleted_file},
    ),
]

ACCESS_REFUSALS = [
    call("unknown method", "chat.postMesage", "unknown_method", "docs: errors", lambda _stage: {}),
    call("no token", "auth.test", "not_authed", "docs: auth.test", lambda _stage: {}, token=""),
    call(
        "wrong token",
        "auth.test",
        "invalid_auth",
        "docs: auth.test",
        lambda _stage: {},
        token="xoxb-someone-else",
    ),
    call(
        "bot token for a socket",
        "apps.connections.open",
        "not_allowed_token_type",
        "docs: apps.connections.open",
        lambda _stage: {},
    ),
    scope("chat.postMessage", "chat:write", lambda stage: {"channel": stage.channel, "text": "x"}),
    scope(
        "chat.update", "chat:write", lambda stage: {"channel": stage.channel, "ts": stage.card, "text": "x"}
    ),
    scope("files.getUploadURLExternal", "files:write", lambda _stage: {"filename": "a", "length": 1}),
    scope("files.completeUploadExternal", "files:write", lambda stage: {"files": [{"id": stage.picture}]}),
    scope("files.info", "files:read", lambda stage: {"file": stage.picture}),
    scope("files.delete", "files:write", lambda stage: {"file": stage.picture}),
    scope("conversations.history", "channels:history", lambda stage: {"channel": stage.channel}),
    scope(
        "conversations.replies",
        "channels:history",
        lambda stage: {"channel": stage.channel, "ts": stage.card},
    ),
    scope("conversations.info", "channels:read", lambda stage: {"channel": stage.channel}),
    scope("conversations.join", "channels:join", lambda stage: {"channel": stage.bare_channel}),
    scope("conversations.open", "im:write", lambda stage: {"users": stage.person}),
    scope("users.info", "users:read", lambda stage: {"user": stage.person}),
]

REFUSALS = [*BLOCK_REFUSALS, *MESSAGE_REFUSALS, *UPLOAD_REFUSALS, *ACCESS_REFUSALS]
