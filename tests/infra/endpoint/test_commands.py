"""`imagine endpoint …` as a person types it: what is printed, what is asked, and the exit status."""

import base64
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from infra import cli
from infra.commands.endpoint import shared
from infra.commands.endpoint.drawing import in_terminal
from infra.endpoint.cost import idle_month, total
from tests.contracts.inference_stub import InferenceStub
from tests.infra.endpoint.account import Account

Imagine = Callable[..., int]


@pytest.fixture
def imagine(account: Account, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Imagine:
    """Runs a verb in a folder of its own, in an account where the stage dev is deployed."""
    goal = account.goal()
    account.deploy()
    file = f'model = "{goal.settings.model}"\nimage = "{goal.image}"\n'
    (tmp_path / "endpoint.toml").write_text(file)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shared, "AwsClients", lambda region: account)
    monkeypatch.setattr(shared.time, "sleep", account.stand.advance)
    monkeypatch.setattr(shared.time, "time", account.stand.region.now)
    return lambda *words: cli.main(["endpoint", *words])


def test_plan_apply_plan(imagine: Imagine, capsys: pytest.CaptureFixture[str]):
    assert imagine("plan", "--check") == 3
    planned = capsys.readouterr().out
    assert "+ endpoint         imagine-dev" in planned
    assert "about $1.13 (us-east-1 prices of 2026-08, our table) an hour" in planned

    assert imagine("apply", "--yes") == 0
    assert "done, 11 changes" in capsys.readouterr().out
    assert imagine("plan", "--check") == 0
    assert imagine("apply") == 0, "nothing to do asks nothing"
    assert capsys.readouterr().out.endswith("nothing to do\nnothing to do\n")


def test_nobody_is_asked_nothing_is_made(
    imagine: Imagine, account: Account, capsys: pytest.CaptureFixture[str]
):
    assert imagine("apply") == 1

    told = capsys.readouterr()
    assert "say --yes" in told.err
    assert account.stand.region.hosting.endpoints == {}


def test_a_file_that_cannot_be_is_named(imagine: Imagine, tmp_path: Any, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "endpoint.toml").write_text('model = "s3://b/m/"\n[instances]\ntypes = ["g5.xlarge"]\n')

    assert imagine("plan") == 1
    assert "endpoint.toml, instances.types" in capsys.readouterr().err


def test_a_stage_that_is_not_deployed(imagine: Imagine, capsys: pytest.CaptureFixture[str]):
    assert imagine("plan", "--stage", "prod") == 1
    assert "run imagine deploy --stage prod first" in capsys.readouterr().err


def test_status_for_people_and_for_programs(imagine: Imagine, capsys: pytest.CaptureFixture[str]):
    imagine("apply", "--yes")
    capsys.readouterr()

    assert imagine("status") == 0
    shown = capsys.readouterr().out
    assert "imagine-dev, InService" in shown
    assert "from 0 to 2 instances" in shown
    assert imagine("status", "--json") == 0
    assert json.loads(capsys.readouterr().out)["instances"] == 1


def test_no_endpoint_says_how_to_make_one(imagine: Imagine, capsys: pytest.CaptureFixture[str]):
    assert imagine("status", "--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert told == {
        "outcome": "failed",
        "reason": "there is no endpoint imagine-dev; imagine endpoint apply makes it",
    }


def png(color: str = "red") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 64), color).save(file, "PNG")
    return file.getvalue()


def test_a_picture_is_drawn_into_a_file(
    imagine: Imagine, container: InferenceStub, tmp_path: Any, capsys: pytest.CaptureFixture[str]
):
    body = json.dumps({"images": [base64.b64encode(png()).decode()]}).encode()
    container.answer = lambda _body: (200, body)
    imagine("apply", "--yes")

    assert imagine("test", "a red apple", "-o", "apple.png") == 0
    assert (tmp_path / "apple.png").read_bytes() == png()
    assert "drawn: apple.png" in capsys.readouterr().out


def test_a_sleeping_endpoint_is_not_woken_in_silence(
    imagine: Imagine, account: Account, capsys: pytest.CaptureFixture[str]
):
    imagine("apply", "--yes")
    account.stand.advance(30 * 60)

    assert imagine("test") == 1
    assert "asleep. Waking it for one picture costs about $0.56" in capsys.readouterr().err
    assert account.stand.region.runtime("imagine-dev").backlog == 0


def test_an_invocation_answers_as_the_container_did(
    imagine: Imagine, tmp_path: Any, capsys: pytest.CaptureFixture[str]
):
    imagine("apply", "--yes")
    (tmp_path / "request.json").write_text('{"task": "catalogue"}')
    capsys.readouterr()

    assert imagine("invoke", "request.json") == 0
    assert capsys.readouterr().out == '{"images": ["eA=="]}'


