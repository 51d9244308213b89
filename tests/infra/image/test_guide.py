"""The guide's "build the container image", as docs/from-the-guide.md shows it."""

import pytest

from tests.docs.captured import hold
from tests.infra.image.conftest import Imagine, Machine
from tests.infra.plain_account import PlainAccount


def test_building_and_pushing_is_printed_as_the_page_shows_it(
    imagine: Imagine, machine: Machine, account: PlainAccount, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.install("docker")

    assert imagine("push", "us-east-1") == 0

    hold("push", capsys.readouterr().out, known_as={account.cloud.account_id: "123456789012"})
