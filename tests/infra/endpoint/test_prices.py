"""What `imagine endpoint cost` says, and what it rests on: our table, or AWS's price list."""

import json
from pathlib import Path

import pytest

from infra.endpoint.cost import idle_month, total, total_without_free
from infra.endpoint.rates import RATES
from tests.infra.endpoint.account import Account
from tests.infra.endpoint.price_api import product
from tests.infra.endpoint.test_commands import Imagine, imagine

__all__ = ["imagine"]

IRELAND = [
    ("AmazonS3", product("EU-TimedStorage-ByteHrs", [(0, 0.03), (51200, 0.02)], volumeType="Standard")),
    ("AmazonS3", product("EU-TimedStorage-SIA-ByteHrs", [(0, 9)], volumeType="Standard")),
    ("AmazonECR", product("EU-TimedStorage-ByteHrs", [(0, 0.2)])),
    ("AmazonCloudWatch", product("EU-DataProcessing-Bytes", [(0, 0.6)], family="Data Payload")),
    ("AmazonCloudWatch", product("EU-DataProcessingIA-Bytes", [(0, 9)], family="Data Payload")),
    ("AmazonCloudWatch", product("EU-CW:AlarmMonitorUsage", [(0, 0.11)], family="Alarm")),
    ("AmazonCloudWatch", product("EU-CW:HighResAlarmMonitorUsage", [(0, 9)], family="Alarm")),
    (
        "AWSLambda",
        product("EU-Lambda-GB-Second-ARM", [(0, 0), (400000, 2e-5)], group="AWS-Lambda-Duration-ARM"),
    ),
    ("AWSLambda", product("EU-Request-ARM", [(0, 3e-7)], group="AWS-Lambda-Requests-ARM")),
    (
        "AWSQueueService",
        product("EU-Requests-FIFO-Tier1", [(0, 9)], queueType="Standard", group="SQS-APIRequest-Tier1"),
    ),
    (
        "AWSQueueService",
        product(
            "EU-Requests-Tier1", [(0, 0), (10**6, 5e-7)], queueType="Standard", group="SQS-APIRequest-Tier1"
        ),
    ),
    ("AmazonDynamoDB", product("EU-IA-ReadRequestUnits", [(0, 9)], group="DDB-ReadUnits")),
    ("AmazonDynamoDB", product("EU-ReadRequestUnits", [(0, 2e-7)], group="DDB-ReadUnits")),
    ("CodeBuild", product("EU-Build-Min:Linux:g1.medium", [(0, 0.02)])),
]
LISTED = {
    "s3_gb": 0.03,
    "ecr_gb": 0.2,
    "log_gb": 0.6,
    "alarm": 0.11,
    "lambda_gb_second": 2e-5,
    "lambda_call": 3e-7,
    "sqs_call": 5e-7,
    "dynamodb_read": 2e-7,
    "build_minute": 0.02,
}


def in_ireland(account: Account) -> None:
    account.prices.others = IRELAND
    for _, told in IRELAND:
        told["product"]["attributes"]["regionCode"] = "eu-west-1"


def test_every_line_is_looked_up_and_says_so(
    imagine: Imagine, account: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    in_ireland(account)
    assert LISTED.keys() == RATES.keys()

    assert imagine("cost", "--refresh", "--region", "eu-west-1") == 0
    shown = capsys.readouterr().out
    assert "0 prices of instances in eu-west-1 and 9 of 9 others are in prices.json" in shown
    assert "$   0.30  models in S3, 10 GB (eu-west-1 prices of 2027-01-15, AWS's price list)" in shown
    assert "$   1.21  alarms, 11 (eu-west-1 prices of 2027-01-15, AWS's price list)" in shown
    assert "of ml.g6.xlarge (us-east-1 prices of 2026-08, our table; eu-west-1 may differ" in shown
    assert json.loads((tmp_path / "prices.json").read_text())["rates"] == LISTED
    asked = {
        (told["ServiceCode"], field["Value"]) for told in account.prices.asked for field in told["Filters"]
    }
    assert {(rate.service, "eu-west-1") for rate in RATES.values()} <= asked

    assert imagine("cost") == 0
    assert "$   0.30  models in S3, 10 GB (eu-west-1 prices of 2027-01-15" in capsys.readouterr().out


def test_what_the_list_does_not_have_stays_with_the_table(
    imagine: Imagine, account: Account, capsys: pytest.CaptureFixture[str]
):
    account.prices.others = [("AmazonECR", product("USE1-TimedStorage-ByteHrs", [(0, 0.2)]))]

    assert imagine("cost", "--refresh") == 0
    shown = capsys.readouterr().out
    assert "0 prices of instances in us-east-1 and 1 of 9 others are in prices.json" in shown
    assert "$   0.80  images in ECR, 4 GB (us-east-1 prices of 2027-01-15, AWS's price list)" in shown
    assert "$   1.10  alarms, 11 (us-east-1 prices of 2026-08, our table)" in shown


def test_chinas_yuan_are_refused_and_nothing_is_asked(
    imagine: Imagine, account: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    for words in (("cost",), ("cost", "--refresh")):
        assert imagine(*words, "--region", "cn-north-1") == 1
        told = capsys.readouterr().err
        assert "cn-north-1 bills in yuan by a price list of its own" in told
        assert "calculator.amazonaws.cn" in told
    assert account.prices.asked == []
    assert not (tmp_path / "prices.json").exists()


def test_an_instance_without_a_price_is_unknown_and_not_free(
    imagine: Imagine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    with (tmp_path / "endpoint.toml").open("a") as file:
        file.write('[instances]\ntypes = ["ml.p9.huge"]\n')

    assert imagine("cost") == 0
    assert "unknown  2000 pictures of 5 s, 60 times woken" in capsys.readouterr().out


def test_both_sums_are_told(imagine: Imagine, capsys: pytest.CaptureFixture[str]):
    assert imagine("cost", "--json") == 0
    told = json.loads(capsys.readouterr().out)

    lines = idle_month()
    assert told["idle_total"] == pytest.approx(sum(line["dollars"] for line in told["idle"]))
    assert told["idle_total"] == pytest.approx(total(lines)) == pytest.approx(1.91, abs=0.01)
    waived = {line.what.partition(",")[0]: line.waived for line in lines if line.waived}
    assert waived == {"dashboard": 3.0, "queue": pytest.approx(0.26, abs=0.01)}
    assert told["idle_total_without_free_amounts"] == pytest.approx(total_without_free(lines))
    assert {line["basis"] for line in told["idle"]} == {"us-east-1 prices of 2026-08, our table"}
