"""The commands over an account of moto's, in which nothing is deployed at first."""

from collections.abc import Callable

import pytest

from infra import cli
from infra.commands.endpoint import shared
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
