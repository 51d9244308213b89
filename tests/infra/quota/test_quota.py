"""`imagine quota`: exact names, what is too small, and one request for each."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from infra import cli
from infra.commands.endpoint import shared
from infra.endpoint.errors import QuotaTooSmall
from infra.endpoint.settings import EndpointSettings
from infra.quota.quotas import need_endpoint_quota
from tests.infra.plain_account import PlainAccount
from tests.infra.quota.service_quotas import ServiceQuotas

Imagine = Callable[..., int]
G6, G5 = "ml.g6.xlarge for endpoint usage", "ml.g5.xlarge for endpoint usage"
SPOT = "ml.g5.xlarge for spot training job usage"


@pytest.fixture
def quotas() -> ServiceQuotas:
    others = {f"ml.c{number}.large for endpoint usage": 4.0 for number in range(5)}
    return ServiceQuotas(applied={**others, G6: 2.0, G5: 0.0}, defaults={SPOT: 1.0, G5: 0.0})


@pytest.fixture
def account(quotas: ServiceQuotas) -> PlainAccount:
    return PlainAccount(answers={"service-quotas": quotas})


@pytest.fixture
def imagine(account: PlainAccount, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Imagine:
    (tmp_path / "endpoint.toml").write_text(
        'model = "s3://models/one/"\n[instances]\ntypes = ["ml.g6.xlarge", "ml.g5.xlarge"]\n'
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shared, "AwsClients", lambda region: account)
    return lambda *words: cli.main(["quota", *words])


def test_show_names_each_quota_exactly(imagine: Imagine, capsys: pytest.CaptureFixture[str]):
    assert imagine() == 0
    assert capsys.readouterr().out.splitlines() == [
        'ok   "ml.g6.xlarge for endpoint usage" is 2, 2 needed',
        'low  "ml.g5.xlarge for endpoint usage" is 0, 2 needed',
        'ok   "ml.g5.xlarge for spot training job usage" is 1, 1 needed',
        "ask for more: imagine quota request",
    ]
    assert imagine("show", "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["quota"] == G6


def test_nothing_may_run_is_status_one(imagine: Imagine, quotas: ServiceQuotas):
    quotas.applied[G6] = 0.0
    assert imagine("show") == 1


def test_a_quota_that_aws_does_not_list_is_said_so(
    imagine: Imagine, quotas: ServiceQuotas, capsys: pytest.CaptureFixture[str]
):
    del quotas.applied[G6]
    assert imagine() == 1
    assert f'AWS lists no quota "{G6}" in this region' in capsys.readouterr().out


def test_request_asks_first_and_only_once(
    imagine: Imagine, quotas: ServiceQuotas, capsys: pytest.CaptureFixture[str]
):
    assert imagine("request") == 1
    assert "say --yes" in capsys.readouterr().err
    assert imagine("request", "--dry-run") == 0
    assert quotas.requests == []

    assert imagine("request", "--yes") == 0
    assert "asked, request request-1: ml.g5.xlarge for endpoint usage" in capsys.readouterr().out
    assert imagine("request", "--yes") == 0
    assert [(told["DesiredValue"], told["ServiceCode"]) for told in quotas.requests] == [(2.0, "sagemaker")]
    assert "2 are asked for" in capsys.readouterr().out


def test_a_preflight_names_every_quota_that_is_zero(account: PlainAccount, quotas: ServiceQuotas):
    settings = EndpointSettings(types=("ml.g5.xlarge", "ml.g6.xlarge"))
    assert need_endpoint_quota(account, settings).need.kind == "ml.g6.xlarge"

    quotas.applied[G6] = 0.0
    with pytest.raises(QuotaTooSmall) as told:
        need_endpoint_quota(account, settings)
    assert G5 in str(told.value)
    assert G6 in str(told.value)
    assert "imagine quota request" in str(told.value)
