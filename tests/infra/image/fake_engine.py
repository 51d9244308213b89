"""Stands in for docker, podman and buildah on PATH: writes down what it was told and pushes into moto.

docker and podman build nothing whose recipe, files or base are not there.

Told by environment: FAKE_LOG (a JSON line per call), FAKE_PORT (what `port` says), FAKE_ARCHITECTURE,
FAKE_AWS_URL (where a push goes).
"""

import json
import os
import sys
import urllib.request
from pathlib import Path

MEDIA = "application/vnd.docker.distribution.manifest.v2+json"


def main() -> None:
    words = sys.argv[1:]
    said = sys.stdin.read() if "--password-stdin" in words else ""
    if words[0] == "build":
        _check_build(words)
    with Path(os.environ["FAKE_LOG"]).open("a") as log:
        log.write(json.dumps({"program": os.environ["FAKE_NAME"], "words": words, "said": said}) + "\n")
    if "inspect" in words:
        print(_inspected())
    if words[0] == "run":
        print("c0ffee")
    if words[0] == "port":
        print(f"127.0.0.1:{os.environ['FAKE_PORT']}")
    if "push" in words:
        _push(words[-1].removeprefix("docker://"))


def _check_build(words: list[str]) -> None:
    """Ends with status 1 where docker would."""
    recipe, context = Path(words[words.index("--file") + 1]), Path(words[-1])
    lines = [line.split() for line in recipe.read_text().splitlines() if line.startswith("COPY ")]
    copied = [name for line in lines if "--from" not in line[1] for name in line[1:-1]]
    missing = [name for name in copied if not any(context.glob(name))]
    bases = {word.removeprefix("BASE=") for word in words if word.startswith("BASE=localhost/")}
    missing += sorted(bases - _built())
    if missing:
        sys.exit(f"failed to compute cache key: {missing[0]}: not found")


def _built() -> set[str]:
    log = Path(os.environ["FAKE_LOG"])
    told = [json.loads(line)["words"] for line in log.read_text().splitlines()] if log.exists() else []
    return {words[words.index("--tag") + 1] for words in told if "--tag" in words}


def _inspected() -> str:
    architecture = os.environ.get("FAKE_ARCHITECTURE", "amd64")
    if os.environ["FAKE_NAME"] != "buildah":
        return architecture
    return json.dumps({"OCIv1": {"architecture": architecture, "config": {}}})


def _push(reference: str) -> None:
    repository, _, tag = reference.partition("/")[2].partition(":")
    manifest = {
        "schemaVersion": 2,
        "mediaType": MEDIA,
        "config": {"digest": f"sha256:{repository}-{tag}"},
        "layers": [],
    }
    image = {"repositoryName": repository, "imageTag": tag, "imageManifest": json.dumps(manifest)}
    signed = "AWS4-HMAC-SHA256 Credential=testing/20260101/us-east-1/ecr/aws4_request"
    headers = {
        "Authorization": signed,
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": "AmazonEC2ContainerRegistry_V20150921.PutImage",
    }
    url = os.environ["FAKE_AWS_URL"]
    urllib.request.urlopen(urllib.request.Request(url, json.dumps(image).encode(), headers)).close()


main()
