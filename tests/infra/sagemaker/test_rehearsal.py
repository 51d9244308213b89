"""A whole region served for people: the endpoint from its file to a picture, with the embedded engine."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from infra import cli
from infra.commands.endpoint import shared
from tests.aws.cloud import Cloud
from tests.infra.endpoint.account import IMAGE
from tests.infra.endpoint.test_commands import OUTPUTS

PATIENCE = 120.0


@pytest.fixture
def region(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """AWS's variables lead to the served region, and to moto for the rest; the stage dev is deployed."""
    cloud = Cloud()
    template = OUTPUTS.replace("BUCKET", cloud.make_bucket()).replace("TOPIC", cloud.make_topic())
    cloud.session().create_client("cloudformation").create_stack(
        StackName="imagine-dev", TemplateBody=template
    )
    with cloud.gateway() as aws:
        told = {
            "AWS_ENDPOINT_URL": aws,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }
        for name, value in told.items():
            monkeypatch.setenv(name, value)
        command = ["--whole-region", "--port", "0", "--speed", "600", "--log", str(tmp_path / "log")]
        with subprocess.Popen(
            [sys.executable, "-m", "infra.local.sagemaker", *command, "--aws", aws],
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                for name, value in _exported(process):
                    monkeypatch.setenv(name, value)
                yield
            finally:
                process.terminate()
                process.wait(PATIENCE)


def _exported(process: "subprocess.Popen[str]") -> Iterator[tuple[str, str]]:
    """What it says a shell needs."""
    for line in process.stdout or ():
        if line.startswith("export "):
            name, _, value = line.removeprefix("export ").strip().partition("=")
            yield name, value
        if line.startswith("control"):
            return


@pytest.mark.timeout(180)
def test_the_trial_from_its_file_to_a_picture(
    region: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "endpoint.toml").write_text(f'profile = "trial"\nimage = "{IMAGE}"\n')
    monkeypatch.chdir(tmp_path)
    # Ten minutes of the region pass in a second.
    really = shared.time.sleep
    monkeypatch.setattr(shared.time, "sleep", lambda seconds: really(seconds / 60))

    assert cli.main(["endpoint", "apply", "--yes"]) == 0, capsys.readouterr().err
    assert cli.main(["endpoint", "status"]) == 0
    assert "imagine-dev, InService" in capsys.readouterr().out
    assert cli.main(["endpoint", "test", "a red apple", "--yes"]) == 0
    with Image.open(tmp_path / "test.png") as picture:
        assert picture.size == (256, 256)
    assert cli.main(["endpoint", "delete", "--yes"]) == 0
    assert cli.main(["endpoint", "status"]) == 1
