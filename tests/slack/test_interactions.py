"""What reaches the bot when a person types a command or uses a control, and what its answers do."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, parse_qsl

import httpx
import pytest
from slack_sdk import WebClient
from slack_sdk.signature import Clock as SignatureClock
from slack_sdk.signature import SignatureVerifier

from infra.local.slack.clock import ManualClock
from infra.local.slack.errors import SlackError
from infra.local.slack.testing import LocalSlack, Shown, ThreadedBot
from infra.slack_manifest import manifest
from tests.slack import loopback
from tests.slack.bots import EVERY_SCOPE, RecordingBot, manifest_with

PICTURES = "C0000000001"


def option(value: str) -> dict[str, Any]:
    return {"text": {"type": "plain_text", "text": f"Picture {value}"}, "value": value}


CONTROLS: list[dict[str, Any]] = [
    {"type": "section", "text": {"type": "mrkdwn", "text": "a fox"}},
    {
        "type": "actions",
        "block_id": "controls",
        "elements": [
            {"type": "static_select", "action_id": "pick", "options": [option("1"), option("2")]},
            {
                "type": "button",
                "action_id": "vary",
                "text": {"type": "plain_text", "text": "Vary"},
                "value": "job.1",
            },
            {"type": "overflow", "action_id": "more", "options": [option("details"), option("delete")]},
        ],
    },
]


@pytest.fixture
def card(slack: LocalSlack, client: WebClient) -> Shown:
    client.chat_postMessage(channel=PICTURES, text="a fox", blocks=CONTROLS)
    return slack.messages()[0]


def form(request: httpx.Request) -> dict[str, str]:
    return dict(parse_qsl(request.content.decode(), keep_blank_values=True))


def interaction(request: httpx.Request) -> dict[str, Any]:
    payload: dict[str, Any] = json.loads(form(request)["payload"])
    return payload


def respond(url: str, **message: Any) -> httpx.Response:
    return loopback.post(url, json=message)


class TestCommand:
    def test_is_a_form_signed_with_the_signing_secret(self, slack: LocalSlack, bot: RecordingBot) -> None:
        slack.command("/imagine a red fox")

        (request,) = bot.requests
        assert request.headers["content-type"] == "application/x-www-form-urlencoded"
        assert SignatureVerifier(slack.signing_secret).is_valid_request(
            request.content, dict(request.headers)
        )
        assert not SignatureVerifier("another").is_valid_request(request.content, dict(request.headers))

    def test_says_who_where_and_what(self, slack: LocalSlack, bot: RecordingBot) -> None:
        slack.command("/imagine a red fox --ar 16:9", user="robin", channel="general")

        sent = form(bot.requests[0])
        assert sent["text"] == "a red fox --ar 16:9"
        assert (sent["command"], sent["user_id"], sent["channel_name"]) == (
            "/imagine",
            "U0000000002",
            "general",
        )
        assert sent["response_url"].startswith(f"{slack.base_url}/commands/{sent['team_id']}/")
        assert sent["trigger_id"]

    def test_text_is_escaped_as_slack_escapes_it(self, slack: LocalSlack, bot: RecordingBot) -> None:
        slack.command("/imagine cats & dogs <3 @robin")

        assert form(bot.requests[0])["text"] == "cats &amp; dogs &lt;3 @robin"

    def test_should_escape_turns_names_into_mentions(self, slack: LocalSlack, bot: RecordingBot) -> None:
        app = manifest_with(*EVERY_SCOPE)
        app["features"]["slash_commands"][0]["should_escape"] = True
        slack.reinstall(app)

        slack.command("/imagine @robin in #general and @nobody")

        text = form(bot.requests[0])["text"]
        assert text == "<@U0000000002|robin> in <#C0000000002|general> and @nobody"

    def test_every_trigger_is_another(self, slack: LocalSlack, bot: RecordingBot) -> None:
        slack.command("/imagine a")
        slack.command("/imagine a")

        assert len({form(request)["trigger_id"] for request in bot.requests}) == 2

    @pytest.mark.parametrize(
        "answer", [httpx.Response(200, text="drawing"), httpx.Response(200, json={"text": "drawing"})]
    )
    def test_an_answer_is_shown_to_the_person_alone(
        self, slack: LocalSlack, bot: RecordingBot, answer: httpx.Response
    ) -> None:
        bot.answers = [answer]

        assert slack.command("/imagine a fox").ok

        assert [m.text for m in slack.ephemerals("you")] == ["drawing"]
        assert slack.messages() == []

    def test_an_answer_in_channel_is_shown_to_all(self, slack: LocalSlack, bot: RecordingBot) -> None:
        bot.answers = [httpx.Response(200, json={"response_type": "in_channel", "text": "drawing"})]

        slack.command("/imagine a fox")

        assert [m.text for m in slack.messages()] == ["drawing"]

    def test_an_empty_answer_shows_nothing(self, slack: LocalSlack) -> None:
        assert slack.command("/imagine a fox").ok

        assert (slack.messages(), slack.ephemerals()) == ([], [])

    def test_an_answer_with_bad_blocks_fails_the_command(self, slack: LocalSlack, bot: RecordingBot) -> None:
        bot.answers = [httpx.Response(200, json={"text": "x", "blocks": [{"type": "section"}]})]

        delivered = slack.command("/imagine a fox")

        assert (delivered.ok, delivered.code) == (False, "dispatch_failed")
        assert slack.ephemerals() == []

    @pytest.mark.parametrize(("status", "code"), [(500, "dispatch_failed"), (401, "dispatch_failed")])
    def test_an_error_status_fails_the_command(
        self, slack: LocalSlack, bot: RecordingBot, status: int, code: str
    ) -> None:
        bot.answers = [httpx.Response(status, text="oops")]

        delivered = slack.command("/imagine a fox")

        assert (delivered.failure, delivered.code, delivered.status) == ("http_error", code, status)
        assert slack.ephemerals() == []

    def test_a_bot_that_is_not_there_fails_the_command(self) -> None:
        with LocalSlack(manifest=manifest("http://127.0.0.1:9/")) as slack:
            assert slack.command("/imagine a fox").failure == "connection_failed"


class TestDeadline:
    @pytest.fixture
    def timed(self, bot: RecordingBot) -> Iterator[LocalSlack]:
        with LocalSlack(
            manifest=manifest_with(*EVERY_SCOPE), bot_transport=ThreadedBot(bot), clock=ManualClock()
        ) as slack:
            yield slack

    def test_a_bot_slower_than_three_seconds_times_out(self, timed: LocalSlack, bot: RecordingBot) -> None:
        bot.answers = [httpx.Response(200, text="too late")]
        timed.faults.bot_seconds = 3.5

        delivered = timed.meanwhile(lambda: timed.command("/imagine a fox"), advance=3.1, sleepers=2)

        assert (delivered.failure, delivered.code, delivered.ms) == (
            "http_timeout",
            "operation_timeout",
            3100.0,
        )
        assert timed.ephemerals() == []

    def test_a_bot_just_in_time_is_heard(self, timed: LocalSlack, bot: RecordingBot) -> None:
        bot.answers = [httpx.Response(200, text="in time")]
        timed.faults.bot_seconds = 2.5

        delivered = timed.meanwhile(lambda: timed.command("/imagine a fox"), advance=2.6, sleepers=2)

        assert delivered.ok
        assert [m.text for m in timed.ephemerals()] == ["in time"]

    def test_the_signature_carries_the_injected_time(self, timed: LocalSlack, bot: RecordingBot) -> None:
        timed.command("/imagine a fox")

        class Then(SignatureClock):
            def now(self) -> float:
                return timed.platform.clock.now()

        (request,) = bot.requests
        assert SignatureVerifier(timed.signing_secret, Then()).is_valid_request(
            request.content, dict(request.headers)
        )


class TestControls:
    def test_a_button_tells_its_value_and_where_it_stood(
        self, slack: LocalSlack, bot: RecordingBot, card: Shown
    ) -> None:
        slack.click(card, "vary", user="robin")

        told = interaction(bot.requests[0])
        (action,) = told["actions"]
        assert (told["type"], told["user"]["id"]) == ("block_actions", "U0000000002")
        assert (action["action_id"], action["block_id"], action["value"]) == ("vary", "controls", "job.1")
        assert action["action_ts"]
        assert told["container"] == {
            "type": "message",
            "message_ts": card.ts,
            "channel_id": PICTURES,
            "is_ephemeral": False,
        }
        assert told["message"]["ts"] == card.ts
        assert SignatureVerifier(slack.signing_secret).is_valid_request(
            bot.requests[0].content, dict(bot.requests[0].headers)
        )

    def test_a_menu_tells_the_chosen_option_as_the_message_has_it(
        self, slack: LocalSlack, bot: RecordingBot, card: Shown
    ) -> None:
        slack.select(card, "pick", "2")

        told = interaction(bot.requests[0])
        assert told["actions"][0]["selected_option"] == option("2")
        assert told["state"]["values"]["controls"]["pick"]["selected_option"] == option("2")

    def test_a_button_brings_what_stands_in_the_menus(
        self, slack: LocalSlack, bot: RecordingBot, card: Shown
    ) -> None:
        slack.click(card, "vary", state={"pick": "1"})

        state = interaction(bot.requests[0])["state"]["values"]
        assert state == {"controls": {"pick": {"type": "static_select", "selected_option": option("1")}}}

    def test_an_untouched_menu_is_empty_in_the_state(
        self, slack: LocalSlack, bot: RecordingBot, card: Shown
    ) -> None:
        slack.click(card, "vary")

        assert interaction(bot.requests[0])["state"]["values"]["controls"]["pick"]["selected_option"] is None

    def test_an_overflow_menu_has_no_state(self, slack: LocalSlack, bot: RecordingBot, card: Shown) -> None:
        slack.select(card, "more", "delete")

        told = interaction(bot.requests[0])
        assert told["actions"][0]["selected_option"]["value"] == "delete"
        assert "more" not in told["state"]["values"]["controls"]

    def test_every_kind_of_control_has_its_state(
        self, slack: LocalSlack, client: WebClient, bot: RecordingBot
    ) -> None:
        choices = [option("a"), option("b")]
        elements: list[dict[str, Any]] = [
            {"type": "radio_buttons", "action_id": "radio", "options": choices, "initial_option": choices[0]},
            {"type": "checkboxes", "action_id": "boxes", "options": choices},
            {"type": "multi_static_select", "action_id": "many", "options": choices},
            {
                "type": "static_select",
                "action_id": "grouped",
                "option_groups": [{"label": {"type": "plain_text", "text": "g"}, "options": choices}],
            },
        ]
        text = {"type": "plain_text_input", "action_id": "prompt", "initial_value": "a fox"}
        label = {"type": "plain_text", "text": "Prompt"}
        blocks: list[dict[str, Any]] = [
            {"type": "actions", "block_id": "b", "elements": elements},
            {"type": "input", "block_id": "i", "label": label, "element": text},
            {"type": "section", "block_id": "s", "text": label, "accessory": elements[0]},
        ]
        client.chat_postMessage(channel=PICTURES, text="x", blocks=blocks)
        shown = slack.messages()[0]

        slack.select(shown, "boxes", "a", "b")
        slack.select(shown, "grouped", "b")

        first, second = (interaction(request) for request in bot.requests)
        assert first["actions"][0]["selected_options"] == choices
        assert second["actions"][0]["selected_option"] == choices[1]
        assert first["state"]["values"] == {
            "b": {
                "radio": {"type": "radio_buttons", "selected_option": choices[0]},
                "boxes": {"type": "checkboxes", "selected_options": choices},
                "many": {"type": "multi_static_select", "selected_options": []},
                "grouped": {"type": "static_select", "selected_option": None},
            },
            "i": {"prompt": {"type": "plain_text_input", "value": "a fox"}},
            "s": {"radio": {"type": "radio_buttons", "selected_option": choices[0]}},
        }

    def test_an_option_that_is_not_offered_is_no_choice(self, slack: LocalSlack, card: Shown) -> None:
        with pytest.raises(SlackError, match="option_not_found"):
            slack.select(card, "pick", "9")

    def test_an_old_view_of_a_changed_message_can_still_be_clicked(
        self, slack: LocalSlack, client: WebClient, bot: RecordingBot, card: Shown
    ) -> None:
        client.chat_update(channel=PICTURES, ts=card.ts, text="done")

        slack.click(card, "vary")

        assert interaction(bot.requests[0])["actions"][0]["value"] == "job.1"

    def test_a_control_on_an_ephemeral_comes_without_the_message(
        self, slack: LocalSlack, client: WebClient, bot: RecordingBot
    ) -> None:
        client.chat_postEphemeral(channel=PICTURES, user="U0000000001", text="x", blocks=CONTROLS)

        slack.click(slack.ephemerals()[0], "vary")

        told = interaction(bot.requests[0])
        assert told["container"]["is_ephemeral"] is True
        assert "message" not in told

    def test_a_control_in_a_thread_names_the_thread(
        self, slack: LocalSlack, client: WebClient, bot: RecordingBot, card: Shown
    ) -> None:
        client.chat_postMessage(channel=PICTURES, thread_ts=card.ts, text="x", blocks=CONTROLS)

        slack.click(slack.thread("pictures", card.ts)[0], "vary")

        assert interaction(bot.requests[0])["container"]["thread_ts"] == card.ts


class TestResponseUrl:
    def url(self, slack: LocalSlack, bot: RecordingBot) -> str:
        slack.command("/imagine a fox")
        return form(bot.requests[-1])["response_url"]

    def test_works_five_times(self, slack: LocalSlack, bot: RecordingBot) -> None:
        url = self.url(slack, bot)

        answers = [respond(url, text=str(n)) for n in range(6)]

        assert [a.text for a in answers[:5]] == ["ok"] * 5
        assert (answers[5].status_code, answers[5].json()["error"]) == (404, "used_url")
        assert [m.text for m in slack.ephemerals()] == ["0", "1", "2", "3", "4"]

    def test_works_for_thirty_minutes(self, bot: RecordingBot) -> None:
        with LocalSlack(bot_transport=ThreadedBot(bot), clock=ManualClock()) as slack:
            url = self.url(slack, bot)
            slack.advance(30 * 60)
            in_time = respond(url, text="in time")
            slack.advance(1)
            late = respond(url, text="late")

        assert in_time.text == "ok"
        assert (late.status_code, late.json()["error"]) == (404, "expired_url")

    def test_reaches_channels_where_the_bot_is_not(self, slack: LocalSlack, bot: RecordingBot) -> None:
        slack.command("/imagine a fox", channel="studio")

        respond(form(bot.requests[0])["response_url"], text="here", response_type="in_channel")

        assert [m.text for m in slack.messages("studio")] == ["here"]

    def test_a_guessed_address_is_refused(self, slack: LocalSlack) -> None:
        answer = respond(f"{slack.base_url}/commands/T0000000001/guess", text="x")

        assert (answer.status_code, answer.json()["error"]) == (404, "invalid_url")

    def test_nothing_to_say_is_refused(self, slack: LocalSlack, bot: RecordingBot) -> None:
        answer = respond(self.url(slack, bot), response_type="ephemeral")

        assert answer.json()["error"] == "no_text"

    def test_bad_blocks_are_refused_with_the_reason(self, slack: LocalSlack, bot: RecordingBot) -> None:
        answer = respond(self.url(slack, bot), text="x", blocks=[{"type": "section"}])

        assert answer.json()["error"] == "invalid_blocks"
        assert slack.ephemerals() == []

    @pytest.mark.parametrize("body", [b"{", b"[]"])
    def test_a_body_that_is_no_message_is_refused(
        self, slack: LocalSlack, bot: RecordingBot, body: bytes
    ) -> None:
        answer = loopback.post(self.url(slack, bot), content=body)

        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_payload")

    def test_replaces_the_ephemeral_it_came_from(
        self, slack: LocalSlack, client: WebClient, bot: RecordingBot
    ) -> None:
        client.chat_postEphemeral(channel=PICTURES, user="U0000000001", text="sure?", blocks=CONTROLS)
        slack.click(slack.ephemerals()[0], "vary")

        respond(interaction(bot.requests[0])["response_url"], text="gone", replace_original=True)

        (shown,) = slack.ephemerals()
        assert (shown.text, shown.blocks) == ("gone", [])

    def test_deletes_the_message_it_came_from(
        self, slack: LocalSlack, bot: RecordingBot, card: Shown
    ) -> None:
        slack.click(card, "vary")

        respond(interaction(bot.requests[0])["response_url"], delete_original=True)

        assert slack.messages() == []

    def test_answers_beside_the_message_by_default(
        self, slack: LocalSlack, bot: RecordingBot, card: Shown
    ) -> None:
        slack.click(card, "vary")

        respond(interaction(bot.requests[0])["response_url"], text="on it")

        assert [m.words for m in slack.messages()] == [card.words]
        assert [m.text for m in slack.ephemerals()] == ["on it"]


class TestTrigger:
    def test_is_good_once_and_for_three_seconds(self, bot: RecordingBot) -> None:
        with LocalSlack(bot_transport=ThreadedBot(bot), clock=ManualClock()) as slack:
            slack.command("/imagine a")
            slack.command("/imagine b")
            first, second = (parse_qs(r.content.decode())["trigger_id"][0] for r in bot.requests)
            triggers = slack.platform.triggers

            triggers.redeem(first)
            with pytest.raises(SlackError, match="exchanged_trigger_id"):
                triggers.redeem(first)
            slack.advance(3.1)
            with pytest.raises(SlackError, match="expired_trigger_id"):
                triggers.redeem(second)
            with pytest.raises(SlackError, match="invalid_trigger_id"):
                triggers.redeem("1.2.3")
