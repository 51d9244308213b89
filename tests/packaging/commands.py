"""`imagine models …` as a person types it, against an AWS account in this process."""

import io
import json
from dataclasses import dataclass, field

from infra.cli import main
from model_packaging.store import Place, Store
from tests.aws.cloud import Cloud


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a command printed, and how it ended."""

    status: int
    out: str
    err: str
    json: object = field(default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A bucket of one account, behind a loopback address."""

    cloud: Cloud
    url: str
    bucket: str

    @property
    def place(self):
        return f"s3://{self.bucket}/models"

    @property
    def store(self):
        return Store(self.cloud.clients["s3"], Place(bucket=self.bucket, prefix="models/"))

    @property
    def where(self):
        named = ["--at", self.place, "--owner", self.cloud.account_id]
        return [*named, "--endpoint-url", self.url, "--region", "us-east-1"]


class Keyboard(io.StringIO):
    """What a person types at a terminal."""

    def isatty(self):
        return True


def typed(capsys, *words):
    """Run a command; with --json what it printed must be one JSON text and nothing else."""
    capsys.readouterr()
    status = main([str(word) for word in words])
    out, err = capsys.readouterr()
    return Told(status=status, out=out, err=err, json=json.loads(out) if "--json" in words else None)
