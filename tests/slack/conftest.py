"""A running local Slack, a client for it, and a bot that records what it is told."""

from collections.abc import Iterator

import pytest
from slack_sdk import WebClient

from infra.local.slack.testing import LocalSlack, ThreadedBot
from tests.slack.bots import EVERY_SCOPE, RecordingBot, manifest_with


@pytest.fixture
def bot() -> RecordingBot:
    return RecordingBot()


@pytest.fixture
def slack(bot: RecordingBot) -> Iterator[LocalSlack]:
    with LocalSlack(manifest=manifest_with(*EVERY_SCOPE), bot_transport=ThreadedBot(bot)) as running:
        yield running


@pytest.fixture
def client(slack: LocalSlack) -> WebClient:
    """A client that never tries twice, so that a fault shows."""
    return WebClient(slack.bot_token, base_url=slack.api_url, retry_handlers=[])