def test_warm_says_its_price_and_its_end(
    imagine: Imagine, account: Account, capsys: pytest.CaptureFixture[str]
):
    imagine("apply", "--yes")
    assert imagine("warm", "2h") == 1
    assert "That costs about $2.25" in capsys.readouterr().err

    assert imagine("warm", "2h", "--yes") == 0
    assert "it ends by itself" in capsys.readouterr().out
    account.stand.advance(3600)
    assert account.stand.status("imagine-dev")[1] == 1
    assert imagine("sleep", "--yes") == 0
    account.stand.advance(10)
    assert account.stand.status("imagine-dev") == ("InService", 0, 0)


@pytest.mark.parametrize("words", [("warm", "soon"), ("warm", "13h")])
def test_a_wrong_duration_is_bad_usage(imagine: Imagine, words: tuple[str, ...]):
    with pytest.raises(SystemExit) as ended:
        imagine(*words)
    assert ended.value.code == 2


def test_office_hours_are_set_shown_and_ended(imagine: Imagine, capsys: pytest.CaptureFixture[str]):
    imagine("apply", "--yes")
    assert imagine("schedule", "mon-fri 09:00-18:00 Europe/Berlin") == 1
    assert "196 hours a month, about $220" in capsys.readouterr().err
    assert imagine("schedule", "mon-fri 09:00-18:00 Europe/Berlin", "--yes") == 0
    imagine("status")
    assert "mon,tue,wed,thu,fri 09:00-18:00 Europe/Berlin" in capsys.readouterr().out
    assert imagine("schedule", "off") == 0
    assert imagine("schedule", "whenever", "--yes") == 1
    assert "write mon-fri 09:00-18:00" in capsys.readouterr().err


def test_draining_waits_for_the_backlog(imagine: Imagine, account: Account, container: InferenceStub):
    imagine("apply", "--yes")
    container.gate.clear()
    account.stand.invoke(name="imagine-dev")
    assert imagine("drain", "--minutes", "10") == 1

    container.gate.set()
    account.stand.until(lambda: account.stand.region.runtime("imagine-dev").backlog == 0)
    assert imagine("drain") == 0


def test_an_update_with_a_bad_picture_goes_back(
    imagine: Imagine, account: Account, tmp_path: Any, capsys: pytest.CaptureFixture[str]
):
    imagine("apply", "--yes")
    before = account.state()["endpoint"]
    account.stand.region.runtime("imagine-dev").faults.change({"lost": 1})
    with (tmp_path / "endpoint.toml").open("a") as file:
        file.write("[queue]\nconcurrency = 2\n")

    assert imagine("update", "--yes") == 1
    assert "again, as before" in capsys.readouterr().err
    assert account.state()["endpoint"] == before


def test_delete_names_what_stays(imagine: Imagine, account: Account, capsys: pytest.CaptureFixture[str]):
    imagine("apply", "--yes")
    assert imagine("delete") == 1
    assert account.stand.status("imagine-dev")[0] == "InService"
    assert imagine("delete", "--yes") == 0
    shown = capsys.readouterr().out
    assert "stays, and goes on billing" in shown
    assert "- endpoint imagine-dev" in shown
    assert account.stand.region.hosting.endpoints == {}


def test_logs_are_those_of_the_container(
    imagine: Imagine, account: Account, capsys: pytest.CaptureFixture[str]
):
    assert imagine("logs") == 1
    imagine("apply", "--yes")
    logs, named = account["logs"], {"logGroupName": "/aws/sagemaker/Endpoints/imagine-dev"}
    logs.create_log_stream(**named, logStreamName="AllTraffic/i-1/data-log")
    moment = int(datetime.now(tz=UTC).timestamp() * 1000)
    logs.put_log_events(
        **named,
        logStreamName="AllTraffic/i-1/data-log",
        logEvents=[{"timestamp": moment, "message": "ready: engine diffusers"}],
    )
    capsys.readouterr()

    assert imagine("logs", "--minutes", "2000000") == 0
    assert capsys.readouterr().out == "ready: engine diffusers\n"


def test_an_idle_month_is_two_dollars_at_most(capsys: pytest.CaptureFixture[str]):
    assert total(idle_month()) <= 2
    assert cli.main(["endpoint", "cost"]) == 0
    shown = capsys.readouterr().out
    assert "models in S3, 10 GB" in shown
    assert "us-east-1 prices of 2026-08" in shown


