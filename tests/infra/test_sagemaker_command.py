"""`python -m infra.local.sagemaker` as a process, with the real inference server and unmodified boto3."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]  # it has no types, and this is what users import
import pytest
from PIL import Image

from infra.local.children import is_taken
from tests.aws.cloud import Cloud
from tests.aws.http_front import s3_front

PATIENCE = 60.0
DRAWING = {
    "task": "text-to-image",
    "txt2img_payload": {"prompt": "a red apple", "seed": 7, "steps": 2, "width": 64, "height": 64},
}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of an S3, and an environment in which AWS's tools find it."""
    with s3_front(Cloud()) as url:
        for name, value in {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }.items():
            monkeypatch.setenv(name, value)
        yield url


@contextmanager
def started(*options: str, log: Path) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "infra.local.sagemaker", "--port", "0", "--log", str(log), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()  # it ends its own child
            process.wait(PATIENCE)


def address(process: "subprocess.Popen[str]") -> str:
    """Where clients find it; everything it says before that goes by."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("clients"):
            return line.strip().partition("=")[2]
    raise AssertionError(process.stderr.read() if process.stderr else "")


def fetched(s3: Any, bucket: str, key: str) -> bytes:
    deadline = time.monotonic() + PATIENCE
    while "Contents" not in s3.list_objects_v2(Bucket=bucket, Prefix=key):
        assert time.monotonic() < deadline, f"{key} did not arrive"
        time.sleep(0.05)
    body: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    return body


def test_one_picture_from_boto3_to_the_bucket_and_a_clean_end(
    aws: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    paths = ("--output-path", "s3://pictures/out/", "--failure-path", "s3://pictures/failed/")
    with closing(boto3.client("s3")) as s3, started(*paths, "--aws", aws, log=tmp_path / "log") as process:
        s3.create_bucket(Bucket="pictures")
        url = address(process)
        monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", url)
        with closing(boto3.client("sagemaker-runtime")) as runtime:
            reply = runtime.invoke_endpoint_async(
                EndpointName="imagine",
                ContentType="application/json",
                Accept="application/json",
                InferenceId="T01.job.1",
                Filename="job.out",
                S3OutputPathExtension="T01/",
                Body=json.dumps(DRAWING).encode(),
            )
        assert reply["OutputLocation"] == "s3://pictures/out/T01/job.out"
        answer = json.loads(fetched(s3, "pictures", "out/T01/job.out"))
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    (picture,) = [Image.open(BytesIO(base64.b64decode(image, validate=True))) for image in answer["images"]]
    assert (picture.format, picture.size) == ("PNG", (64, 64))
    assert json.loads(answer["info"])["all_seeds"] == [7]
    assert not is_taken(int(url.rpartition(":")[2]))


@pytest.mark.parametrize(
    ("options", "status", "sentence"),
    [
        (("--output-path", "out/", "--failure-path", "s3://b/failed/"), 2, "a path looks like"),
        (("--output-path", "s3://b/out", "--failure-path", "s3://b/failed/"), 2, "a path looks like"),
        (
            ("--output-path", "s3://b/out/", "--failure-path", "s3://b/failed/", "--instances", "-1"),
            2,
            "instances",
        ),
        ((), 2, "--output-path"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    tmp_path: Path, options: tuple[str, ...], status: int, sentence: str
):
    with started("--container", "http://127.0.0.1:9", *options, log=tmp_path / "log") as process:
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == status
    assert sentence in said


def test_an_inference_server_that_does_not_start_is_told_with_its_own_words(tmp_path: Path):
    paths = ("--output-path", "s3://b/out/", "--failure-path", "s3://b/failed/")
    with started(*paths, "--engine", "steam", log=tmp_path / "log") as process:
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "steam" in said


def test_a_port_that_is_taken_is_named(tmp_path: Path):
    paths = (
        "--output-path",
        "s3://b/out/",
        "--failure-path",
        "s3://b/failed/",
        "--aws",
        "http://127.0.0.1:9",
    )
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        options = (*paths, "--container", "http://127.0.0.1:9", "--port", port)
        with started(*options, log=tmp_path / "log") as process:
            _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}" in said
