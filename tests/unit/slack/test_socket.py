"""Socket Mode brings the same commands to the same listeners."""

from bot.slack.socket import SocketRunner
from infra.local.slack.testing import LocalSlack
from tests.unit.slack.world import World


def test_a_command_over_a_socket_becomes_a_picture():
    with World(slack=LocalSlack()) as world:
        world.slack.connect_bot(None)
        runner = SocketRunner(world.app, app_token=world.slack.app_token, base_url=world.slack.api_url)
        runner.start()
        try:
            card = world.run("/imagine a red fox")
            assert world.slack.click(card, "reroll").ok
            assert len(world.jobs()) == 2
            assert world.slack.command("/imagine help").ok
            assert "a red apple" in world.slack.ephemerals()[-1].words
        finally:
            runner.stop()
