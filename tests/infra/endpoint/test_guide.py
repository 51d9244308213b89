"""The guide's notebook steps, as docs/from-the-guide.md shows them."""

import json
from pathlib import Path

import pytest

from infra import cli
from infra.commands.endpoint import shared
from tests.contracts.inference_stub import InferenceStub
from tests.docs.captured import hold
from tests.infra.endpoint.account import Account
from tests.infra.image.repository import PNG

RELEASE = "releases/20261128-101500-3fa9c1d2/"


def test_making_and_testing_an_endpoint_is_printed_as_the_page_shows_it(
    account: Account,
    container: InferenceStub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    goal = account.goal()
    account.deploy()
    container.answer = lambda _body: (200, json.dumps({"images": [PNG]}).encode())
    (tmp_path / "endpoint.toml").write_text(f'model = "{goal.settings.model}"\nimage = "{goal.image}"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shared, "AwsClients", lambda region: account)
    monkeypatch.setattr(shared.time, "sleep", account.stand.advance)
    monkeypatch.setattr(shared.time, "time", account.stand.region.now)
    known_as = {
        account.stand.bucket: "imagine-dev-yourteam",
        account.stand.cloud.account_id: "123456789012",
    }

    for name, words in (
        ("plan", ["plan"]),
        ("apply", ["apply", "--yes"]),
        ("test", ["test", "a red apple", "-o", "apple.png"]),
        ("delete", ["delete", "--yes"]),
    ):
        assert cli.main(["endpoint", *words]) == 0
        hold(name, capsys.readouterr().out, known_as=known_as)
