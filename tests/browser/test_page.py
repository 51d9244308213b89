"""The page of the local workspace in a real browser, in front of the real local Slack."""

import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Locator, Page, WebSocketRoute, expect

from infra.local.slack.testing import LocalSlack, ThreadedBot
from infra.local.slack.workspace import Channel
from tests.browser.conftest import PATIENCE, PHONE, WIDE

pytestmark = pytest.mark.browser

STATIC = Path(__file__).parents[2] / "infra/local/slack/static"

HOSTILE = [
    "<script>window.pwned = 1</script>",
    "<img src=x onerror='window.pwned = 1'>",
    "<svg/onload=window.pwned=1>",
    "<a href='javascript:window.pwned=1'>x</a>",
    "<javascript:window.pwned=1|press me>",
    "<data:text/html,<script>window.pwned=1</script>|press me>",
    "<!channel> <!everyone> <@U0000000001>",
    '"><iframe srcdoc="<script>parent.pwned=1</script>">',
    "</div></article><style>*{display:none}</style>",
    "&lt;script&gt;window.pwned=1&lt;/script&gt;",
    "{{constructor.constructor('window.pwned=1')()}}",
    "*<b>* _</em>_ `</code>` ```</pre>```",
]


@dataclass(slots=True)
class Bot:
    """An app that acknowledges everything with ``status`` and keeps what it was told."""

    status: int = 200
    told: list[dict[str, str]] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.told.append(dict(httpx.QueryParams(request.content.decode())))
        return httpx.Response(self.status)

    @property
    def actions(self) -> list[dict[str, Any]]:
        return [json.loads(form["payload"]) for form in self.told if "payload" in form]


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """A channel of its own for one test, and the app's way into it."""

    slack: LocalSlack
    id: str

    def call(self, method: str, **fields: Any) -> dict[str, Any]:
        """Call the Web API as the bot, about this channel."""
        headers = {"Authorization": f"Bearer {self.slack.bot_token}"}
        body = {"channel": self.id, **fields}
        answer: dict[str, Any] = httpx.post(self.slack.api_url + method, json=body, headers=headers).json()
        assert answer["ok"], answer
        return answer

    def post(self, text: str = "card", **fields: Any) -> str:
        """Post as the bot; the message's ts."""
        return str(self.call("chat.postMessage", text=text, **fields)["ts"])

    def whisper(self, text: str, **fields: Any) -> None:
        """Post as the bot what only the person at the page sees."""
        you = self.slack.platform.workspace.people[0].id
        self.call("chat.postEphemeral", user=you, text=text, **fields)

    def upload(self, content: bytes, *, title: str, **place: str) -> str:
        """Share a file with the three-step upload; the file's id."""
        ticket = self._upload_ticket(filename="red-fox.png", length=len(content))
        httpx.post(ticket["upload_url"], content=content).raise_for_status()
        file_id: str = ticket["file_id"]
        files = [{"id": file_id, "title": title}]
        self.call("files.completeUploadExternal", files=files, channel_id=self.id, **place)
        return file_id

    def _upload_ticket(self, **fields: Any) -> dict[str, Any]:
        form = {"token": self.slack.bot_token, **fields}
        answer: dict[str, Any] = httpx.post(
            f"{self.slack.api_url}files.getUploadURLExternal", data=form
        ).json()
        return answer


@pytest.fixture(scope="module")
def browser(chromium: Browser) -> Iterator[BrowserContext]:
    context = chromium.new_context(viewport=WIDE, reduced_motion="reduce")
    context.set_default_timeout(PATIENCE)
    yield context
    context.close()


@pytest.fixture(scope="module")
def app() -> Bot:
    return Bot()


@pytest.fixture(scope="module")
def slack(browser: BrowserContext, app: Bot) -> Iterator[LocalSlack]:
    """Ends before the browser does: the server says goodbye to the sockets, not the other way round."""
    with LocalSlack(bot_transport=ThreadedBot(app)) as running:
        yield running


@pytest.fixture(scope="module")
def tab(browser: BrowserContext, slack: LocalSlack) -> Page:
    page = browser.new_page()
    page.goto(slack.base_url)
    return page


