"""What else goes on while something goes wrong."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from infra.rehearsal.workspace import install_with, new_token
from tests.lambda_package.faults.fault import Situation
from tests.lambda_package.faults.on_loopback import bot_of
from tests.lambda_package.faults.seeing import PATIENCE
from tests.scenarios.stack import Stack

SECRET_READERS = ("worker", "result", "failure", "sweep")
"""The functions that read the token."""


@contextmanager
def admin_at_work(world: Stack) -> Iterator[None]:
    """An admin pauses and resumes, each as often as it takes until it is confirmed."""
    yield
    _until_confirmed(world, 'admin pause "one moment"', confirmed_by="with this reason")
    _until_confirmed(world, "admin resume", confirmed_by="Drawing goes on")


def cold(*names: str, store: str = "ssm") -> Situation:
    """These functions have just started, and know no secret yet; it lies in `ssm` or `secretsmanager`."""

    def situation(world: Stack) -> AbstractContextManager[None]:
        bot = bot_of(world)
        bot.packed.start_anew(*names, settings=bot.secrets_in(store))
        return nullcontext()

    return situation


def rotated(world: Stack) -> AbstractContextManager[None]:
    """The functions have just used a token that Slack does not take any more; the new one is in the store."""
    bot, token = bot_of(world), new_token()
    bot.packed.start_anew(*SECRET_READERS)
    world.draw(f"a red fox --seed {bot.fresh_seed()}")
    install_with(world.slack, token)
    bot.store_token(token)
    return nullcontext()


def engine_fails(world: Stack) -> AbstractContextManager[None]:
    """The next two drawings do."""
    world.engine.fail_next(*(RuntimeError("out of order") for _ in range(2)))
    return nullcontext()


def release_unseen(world: Stack) -> AbstractContextManager[None]:
    """Nobody knows yet what the endpoint draws with; the sweep is about to look."""
    bot_of(world).forget_release()
    return nullcontext()


def _until_confirmed(world: Stack, line: str, *, confirmed_by: str) -> None:
    def is_confirmed() -> bool:
        before = len(world.told("robin"))
        world.slack.command(f"/imagine {line}", user="robin")
        return any(confirmed_by in told for told in world.told("robin")[before:])

    world.until(is_confirmed, PATIENCE)
