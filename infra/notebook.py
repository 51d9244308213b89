"""Writes `infra/create_inference_endpoint.ipynb`: the seed's notebook as a thin story over our commands.

`python -m infra.notebook` writes it anew from `CELLS`, keeping the outputs that are there; a test runs every
code cell against the stand-in region and holds the file to this text.
"""

import json
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("create_inference_endpoint.ipynb")
STAND_IN = "These outputs are from the stand-in region (docs/local-sagemaker.md), not from AWS."

CELLS = (
    (
        "markdown",
        f"""# The endpoint, step by step

Makes the SageMaker endpoint of a stage, draws with it, changes it and takes it away. It runs by itself in
SageMaker Studio: role, region and bucket come from the session, as SageMaker's own SDK takes them. Where the
stage is deployed (`imagine deploy`) its bucket comes first: the bot looks for pictures there. Where
SageMaker may not take the session's role, the endpoint gets one of its own.

{STAND_IN}""",
    ),
    (
        "code",
        """import importlib.util
import subprocess
import sys

if importlib.util.find_spec("infra") is None:
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", ".."], check=True)""",
    ),
    (
        "code",
        """import json
import os
import time

import boto3

from infra.cli import main as imagine
from infra.endpoint.clients import AwsClients
from infra.endpoint.studio import studio_session

STAGE = os.environ.get("IMAGINE_STAGE", "dev")
session = boto3.Session()
here = studio_session(AwsClients(region=session.region_name), stage=STAGE)
WHERE = ["--stage", STAGE, "--region", here.region]
print("region", here.region)
print("bucket", here.bucket, "of the stage" if here.deployed else "of the session")
print("role", here.role or "made by apply")""",
    ),
    (
        "markdown",
        """## Create

The trial needs no GPU and no model, only the small image (`imagine image push --engine embedded`). For the
real thing write `model = "s3://…/"` in place of the profile.""",
    ),
    (
        "code",
        """from pathlib import Path

if not Path("endpoint.toml").exists():
    Path("endpoint.toml").write_text('profile = "trial"\\n' + here.settings)
assert imagine(["endpoint", "apply", *WHERE, "--yes"]) == 0""",
    ),
    ("markdown", "## Test with pictures"),
    (
        "code",
        """words = ["test", "a red apple", "-o", "apple.png"]
assert imagine(["endpoint", *words, *WHERE, "--yes"]) == 0

from PIL import Image

with Image.open("apple.png") as file:
    picture = file.convert("RGB")
print(picture.size)
picture""",
    ),
    (
        "markdown",
        """## Call an existing endpoint

Plain boto3 and nothing of ours: a request, and the answer where SageMaker says it will lie. Look for the
failure too: it comes instead of the answer.""",
    ),
    (
        "code",
        """payload = {"prompt": "a blue fish", "width": 64, "height": 64, "steps": 4, "seed": 1}
sent = session.client("sagemaker-runtime").invoke_endpoint_async(
    EndpointName=f"imagine-{STAGE}",
    ContentType="application/json",
    Body=json.dumps({"task": "text-to-image", "txt2img_payload": payload}).encode(),
)


def look(location):
    bucket, _, key = location.removeprefix("s3://").partition("/")
    listed = session.client("s3").list_objects_v2(Bucket=bucket, Prefix=key)
    if not listed["KeyCount"]:
        return None
    return session.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()


answer = failure = None
while answer is None and failure is None:
    time.sleep(1)
    answer, failure = look(sent["OutputLocation"]), look(sent["FailureLocation"])
assert failure is None, failure
print(len(json.loads(answer)["images"]), "picture")""",
    ),
    (
        "markdown",
        """## Update

A change of `endpoint.toml`, a picture to prove it, and the former endpoint again where none comes.""",
    ),
    (
        "code",
        """with Path("endpoint.toml").open("a") as file:
    file.write("[scaling]\\nidle_minutes = 5\\n")
assert imagine(["endpoint", "update", *WHERE, "--yes"]) == 0
assert imagine(["endpoint", "status", *WHERE]) == 0""",
    ),
    ("markdown", "## Delete\n\nSays what goes, and what stays and goes on billing."),
    ("code", """assert imagine(["endpoint", "delete", *WHERE, "--yes"]) == 0"""),
)


def notebook(outputs: dict[int, str]) -> dict[str, Any]:
    """The file's content. `outputs`: what each code cell printed, by its place."""
    return {
        "cells": [_cell(index, kind, text, outputs) for index, (kind, text) in enumerate(CELLS)],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def written(outputs: dict[int, str]) -> str:
    return json.dumps(notebook(outputs), indent=1, ensure_ascii=False) + "\n"


def _cell(index: int, kind: str, text: str, outputs: dict[int, str]) -> dict[str, Any]:
    cell: dict[str, Any] = {"cell_type": kind, "id": f"cell-{index}", "metadata": {}, "source": _lines(text)}
    if kind != "code":
        return cell
    said = outputs.get(index, "")
    told = [{"name": "stdout", "output_type": "stream", "text": _lines(said)}] if said else []
    return {**cell, "execution_count": None, "outputs": told}


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def outputs_of(content: str) -> dict[int, str]:
    """What the cells of a notebook's file printed."""
    cells = json.loads(content)["cells"]
    streams = {index: cell["outputs"] for index, cell in enumerate(cells) if cell.get("outputs")}
    return {index: "".join("".join(told["text"]) for told in found) for index, found in streams.items()}


def main() -> None:
    """Write it, with the outputs that it has."""
    before = outputs_of(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    FILE.write_text(written(before), encoding="utf-8")


if __name__ == "__main__":
    main()