@pytest.fixture
def bot(app: Bot) -> Bot:
    app.status = 200
    app.told.clear()
    return app


@pytest.fixture
def room(slack: LocalSlack, bot: Bot) -> Room:
    workspace = slack.platform.workspace
    number = len(workspace.channels)
    channel = Channel(id=f"C8{number:09d}", name=f"room-{number}", members={*workspace.users})
    slack._do(workspace.add_channel, channel)
    return Room(slack=slack, id=channel.id)


@pytest.fixture
def page(room: Room, tab: Page, troubles: list[str]) -> Iterator[Page]:
    """The page at the test's own channel. At the end it met no script error and no breach of its policy."""
    tab.bring_to_front()
    tab.set_viewport_size(WIDE)
    visit(tab, room)
    yield tab
    assert troubles == []


@pytest.fixture
def troubles(browser: BrowserContext) -> Iterator[list[str]]:
    found: list[str] = []
    listeners: dict[str, Callable[[Any], None]] = {
        "weberror": lambda error: found.append(str(error.error)),
        "console": lambda said: found.append(said.text) if "Policy" in said.text else None,
        "dialog": lambda dialog: found.append(dialog.message),
    }
    for event, listener in listeners.items():
        browser.on(event, listener)  # type: ignore[call-overload]
    yield found
    for event, listener in listeners.items():
        browser.remove_listener(event, listener)


@pytest.fixture(scope="module")
def picture() -> bytes:
    png = io.BytesIO()
    Image.radial_gradient("L").resize((640, 360)).save(png, "PNG")
    return png.getvalue()


def visit(page: Page, room: Room) -> None:
    page.goto(f"{room.slack.base_url}/#/{room.id}")
    name = room.slack.platform.workspace.channels[room.id].name
    expect(page.get_by_test_id("channel-name")).to_have_text(f"#{name}")


def row(page: Page, ts: str) -> Locator:
    return page.get_by_test_id("message-list").locator(f"[data-ts='{ts}']")


def plain(text: str) -> dict[str, str]:
    return {"type": "plain_text", "text": text}


def option(value: str) -> dict[str, Any]:
    return {"text": plain(f"Picture {value}"), "value": value}


def controls(*elements: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"type": "actions", "block_id": "controls", "elements": list(elements)}]


PICK = {"type": "static_select", "action_id": "pick", "options": [option(n) for n in "1234"]} | {
    "placeholder": plain("Picture"),
    "initial_option": option("1"),
}
VARY = {"type": "button", "action_id": "vary", "text": plain("Vary"), "value": "job-7"}
DELETE = {"type": "button", "action_id": "delete", "text": plain("Delete"), "style": "danger"} | {
    "confirm": {
        "title": plain("Delete it?"),
        "text": plain("It is gone then."),
        "confirm": plain("Delete"),
        "deny": plain("Keep"),
    }
}
MORE = {"type": "overflow", "action_id": "more", "options": [option("details"), option("cancel")]}


def test_nothing_can_be_written_before_there_is_a_channel_to_send_it_to(
    browser: BrowserContext, room: Room
) -> None:
    tab, held, released = browser.new_page(), [], []
    tab.route("**/page/state", lambda route: route.continue_() if released else held.append(route))
    tab.goto(f"{room.slack.base_url}/#/{room.id}")
    while not held:
        tab.wait_for_timeout(10)
    composer = tab.get_by_test_id("composer")
    expect(composer).to_be_disabled()

    released.append(True)
    for route in held:
        route.continue_()
    composer.fill("hello")
    composer.press("Enter")

    expect(tab.get_by_test_id("message-list")).to_contain_text("hello")
    tab.close()


def test_the_page_opens_with_its_channels_and_an_example_to_try(page: Page) -> None:
    expect(page.get_by_test_id("composer")).to_be_focused()
    channels = page.get_by_role("navigation", name="Channels")
    expect(channels.get_by_role("link", name="pictures")).to_be_visible()
    expect(channels.locator("[aria-current=page]")).to_contain_text("room-")
    page.get_by_test_id("welcome").click()
    expect(page.get_by_test_id("composer")).to_have_value(re.compile("^/imagine "))


