"""Socket Mode: the same app, fed over a WebSocket that the bot opens. No public address is needed."""

import contextlib
import logging
from socket import SHUT_RDWR

from slack_bolt import App
from slack_bolt.adapter.socket_mode.builtin import SocketModeHandler
from slack_sdk import WebClient

from bot.slack.web import SLACK_API


class SocketRunner:
    """Keeps a Socket Mode connection until it is stopped; it reconnects by itself.

    Slack authenticates the connection by the app token, so requests carry no signature.
    """

    def __init__(self, app: App, *, app_token: str, base_url: str = SLACK_API, concurrency: int = 10) -> None:
        logger = logging.getLogger("slack_bolt.socket_mode")
        logger.setLevel(logging.WARNING)
        client = WebClient(token=app_token, base_url=base_url, logger=logger)
        self._handler = SocketModeHandler(
            app, app_token=app_token, web_client=client, logger=logger, concurrency=concurrency
        )

    def start(self) -> None:
        """Connect and return; requests are handled on threads. Raises SlackApiError when Slack refuses."""
        self._handler.connect()  # type: ignore[no-untyped-call]

    def stop(self) -> None:
        """Disconnect; a request under way is answered first."""
        self._handler.client.auto_reconnect_enabled = False
        session = self._handler.client.current_session
        if session is not None and session.sock is not None:
            # The client's reader waits up to three seconds for a frame; a closed socket wakes it at once.
            with contextlib.suppress(OSError):
                session.sock.shutdown(SHUT_RDWR)
        self._handler.close()  # type: ignore[no-untyped-call]
