"""An account with a release that holds one checkpoint, and a folder with blue pictures."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image

from infra import cli
from infra.commands import train
from infra.commands.endpoint import shared
from infra.local.sagemaker.training_run import COMMAND
from infra.training.following import LOOK_EVERY
from model_packaging.contents import source_file
from model_packaging.packing import describe
from model_packaging.store import Place, Store
from model_packaging.upload import Plan, make_release
from tests.aws.cloud import Cloud
from tests.infra.endpoint.account import IMAGE, Account
from tests.infra.sagemaker.standing_region import STUB_TRAINER, standing_region
from tests.packaging.model_files import checkpoint

CHECKPOINT = Path("container/embedded/model.safetensors").resolve()
Imagine = Callable[..., int]


@pytest.fixture
def real() -> bool:
    return False


@pytest.fixture
def account(real: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Account]:
    """Training jobs run our container where `real` is parametrised to be true, else a stub that reads no
    checkpoint.
    """
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    trainer = COMMAND if real else STUB_TRAINER
    with standing_region(Cloud(), container_url="http://127.0.0.1:9", trainer=trainer) as stand:
        account = Account(stand=stand)
        account.deploy()
        release_base(store_of(account), CHECKPOINT if real else checkpoint(tmp_path / "base.safetensors"))
        yield account


def store_of(account: Account) -> Store:
    return Store(account["s3"], Place(bucket=account.stand.bucket, prefix="models/"))


def release_base(store: Store, place: Path) -> None:
    file = source_file(place, "Stable-diffusion/emoji.safetensors")
    plan = Plan(send=(file,), keep=(), before=None)
    make_release(store, plan, describe=describe, now=datetime(2026, 11, 1, tzinfo=UTC))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "blue"
    folder.mkdir()
    for number in range(2):
        Image.new("RGB", (80, 64), (20, 60 + 10 * number, 230)).save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text("a blue square")
    return folder


@pytest.fixture
def imagine(account: Account, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> Imagine:
    """Runs `imagine train` on the pictures, with few steps; each look is a machine's start later."""
    monkeypatch.setattr(shared, "AwsClients", lambda region: account)
    monkeypatch.setattr(train.time, "sleep", lambda seconds: wait(account, seconds))
    monkeypatch.setenv("IMAGINE_MODELS", f"s3://{account.stand.bucket}/models")
    usual = ["--name", "blue", "--base", "emoji", "--licence", "Apache-2.0", "--image", IMAGE, "--steps", "2"]
    small = ["--rank", "2", "--resolution", "64", "--batch-size", "1"]
    return lambda *words, folder=pictures: cli.main(["train", str(folder), *usual, *small, *words])


def wait(account: Account, seconds: float) -> None:
    """Time passes; while a container trains, it is given the time it takes."""
    account.stand.advance(seconds)
    jobs = account.stand.region.training.jobs.values()
    if seconds >= LOOK_EVERY:
        account.stand.until(lambda: not any(job.run for job in jobs), 60)