def test_a_message_appears_in_a_second_tab_as_it_is_sent(room: Room, page: Page) -> None:
    first, second = page, page.context.new_page()
    visit(second, room)
    first.get_by_test_id("composer").fill("hello\nthere")
    first.get_by_test_id("composer").press("Enter")
    expect(second.get_by_test_id("message-body")).to_have_text("hello\nthere")
    expect(first.get_by_test_id("composer")).to_have_value("")


def test_what_people_type_is_shown_and_never_run(page: Page) -> None:
    for line in HOSTILE:
        page.get_by_test_id("composer").fill(line)
        page.get_by_test_id("composer").press("Enter")
        expect(page.get_by_test_id("message-body").last).to_contain_text(re.sub("[*_`]", "", line)[:12])
    assert page.get_by_test_id("message-body").count() == len(HOSTILE)
    assert_inert(page)


def test_what_the_bot_posts_is_shown_and_never_run(room: Room, page: Page) -> None:
    for line in HOSTILE:
        blocks = [
            {"type": "header", "text": plain(line)},
            {"type": "section", "text": {"type": "mrkdwn", "text": line}, "fields": [plain(line)]},
            {"type": "context", "elements": [plain(line), {"type": "mrkdwn", "text": line}]},
            {
                "type": "rich_text",
                "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": line}]}],
            },
            *controls({"type": "button", "action_id": "b", "text": plain(line), "value": line}),
        ]
        ts = room.post(line, blocks=blocks)
        expect(row(page, ts).get_by_role("heading")).to_have_text(line)
        expect(row(page, ts).locator(".rich-text")).to_have_text(line)
        expect(row(page, ts).get_by_role("button", name=line, exact=True)).to_be_visible()
    assert_inert(page)


def assert_inert(page: Page) -> None:
    assert page.evaluate("window.pwned") is None
    inside = page.get_by_test_id("message-body")
    assert inside.locator("script, iframe, img, style, object, [onerror], [onload]").count() == 0
    addresses = inside.locator("a").evaluate_all("links => links.map((link) => link.href)")
    assert [address for address in addresses if not re.match("https?://", address)] == []


def test_mrkdwn_becomes_formatting_links_and_mentions(room: Room, page: Page) -> None:
    ts = room.post(
        "*bold* _italic_ ~gone~ `code` snake_case_name <https://example.com/?a=1&amp;b=2|link> "
        "<@U0000000002> <#C0000000002> <!here> :tada:\n&gt; quoted\n```pre *kept*```",
    )
    body = row(page, ts).get_by_test_id("message-body")
    for tag, text in {
        "strong": "bold",
        "em": "italic",
        "s": "gone",
        "p code": "code",
        "blockquote": "quoted",
        "pre": "pre *kept*",
    }.items():
        expect(body.locator(tag)).to_have_text(text)
    expect(body.locator(".mention")).to_have_text(["@Robin", "#general", "@here"])
    expect(body.locator("p").first).to_contain_text("snake_case_name")
    expect(body.locator("p").first).to_contain_text("🎉")
    link = body.get_by_role("link", name="link")
    assert link.get_attribute("href") == "https://example.com/?a=1&b=2"
    assert "noopener" in (link.get_attribute("rel") or "")


def test_a_block_the_page_does_not_know_is_named(page: Page) -> None:
    shown = page.evaluate(
        """async () => {
          const { renderBlocks } = await import("./render/blocks.js");
          const unknown = [{type: "carousel"}, {type: "constructor"}];
          return renderBlocks(unknown, {}).map((node) => node.textContent);
        }"""
    )
    assert shown == [
        "A block of type “carousel” is not shown here",
        "A block of type “constructor” is not shown here",
    ]


def test_a_button_tells_the_app_what_stands_in_the_select_menu(room: Room, bot: Bot, page: Page) -> None:
    ts = room.post(blocks=controls(PICK, VARY))
    pick = row(page, ts).locator("[data-action-id=pick]")
    with page.expect_response("**/page/action"):
        pick.select_option("3")
    with page.expect_request("**/page/action") as sent, page.expect_response("**/page/action"):
        row(page, ts).get_by_role("button", name="Vary").click()
    assert sent.value.post_data_json == {
        "channel": room.id,
        "ts": ts,
        "ephemeral": False,
        "block_id": "controls",
        "action_id": "vary",
        "type": "button",
        "value": "job-7",
        "state": {"controls": {"pick": {"type": "static_select", "selected_option": option("3")}}},
    }
    chose, pressed = bot.actions
    assert chose["actions"][0]["selected_option"]["value"] == "3"
    assert pressed["actions"][0]["value"] == "job-7"
    assert pressed["state"]["values"]["controls"]["pick"]["selected_option"]["value"] == "3"


