"""Socket Mode with Slack's own client, and with a bare socket where its details matter."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from slack_bolt import App
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_bolt.authorization import AuthorizeResult
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from infra.local.slack.testing import LocalSlack
from infra.slack_manifest import manifest


@pytest.fixture
def slack() -> Iterator[LocalSlack]:
    app = manifest(None)
    app["settings"]["event_subscriptions"] = {"bot_events": ["message.channels"]}
    with LocalSlack(manifest=app) as running:
        yield running


def address(slack: LocalSlack) -> str:
    return str(
        WebClient(slack.app_token, base_url=slack.api_url).apps_connections_open(app_token=slack.app_token)[
            "url"
        ]
    )


@contextmanager
def opened(slack: LocalSlack) -> Iterator[ClientConnection]:
    """An open connection that has been greeted."""
    with connect(address(slack)) as connection:
        assert json.loads(connection.recv())["type"] == "hello"
        yield connection


Envelopes = list[dict[str, Any]]


@contextmanager
def acknowledging(slack: LocalSlack, answer: dict[str, Any] | None = None) -> Iterator[Envelopes]:
    """A connection that acknowledges every envelope with ``answer``; what came in so far."""
    envelopes: Envelopes = []
    with opened(slack) as connection, ThreadPoolExecutor(max_workers=1) as pool:
        reading = pool.submit(acknowledge_all, connection, envelopes, answer)
        yield envelopes
        connection.close()
        reading.result(timeout=60)


def acknowledge_all(
    connection: ClientConnection, envelopes: Envelopes, answer: dict[str, Any] | None
) -> None:
    for text in connection:
        envelope = json.loads(text)
        envelopes.append(envelope)
        ack = {"envelope_id": envelope["envelope_id"]} | ({} if answer is None else {"payload": answer})
        connection.send(json.dumps(ack))


def test_bolt_answers_commands_and_controls_over_a_socket(slack: LocalSlack) -> None:
    client = WebClient(slack.bot_token, base_url=slack.api_url)
    app = App(
        client=client,
        signing_secret=slack.signing_secret,
        authorize=lambda: AuthorizeResult(
            enterprise_id=None, team_id="T0000000001", bot_user_id="U0000000100", bot_token=slack.bot_token
        ),
    )
    clicked = threading.Event()

    @app.command("/imagine")
    def imagine(ack: Any, command: dict[str, Any], client: WebClient) -> None:
        button = {"type": "button", "action_id": "go", "text": {"type": "plain_text", "text": "Go"}}
        client.chat_postMessage(
            channel=command["channel_id"],
            text=command["text"],
            blocks=[{"type": "actions", "elements": [button]}],
        )
        ack("drawing")

    @app.action("go")
    def go(ack: Any) -> None:
        ack()
        clicked.set()

    handler = SocketModeHandler(
        app, slack.app_token, web_client=WebClient(slack.app_token, base_url=slack.api_url)
    )
    handler.connect()
    try:
        slack.wait_for(lambda: slack.platform.sockets.connections == 1)
        assert slack.command("/imagine a fox").ok
        assert [m.text for m in slack.ephemerals()] == ["drawing"]
        assert slack.click(slack.messages()[0], "go").ok
        assert clicked.wait(timeout=60)
    finally:
        handler.close()


def test_an_envelope_carries_the_command_and_its_ack_the_answer(slack: LocalSlack) -> None:
    with acknowledging(slack, {"text": "drawing"}) as envelopes:
        assert slack.command("/imagine a fox").ok

    (envelope,) = envelopes
    assert (envelope["type"], envelope["accepts_response_payload"]) == ("slash_commands", True)
    assert (envelope["payload"]["command"], envelope["payload"]["text"]) == ("/imagine", "a fox")
    assert [m.text for m in slack.ephemerals()] == ["drawing"]


def test_envelopes_go_to_the_connections_in_turn(slack: LocalSlack) -> None:
    with acknowledging(slack) as first, acknowledging(slack) as second:
        for _ in range(4):
            assert slack.command("/imagine a fox").ok

    assert (len(first), len(second)) == (2, 2)


def test_an_event_says_which_attempt_it_is(slack: LocalSlack) -> None:
    with acknowledging(slack) as envelopes:
        slack.say("hello")
        slack.wait_for(lambda: envelopes)

    (envelope,) = envelopes
    assert (envelope["type"], envelope["retry_attempt"]) == ("events_api", 0)
    assert envelope["payload"]["event"]["text"] == "hello"


def test_without_a_connection_the_command_fails_at_once(slack: LocalSlack) -> None:
    assert slack.command("/imagine a fox").code == "dispatch_failed"


def test_a_connection_lost_before_the_ack_fails_the_command(slack: LocalSlack) -> None:
    with opened(slack) as connection, ThreadPoolExecutor(max_workers=1) as pool:
        received = pool.submit(connection.recv)
        received.add_done_callback(lambda _envelope: connection.close())
        delivered = slack.command("/imagine a fox")

    assert delivered.failure == "connection_failed"


def test_slack_can_ask_for_a_new_connection(slack: LocalSlack) -> None:
    with opened(slack) as connection:
        slack.refresh_sockets()

        told = json.loads(connection.recv())
        assert (told["type"], told["reason"]) == ("disconnect", "refresh_requested")
        with pytest.raises(ConnectionClosed):
            connection.recv()


def test_an_address_works_once(slack: LocalSlack) -> None:
    url = address(slack)
    with connect(url) as first:
        assert json.loads(first.recv())["connection_info"]["app_id"] == "A0000000001"

        with pytest.raises(InvalidStatus, match="403"), connect(url):
            pass


def test_an_eleventh_connection_is_refused(slack: LocalSlack) -> None:
    with ExitStack() as ten:
        for _ in range(10):
            ten.enter_context(opened(slack))

        with pytest.raises(InvalidStatus, match="403"), connect(address(slack)):
            pass


def test_an_app_without_socket_mode_gets_no_address(slack: LocalSlack) -> None:
    slack.connect_bot("http://bot.test/")

    with pytest.raises(SlackApiError, match="forbidden_team"):
        address(slack)
