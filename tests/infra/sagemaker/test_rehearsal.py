"""A whole region served for people: the notebook from first cell to last, with the embedded engine."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from infra import cli, notebook
from infra.commands.endpoint import shared
from infra.local.sagemaker.rehearsal import Containers
from tests.aws.cloud import Cloud
from tests.infra.endpoint.account import IMAGE
from tests.infra.plain_account import PlainAccount

PATIENCE = 120.0


@pytest.fixture
def region(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """AWS's variables lead to the served region, and to moto for the rest; the stage dev is deployed."""
    cloud = Cloud()
    PlainAccount(cloud=cloud).deploy()
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
        command = ["--whole-region", "--port", "0", "--speed", "120", "--log", str(tmp_path / "log")]
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


@pytest.fixture
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder of its own, where a minute's wait takes a second."""
    monkeypatch.chdir(tmp_path)
    really = shared.time.sleep
    monkeypatch.setattr(shared.time, "sleep", lambda seconds: really(seconds / 60))
    (tmp_path / "endpoint.toml").write_text(f'profile = "trial"\nimage = "{IMAGE}"\n')


@pytest.mark.timeout(180)
def test_the_trial_from_its_file_to_a_picture(
    region: None, quick: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """Every cell of the notebook in its order, in one namespace, as Studio runs them."""
    namespace: dict[str, object] = {"__name__": "__main__"}
    printed: dict[int, str] = {}
    for index, (kind, text) in enumerate(notebook.CELLS):
        if kind == "code":
            exec(compile(text, f"cell {index}", "exec"), namespace)
            printed[index] = capsys.readouterr().out

    told = "\n".join(printed.values())
    assert "done, 11 changes" in told
    assert "role made by apply" in told
    assert "(256, 256)" in told
    assert "1 picture" in told
    kept = notebook.outputs_of(notebook.FILE.read_text(encoding="utf-8"))
    for cell in (4, 6, 12):
        assert without_digests(printed[cell]) == without_digests(kept[cell]), "write the notebook anew"
    assert "stays, and goes on billing" in told
    with Image.open(tmp_path / "apple.png") as picture:
        assert picture.size == (256, 256)
    assert cli.main(["endpoint", "status"]) == 1, "it is gone"


def without_digests(text: str) -> str:
    """The bucket's name is in the settings, and so in the names of model and config."""
    return re.sub(r"imagine-dev-[0-9a-f]{10}", "imagine-dev-DIGEST", text)


def test_the_notebook_is_what_its_cells_say_and_its_outputs_say_where_they_are_from():
    content = notebook.FILE.read_text(encoding="utf-8")

    outputs = notebook.outputs_of(content)
    assert content == notebook.written(outputs)
    assert notebook.STAND_IN in content
    assert any("done, 11 changes" in said for said in outputs.values())


def test_a_container_that_runs_already_serves_every_model_and_none_is_started(tmp_path: Path):
    containers = Containers(log=tmp_path / "log", engine="no-such-engine", running="http://127.0.0.1:9")
    assert not containers.open({}).healthy()
    assert containers.children == []