def test_a_choice_survives_an_edit_of_its_message(room: Room, page: Page) -> None:
    ts = room.post(blocks=controls(PICK))
    with page.expect_response("**/page/action"):
        row(page, ts).locator("select").select_option("4")
    room.call("chat.update", ts=ts, text="card", blocks=controls(PICK, VARY))
    expect(row(page, ts).get_by_role("button", name="Vary")).to_be_visible()
    expect(row(page, ts).locator("select")).to_have_value("4")


def test_an_edit_during_a_press_does_not_lose_it(room: Room, page: Page) -> None:
    ts = room.post(blocks=controls(PICK))
    vary = row(page, ts).get_by_role("button", name="Vary")
    room.call("chat.update", ts=ts, text="card", blocks=controls(PICK, VARY))
    vary.hover()
    page.mouse.down()
    room.call("chat.update", ts=ts, text="card", blocks=controls(PICK, VARY, DELETE))
    after = room.post("after the edit")
    expect(row(page, after)).to_be_visible()
    with page.expect_request("**/page/action") as sent:
        page.mouse.up()
    assert sent.value.post_data_json["action_id"] == "vary"
    expect(row(page, ts).get_by_role("button", name="Delete")).to_be_visible()


def test_a_control_that_asks_is_sent_only_when_confirmed(room: Room, bot: Bot, page: Page) -> None:
    ts = room.post(blocks=controls(DELETE))
    delete = row(page, ts).locator("[data-action-id=delete]")
    question = page.get_by_test_id("confirm")
    delete.click()
    expect(question).to_contain_text("It is gone then.")
    question.get_by_role("button", name="Keep").click()
    delete.click()
    page.keyboard.press("Escape")
    expect(question).to_have_count(0)
    assert bot.actions == []
    delete.click()
    with page.expect_response("**/page/action"):
        question.get_by_role("button", name="Delete").click()
    assert [action["actions"][0]["action_id"] for action in bot.actions] == ["delete"]


def test_the_overflow_menu_works_from_the_keyboard(room: Room, bot: Bot, page: Page) -> None:
    ts = room.post(blocks=controls(MORE))
    row(page, ts).get_by_role("button", name="More actions").press("Enter")
    expect(page.get_by_role("menuitem")).to_have_text(["Picture details", "Picture cancel"])
    page.keyboard.press("ArrowDown")
    with page.expect_response("**/page/action"):
        page.keyboard.press("Enter")
    assert bot.actions[0]["actions"][0]["selected_option"]["value"] == "cancel"
    expect(page.get_by_role("menu")).to_have_count(0)


def test_a_failed_press_is_told_beside_the_button(room: Room, bot: Bot, page: Page) -> None:
    bot.status = 500
    ts = room.post(blocks=controls(VARY))
    row(page, ts).get_by_role("button", name="Vary").click()
    expect(row(page, ts).get_by_role("alert")).to_contain_text("did not work")
    expect(row(page, ts).get_by_role("button", name="Vary")).not_to_have_attribute("aria-busy", "true")


def test_typing_a_slash_offers_the_command_with_its_usage(bot: Bot, page: Page) -> None:
    composer = page.get_by_test_id("composer")
    composer.press_sequentially("/")
    expect(page.get_by_test_id("command-hint")).to_contain_text("/imagine a red fox in the snow --ar 16:9")
    composer.press("Enter")
    expect(composer).to_have_value("/imagine ")
    composer.press_sequentially("a <b> fox")
    with page.expect_response("**/page/send"):
        composer.press("Enter")
    assert [form["text"] for form in bot.told] == ["a &lt;b&gt; fox"]
    expect(page.get_by_test_id("delivery")).to_contain_text(
        re.compile(r"Imagine (answered in|took) [\d.]+ m?s")
    )
    expect(page.get_by_test_id("message")).to_have_count(0)