def test_todays_prices_are_kept_and_every_later_estimate_rests_on_them(
    imagine: Imagine, account: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    account.prices.hourly = {
        "USE1-Host:ml.g6.xlarge": 1.5,
        "USE1-Train:ml.g6.xlarge": 9.0,
        "Host:ml.g5.xlarge": 2.0,
    }
    assert imagine("cost", "--refresh", "--pictures", "0", "--wakes", "4") == 0
    shown = capsys.readouterr().out
    assert "2 prices of instances in us-east-1 and 0 of 9 others are in prices.json" in shown
    assert "IMAGINE_DOLLARS_PER_HOUR=1.5" in shown
    assert "$   1.50  0 pictures of 5 s, 4 times woken: 1.0 h of ml.g6.xlarge" in shown
    assert "us-east-1 prices of 2027-01-15" in shown
    assert {asked["host"] for asked in account.prices.asked} == {
        "https://api.pricing.us-east-1.amazonaws.com/"
    }
    kept = json.loads((tmp_path / "prices.json").read_text())
    assert kept == {
        "region": "us-east-1",
        "day": "2027-01-15",
        "hourly": {"ml.g5.xlarge": 2.0, "ml.g6.xlarge": 1.5},
        "rates": {},
    }

    imagine("apply", "--yes")
    assert imagine("warm", "2h") == 1
    assert (
        "That costs about $3.00 (us-east-1 prices of 2027-01-15, AWS's price list)" in capsys.readouterr().err
    )


def test_without_the_price_api_the_table_stays_and_says_its_date(
    imagine: Imagine, account: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    account.prices.lost = True

    assert imagine("cost", "--refresh") == 0
    shown = capsys.readouterr().out
    assert "AWS's price API could not be asked" in shown
    assert "us-east-1 prices of 2026-08" in shown
    assert not (tmp_path / "prices.json").exists()
    for text in ("{}", '{"region": "us-east-1", "day": "x", "hourly": {"ml.g6.xlarge": "nan"}}'):
        (tmp_path / "prices.json").write_text(text)
        assert imagine("cost") == 1
        assert "imagine endpoint cost --refresh makes it anew" in capsys.readouterr().err


def test_what_aws_does_not_allow_names_the_fix(
    imagine: Imagine, account: Account, capsys: pytest.CaptureFixture[str]
):
    account.stand.region.hosting.capacity.quotas.update(
        {"ml.g6.xlarge": 0, "ml.g5.xlarge": 0, "ml.g4dn.xlarge": 0}
    )
    assert imagine("apply", "--yes") == 1
    told = capsys.readouterr().err
    assert "'ml.g6.xlarge for endpoint usage' is 0 Instances" in told
    assert "imagine quota request" in told


def test_a_terminal_shows_the_picture():
    shown = in_terminal(png("#102030"), columns=4)

    assert shown.split("\n") == ["\x1b[38;2;16;32;48;48;2;16;32;48m▀" * 4 + "\x1b[0m"] * 2


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("cost", "--models-gb", "nan"), "'nan' is no number from 0 on"),
        (("cost", "--pictures", "-1"), "'-1' is no whole number from 0 on"),
        (("cost", "--seconds", "much"), "'much' is no number from 0 on"),
        (("logs", "--minutes", "-5"), "'-5' is no whole number from 1 on"),
        (("drain", "--minutes", "0.5"), "'0.5' is no whole number from 1 on"),
    ],
)
def test_a_wrong_number_is_bad_usage(
    imagine: Imagine, words: tuple[str, ...], named: str, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as ended:
        imagine(*words)
    assert ended.value.code == 2
    assert named in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (None, "request.json cannot be read: No such file"),
        (b"{nope", "request.json is no JSON: "),
        (b"\xff\xfe", "request.json is no JSON: "),
        (b"[1]", "request.json must hold one JSON object"),
    ],
)
def test_a_request_that_cannot_be_sent_is_named_and_not_sent(
    imagine: Imagine,
    account: Account,
    content: bytes | None,
    named: str,
    capsys: pytest.CaptureFixture[str],
):
    if content is not None:
        Path("request.json").write_bytes(content)
    account.calls.clear()

    assert imagine("invoke", "request.json", "--yes") == 1
    assert named in capsys.readouterr().err
    assert account.calls == []


@pytest.mark.parametrize("out", [".", "nowhere/apple.png"])
def test_a_picture_that_could_not_be_saved_is_not_drawn(
    imagine: Imagine, account: Account, out: str, capsys: pytest.CaptureFixture[str]
):
    account.calls.clear()

    assert imagine("test", "a red apple", "-o", out, "--yes") == 1
    assert "--out:" in capsys.readouterr().err
    assert account.calls == []


def test_without_its_file_an_endpoint_asks_for_a_model(
    imagine: Imagine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert imagine("plan", "--file", "nowhere.toml") == 1
    assert "nowhere.toml is not there" in capsys.readouterr().err
    (tmp_path / "endpoint.toml").unlink()

    assert imagine("apply", "--yes") == 1
    assert "endpoint.toml, model: is missing" in capsys.readouterr().err


def test_a_region_that_the_price_list_does_not_know_keeps_nothing(
    imagine: Imagine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert imagine("cost", "--refresh", "--region", "narnia-1") == 0
    assert "has nothing of narnia-1; is it a region?" in capsys.readouterr().out
    assert not (tmp_path / "prices.json").exists()


def interrupt(_seconds: float) -> None:
    raise KeyboardInterrupt


def test_ctrl_c_says_that_the_same_line_goes_on_and_it_does(
    imagine: Imagine, account: Account, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    with monkeypatch.context() as impatient:
        impatient.setattr(shared.time, "sleep", interrupt)
        assert imagine("apply", "--yes") == 1
    assert "interrupted; the same line goes on from here" in capsys.readouterr().err

    assert imagine("apply", "--yes") == 0
    assert account.stand.status("imagine-dev") == ("InService", 1, 1)
    monkeypatch.setattr(shared.time, "sleep", interrupt)
    assert imagine("logs", "--follow") == 0, "there it is how one leaves"
