"""The commands over an account of moto's, in which nothing is deployed at first."""

from collections.abc import Callable

import pytest

from bot.bootstrap_aws import core_of, deployment
from infra import cli
from infra.commands.endpoint import shared
from tests.aws.environment import environment
from tests.infra.operating.places import Place, deploy_function
from tests.infra.plain_account import PlainAccount

Imagine = Callable[..., int]


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> PlainAccount:
    account = PlainAccount()
    monkeypatch.setattr(shared, "AwsClients", lambda region: account)
    return account


@pytest.fixture
def imagine(account: PlainAccount) -> Imagine:
    return lambda *words: cli.main([*words])


@pytest.fixture
def stage_with_jobs(account: PlainAccount) -> Place:
    """A stage whose worker tells by its environment where table, queue and bucket are."""
    cloud = account.cloud
    environ = environment(
        IMAGINE_TABLE=cloud.make_table(),
        IMAGINE_QUEUE_URL=cloud.make_queue(),
        IMAGINE_BUCKET=cloud.make_bucket(),
    )
    deploy_function(account, "imagine-dev-worker", environ)
    deployed = deployment("test", environ, clients=cloud.clients)
    return Place(core=core_of(deployed, sinks={}), words=())