def test_an_answer_after_three_seconds_is_called_too_late(page: Page) -> None:
    said = page.evaluate(
        """async () => {
          const { deliveryWords } = await import("./panes/status_line.js");
          return [
            {kind: "interactive", ms: 3000.4, ok: true, error: null},
            {kind: "slash_commands", ms: 3000, ok: false, error: "http_timeout"},
            {kind: "slash_commands", ms: 2999, ok: true, error: null},
          ].map((delivery) => deliveryWords(delivery, "Imagine"));
        }"""
    )
    assert [(words["text"], words["warns"]) for words in said] == [
        ("Imagine took 3.0 s (control); Slack gives up after 3 s", True),
        ("Imagine took 3.0 s (slash command); Slack gives up after 3 s", True),
        ("Imagine answered in 3.0 s (slash command)", False),
    ]


def test_a_command_that_failed_stays_in_the_composer(bot: Bot, page: Page) -> None:
    bot.status = 500
    composer = page.get_by_test_id("composer")
    composer.fill("/imagine a fox")
    composer.press("Enter")
    expect(page.get_by_test_id("composer-form").get_by_role("alert")).to_contain_text("failed")
    expect(composer).to_have_value("/imagine a fox")


def test_a_thread_opens_beside_the_channel_and_takes_replies(room: Room, page: Page) -> None:
    ts = room.post("the card")
    room.post("the first answer", thread_ts=ts)
    row(page, ts).get_by_test_id("open-thread").click()
    thread = page.get_by_test_id("thread")
    expect(thread.get_by_test_id("message-body")).to_have_text(["the card", "the first answer"])
    page.get_by_test_id("thread-composer").fill("lovely")
    page.get_by_test_id("thread-composer").press("Enter")
    expect(thread.get_by_test_id("message-body").last).to_have_text("lovely")
    expect(row(page, ts).get_by_test_id("open-thread")).to_contain_text("2 replies")
    expect(page.get_by_test_id("message-list").get_by_test_id("message")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(thread).to_be_hidden()


def test_a_reload_comes_back_to_the_open_thread(room: Room, page: Page) -> None:
    ts = room.post("the card")
    row(page, ts).hover()
    row(page, ts).get_by_test_id("reply").click()
    expect(page.get_by_test_id("thread-list").get_by_test_id("message-body")).to_have_text("the card")
    page.reload()
    expect(page.get_by_test_id("thread-list").get_by_test_id("message-body")).to_have_text("the card")


def test_edits_and_deletions_show_as_they_happen(room: Room, page: Page) -> None:
    stays, goes = room.post("waiting"), room.post("soon gone")
    expect(row(page, goes)).to_be_visible()
    room.call("chat.update", ts=stays, text="drawing")
    room.call("chat.delete", ts=goes)
    expect(row(page, stays).get_by_test_id("message-body")).to_have_text("drawing")
    expect(row(page, goes)).to_have_count(0)


def test_what_was_missed_while_the_socket_was_down_is_caught_up(
    room: Room, browser: BrowserContext, troubles: list[str]
) -> None:
    sockets: list[WebSocketRoute] = []
    down: list[bool] = []

    def carry(socket: WebSocketRoute) -> None:
        if down:
            socket.close()
            return
        socket.connect_to_server()
        sockets.append(socket)

    page = browser.new_page()
    page.route_web_socket(re.compile("/page/live"), carry)
    visit(page, room)
    while not sockets:
        page.wait_for_timeout(10)
    down.append(True)
    sockets[0].close()
    expect(page.get_by_test_id("connection")).to_be_visible()
    ts = room.post("while you were away")
    down.clear()
    expect(row(page, ts)).to_be_visible()
    expect(page.get_by_test_id("connection")).to_be_hidden()
    assert troubles == []


def test_a_private_message_says_so_and_can_be_dismissed(room: Room, page: Page) -> None:
    room.whisper("for your eyes")
    private = page.get_by_test_id("message")
    expect(private).to_contain_text("Only visible to you")
    private.get_by_test_id("dismiss").click()
    expect(private).to_have_count(0)
    page.reload()
    expect(page.get_by_test_id("welcome")).to_be_visible()
    expect(private).to_have_count(0)


def test_a_private_note_in_a_closed_thread_is_pointed_at(room: Room, page: Page) -> None:
    ts = room.post("the card")
    room.whisper("psst", thread_ts=ts)
    row(page, ts).get_by_test_id("open-thread").click()
    expect(page.get_by_test_id("thread-list").get_by_test_id("message-body").last).to_have_text("psst")


def test_a_shared_picture_opens_at_full_size_and_downloads_whole(
    room: Room, page: Page, picture: bytes
) -> None:
    file_id = room.upload(picture, title="a red fox <b>")
    preview = page.locator(f"[data-file-id={file_id}]")
    expect(preview.get_by_role("img", name="a red fox <b>")).to_have_js_property("naturalWidth", 640)
    preview.get_by_role("button").click()
    lightbox = page.get_by_test_id("lightbox")
    expect(lightbox.get_by_role("img")).to_have_js_property("naturalHeight", 360)
    expect(lightbox).to_contain_text("640 × 360")
    with page.expect_download() as download:
        lightbox.get_by_test_id("download").click()
    assert download.value.suggested_filename == "red-fox.png"
    assert Path(download.value.path()).read_bytes() == picture
    page.keyboard.press("Escape")
    expect(lightbox).to_have_count(0)


def test_a_file_in_preparation_keeps_its_place(page: Page) -> None:
    words = page.evaluate(
        """async () => {
          const { renderFiles } = await import("./render/files.js");
          const file = {id: "F1", name: "fox.png", title: "a fox", url: "/x", ready: false};
          const busy = renderFiles([file], {}).querySelector("[data-file-id=F1][aria-busy=true]");
          const label = busy.querySelector("[role=img]").getAttribute("aria-label");
          return [label, busy.querySelectorAll("img").length];
        }"""
    )
    assert words == ["a fox is still being prepared", 0]


def test_an_image_block_shows_an_uploaded_file_with_its_alt_text(
    room: Room, page: Page, picture: bytes
) -> None:
    file_id = room.upload(picture, title="fox")
    room.slack.wait_for(lambda: room.slack.platform.workspace.files[file_id].ready)
    block = {"type": "image", "slack_file": {"id": file_id}, "alt_text": "a fox", "title": plain("Fox")}
    image = row(page, room.post(blocks=[block])).get_by_role("img", name="a fox")
    expect(image).to_have_js_property("naturalWidth", 640)


def test_nothing_scrolls_sideways_on_a_phone_and_the_thread_covers_it(
    room: Room, page: Page, picture: bytes
) -> None:
    page.set_viewport_size(PHONE)
    ts = room.post("w" * 400, blocks=controls(PICK, VARY, DELETE, MORE))
    room.post("```" + "long line " * 60 + "```", thread_ts=ts)
    room.upload(picture, title="x" * 200, thread_ts=ts)
    assert_no_sideways_scroll(page)
    row(page, ts).get_by_test_id("open-thread").click()
    thread = page.get_by_role("dialog", name="Thread")
    expect(thread.locator("img")).to_have_js_property("naturalWidth", 640)
    box = thread.bounding_box()
    assert box is not None
    assert (box["x"], box["y"], box["width"], box["height"]) == (0, 0, PHONE["width"], PHONE["height"])
    assert_no_sideways_scroll(page)
    page.get_by_test_id("close-thread").click()
    page.get_by_role("button", name="Channels").click()
    page.get_by_role("link", name="general").click()
    expect(page.get_by_test_id("channel-name")).to_have_text("#general")
    expect(page.get_by_test_id("sidebar")).to_be_hidden()


def assert_no_sideways_scroll(page: Page) -> None:
    wider = page.evaluate(
        """() => [...document.querySelectorAll("html, body, .message-list")]
          .filter((part) => part.scrollWidth > part.clientWidth)
          .map((part) => part.className || part.tagName)"""
    )
    assert wider == []


def test_no_module_of_the_page_can_turn_a_string_into_markup() -> None:
    doors = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\b|new Function"
    )
    modules = sorted(STATIC.rglob("*.js"))
    assert len(modules) > 10
    assert [module.name for module in modules if doors.search(module.read_text())] == []
