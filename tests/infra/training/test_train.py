"""`imagine train` as a person types it, with our trainer as a process behind the stand-in's jobs."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from infra.commands import train
from infra.training.released import newest_catalogue
from tests.infra.endpoint.account import Account
from tests.infra.training.conftest import Imagine, store_of

pytestmark = pytest.mark.slow


def jobs(account: Account) -> list[str]:
    listed = account.stand.sagemaker.list_training_jobs()["TrainingJobSummaries"]
    return sorted(job["TrainingJobName"] for job in listed)


@pytest.mark.parametrize("real", [True], ids=["our container"])
def test_pictures_become_a_lora_in_the_catalogue(
    imagine: Imagine, account: Account, capsys: pytest.CaptureFixture[str]
):
    assert imagine("--yes") == 0

    told = capsys.readouterr()
    assert "2 pictures" in told.out
    assert "logsV2:log-groups/log-group/$252Faws$252Fsagemaker$252FTrainingJobs" in told.out
    assert told.err.splitlines()[0] == "Starting"
    assert "Completed" in told.err
    catalogue = newest_catalogue(store_of(account))
    assert f"trained: <lora:blue:1> is in release {catalogue.release}" in told.out
    lora = catalogue.find("blue")
    assert (lora.path, lora.kind, lora.licence) == ("Lora/blue.safetensors", "lora", "Apache-2.0")
    assert "Stable-diffusion/emoji.safetensors" in catalogue.files


def test_the_same_line_again_is_the_same_job_and_the_same_release(
    imagine: Imagine, account: Account, capsys: pytest.CaptureFixture[str]
):
    assert imagine("--yes", "--json") == 0
    first = json.loads(capsys.readouterr().out)
    account.calls.clear()

    assert imagine("--json") == 0, "nothing is paid: nothing is asked"
    again = json.loads(capsys.readouterr().out)
    assert (again["job"], again["release"]) == (first["job"], first["release"])
    assert "sagemaker.CreateTrainingJob" not in account.calls
    assert jobs(account) == [first["job"]]


def test_the_price_comes_first_and_nobody_to_answer_pays_nothing(
    imagine: Imagine, account: Account, capsys: pytest.CaptureFixture[str]
):
    account.calls.clear()
    assert imagine() == 1

    told = capsys.readouterr().err
    assert "ml.g5.xlarge for at most 4 hours costs at most about $5.63 (us-east-1 prices" in told
    assert "say --yes" in told
    assert jobs(account) == []
    assert not [call for call in account.calls if "Create" in call or "Put" in call]


def test_a_dry_run_checks_prices_and_makes_nothing(
    imagine: Imagine, account: Account, capsys: pytest.CaptureFixture[str]
):
    account.calls.clear()
    assert imagine("--dry-run", "--json") == 0

    told = json.loads(capsys.readouterr().out)
    assert (told["outcome"], told["pictures"], told["status"]) == ("planned", 2, None)
    assert not [
        call for call in account.calls if not call.partition(".")[2].startswith(("Get", "List", "Desc"))
    ]


def test_the_job_may_be_on_spot_is_limited_and_has_no_network(imagine: Imagine, account: Account):
    imagine("--yes", "--hours", "2")
    (name,) = jobs(account)
    job = account.stand.sagemaker.describe_training_job(TrainingJobName=name)

    assert job["EnableManagedSpotTraining"] is True
    assert job["EnableNetworkIsolation"] is True
    assert job["StoppingCondition"]["MaxRuntimeInSeconds"] == 7200
    role = account["iam"].get_role_policy(RoleName="imagine-dev-training", PolicyName="imagine-training")
    actions = {a for s in role["PolicyDocument"]["Statement"] for a in s["Action"]}
    assert not [action for action in actions if action.endswith("*")]
    assert job["HyperParameters"]["steps"] == "2"


class Interrupting:
    """Ctrl-C at the first look."""

    def __call__(self, _seconds: float) -> None:
        raise KeyboardInterrupt


def test_ctrl_c_says_that_it_goes_on_and_how_to_end_it(
    imagine: Imagine, account: Account, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(train.time, "sleep", Interrupting())
    assert imagine("--yes") == 1
    told = capsys.readouterr().err
    assert "goes on and is billed" in told
    assert "--stop" in told
    (name,) = jobs(account)
    assert status(account, name) == "InProgress"

    assert imagine("--stop") == 0
    assert status(account, name) in {"Stopping", "Stopped"}


def test_ctrl_c_at_a_terminal_asks_whether_to_stop(
    imagine: Imagine, account: Account, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(train.time, "sleep", Interrupting())
    monkeypatch.setattr("sys.stdin", Typed("y\n"))
    assert imagine("--yes") == 1

    assert "Otherwise it goes on and is billed. [y/N]" in capsys.readouterr().err
    (name,) = jobs(account)
    assert status(account, name) in {"Stopping", "Stopped"}


class Typed(io.StringIO):
    def isatty(self) -> bool:
        return True


def status(account: Account, name: str) -> str:
    told = account.stand.sagemaker.describe_training_job(TrainingJobName=name)
    return str(told["TrainingJobStatus"])


def test_a_stopped_training_goes_on_as_a_new_attempt_with_the_same_checkpoints(
    imagine: Imagine, account: Account
):
    assert imagine("--stop") == 1, "nothing runs yet"
    account.stand.region.change({"capacity": {"free": {"ml.g5.xlarge": 0}}})
    assert imagine("--yes", "--on-demand") == 1
    account.stand.region.change({"capacity": {"free": {"ml.g5.xlarge": 1}}})
    assert imagine("--yes", "--on-demand") == 0

    first, second = jobs(account)
    assert second == f"{first}-2"
    places = {
        account.stand.sagemaker.describe_training_job(TrainingJobName=name)["CheckpointConfig"]["S3Uri"]
        for name in (first, second)
    }
    assert len(places) == 1


def test_a_job_that_fails_says_why(imagine: Imagine, account: Account, capsys: pytest.CaptureFixture[str]):
    account.stand.region.change({"capacity": {"free": {"ml.g5.xlarge": 0}}})
    assert imagine("--yes", "--on-demand") == 1

    assert "CapacityError" in capsys.readouterr().err


def test_a_quota_of_nothing_names_itself(
    imagine: Imagine, account: Account, capsys: pytest.CaptureFixture[str]
):
    quota = "ml.g5.xlarge for spot training job usage"
    account.stand.region.change({"capacity": {"quotas": {quota: 0}}})
    assert imagine("--yes") == 1

    told = capsys.readouterr().err
    assert f"'{quota}' is 0 Instances" in told
    assert "imagine quota request" in told


def uncaptioned(folder: Path) -> None:
    (folder / "1.txt").unlink()


def unreadable(folder: Path) -> None:
    (folder / "0.png").write_bytes(b"no picture")


def empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def cut_short(folder: Path) -> None:
    whole = io.BytesIO()
    Image.effect_noise((200, 200), 90).save(whole, "PNG")
    (folder / "0.png").write_bytes(whole.getvalue()[:900])


@pytest.mark.parametrize(
    "spoilt",
    [
        (uncaptioned, "1.png has no caption: put 1.txt beside it, or give --trigger"),
        (unreadable, "0.png is not a picture that can be read"),
        (cut_short, "0.png is not a picture that can be read"),
        (empty, "the folder has no picture"),
    ],
)
def test_pictures_that_cannot_be_learnt_are_named_before_anything_is_sent(
    imagine: Imagine,
    account: Account,
    capsys: pytest.CaptureFixture[str],
    spoilt: tuple[Any, str],
    pictures: Path,
):
    spoil, words = spoilt
    spoil(pictures)
    account.calls.clear()

    assert imagine("--yes") == 1
    assert words in capsys.readouterr().err
    assert account.calls == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--steps", "0"), "--steps: hyperparameter steps must be a whole number from 1"),
        (("--resolution", "100"), "--resolution: hyperparameter resolution must be a multiple of 64"),
        (("--name", "no/way"), "--name"),
        (("--hours", "0"), "--hours must be from 0.1 to 100"),
        (("--base", "unheard"), "no model file is called unheard; there are: Stable-diffusion/emoji"),
        (("--licence", ""), "states no licence, and so the LoRA has none; give --licence"),
        (("--stage", "prod"), "run imagine deploy --stage prod first"),
    ],
)
def test_settings_that_cannot_be_are_named(
    imagine: Imagine, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], words: str
):
    assert imagine("--yes", *options) == 1
    assert words in capsys.readouterr().err


def test_a_folder_that_is_not_there(imagine: Imagine, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert imagine("--yes", folder=tmp_path / "nowhere") == 1
    assert "is no folder" in capsys.readouterr().err
