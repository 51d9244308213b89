"""A whole region served for people: the notebook from first cell to last, with the embedded engine."""

import json
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
from infra.image.registry import Registry
from infra.local.sagemaker.rehearsal import Containers
from infra.role_policies import trust
from tests.aws.cloud import Cloud

PATIENCE = 120.0
MANIFEST = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": {"digest": "sha256:embedded"},
        "layers": [],
    }
)


ROLE = "AmazonSageMaker-ExecutionRole-20261128T101500"


def studio(cloud: Cloud) -> dict[str, str]:
    """A person's session in Studio: its credentials, in an account with an image and nothing else of ours."""
    session = cloud.session()
    policy = json.dumps(trust("sagemaker.amazonaws.com", account=cloud.account_id))
    role = session.create_client("iam").create_role(
        RoleName=ROLE, Path="/service-role/", AssumeRolePolicyDocument=policy
    )["Role"]["Arn"]
    sts = session.create_client("sts")
    granted = sts.assume_role(RoleArn=role, RoleSessionName="SageMaker")["Credentials"]
    registry = Registry({"ecr": session.create_client("ecr")})
    registry.ensure("imagine-embedded", tags={})
    session.create_client("ecr").put_image(
        repositoryName="imagine-embedded", imageTag="1", imageManifest=MANIFEST
    )
    return {
        "AWS_ACCESS_KEY_ID": granted["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": granted["SecretAccessKey"],
        "AWS_SESSION_TOKEN": granted["SessionToken"],
    }


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


@pytest.fixture
def region(cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """AWS's variables lead to the served region, and to moto for the rest; no stage is deployed."""
    with cloud.gateway() as aws:
        told = {
            "AWS_ENDPOINT_URL": aws,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            **studio(cloud),
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


def test_the_notebook_alone_in_studio_from_nothing_to_nothing(
    region: None, quick: None, cloud: Cloud, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """Every cell in its order, in one namespace, as Studio runs them."""
    namespace: dict[str, object] = {"__name__": "__main__"}
    printed: dict[int, str] = {}
    for index, (kind, text) in enumerate(notebook.CELLS):
        if kind == "code":
            exec(compile(text, f"cell {index}", "exec"), namespace)
            printed[index] = settled(capsys.readouterr().out, cloud.account_id)
    if os.environ.get("PYTEST_WRITE_PAGES"):
        notebook.FILE.write_text(notebook.written(printed), encoding="utf-8")

    assert "bucket sagemaker-us-east-1-123456789012 of the session" in printed[SESSION]
    assert f"role arn:aws:iam::123456789012:role/service-role/{ROLE}" in printed[SESSION]
    assert "+ role" not in printed[MAKING], "the endpoint runs as the session's role"
    kept = notebook.outputs_of(notebook.FILE.read_text(encoding="utf-8"))
    for cell in (SESSION, MAKING, TESTING, CALLING, DELETING):
        assert printed[cell] == kept[cell], "write the notebook anew: PYTEST_WRITE_PAGES=1"
    with Image.open(tmp_path / "apple.png") as picture:
        assert picture.size == (256, 256)
    s3 = cloud.session().create_client("s3")
    listed = s3.list_objects_v2(Bucket=f"sagemaker-us-east-1-{cloud.account_id}")["Contents"]
    assert {item["Key"].rpartition("/")[0] for item in listed} == {"imagine-dev/out/test", "imagine-dev/out"}
    assert cli.main(["endpoint", "status"]) == 1, "it is gone"


SESSION, MAKING, TESTING, CALLING, DELETING = 2, 4, 6, 8, 12
"""Places of cells."""


def settled(printed: str, account: str) -> str:
    """The account and what is named after a digest of it, as the file has them."""
    return re.sub(
        r"imagine-dev-[0-9a-f]{10}", "imagine-dev-638f7eb7f2", printed.replace(account, "123456789012")
    )


def test_the_notebook_is_what_its_cells_say_and_its_outputs_say_where_they_are_from():
    content = notebook.FILE.read_text(encoding="utf-8")

    outputs = notebook.outputs_of(content)
    assert content == notebook.written(outputs)
    assert notebook.STAND_IN in content
    assert any("done, 10 changes" in said for said in outputs.values())


def test_a_container_that_runs_already_serves_every_model_and_none_is_started(tmp_path: Path):
    containers = Containers(log=tmp_path / "log", engine="no-such-engine", running="http://127.0.0.1:9")
    assert not containers.open({}).healthy()
    assert containers.children == []
