"""The look at the model files: what is read when, and what everybody is told of it."""

import itertools
import json
from typing import Any

import pytest

from bot.aws.clients import Clients
from bot.aws.release_look import ReleaseLook
from bot.domain.times import Times
from bot.local.database import MEMORY, Database
from bot.local.journal import ListJournal
from bot.local.memory_objects import MemoryObjects
from bot.local.sqlite_cells import SqliteCells
from bot.ports import Submission
from bot.services.settings import CATALOGUE, ENDPOINT, Bulletin, change
from tests.aws.cloud import Cloud
from tests.aws.wire import Wire

LIVE, NEXT = "20261128-101500-3fa9c1d2", "20261129-080000-aaaaaaaa"
CONTENT = {
    "format": 1,
    "release": LIVE,
    "default_model": "Stable-diffusion/base.safetensors",
    "files": {
        "Stable-diffusion/base.safetensors": {"size": 1, "architecture": "sd1"},
        "Lora/ink.safetensors": {"size": 1, "trigger_words": ["ink wash"], "non_commercial": True},
    },
}


class Asked:
    """An endpoint that remembers what it was sent."""

    def __init__(self) -> None:
        self.sent: list[Submission] = []

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"nothing but submit is called, not {name}")

    def submit(self, submission: Submission) -> None:
        self.sent.append(submission)


class Account:
    """An endpoint's configuration, its model and the bucket of releases; `calls` the look makes."""

    def __init__(self, cloud: Cloud, wire: Wire) -> None:
        self._cloud = cloud
        self._wire = wire
        self._numbers = itertools.count(1)
        self.bucket = cloud.make_bucket()
        self.journal = ListJournal()
        self._database = Database(MEMORY)
        self.cells = SqliteCells(self._database)
        self.endpoint, self.objects = Asked(), MemoryObjects()
        self._look = ReleaseLook(
            wire.clients,
            owner=cloud.account_id,
            journal=self.journal,
            endpoint=self.endpoint,
            objects=self.objects,
        )

    def serve(self, uri: str, *, compressed: bool = False) -> None:
        """The endpoint draws with the files at this address from now on."""
        clients: Clients = self._cloud.clients
        name = f"{self.bucket}-{next(self._numbers)}"
        role = f"arn:aws:iam::{self._cloud.account_id}:role/imagine-endpoint"
        source = {"S3Uri": uri, "S3DataType": "S3Prefix", "CompressionType": "None"}
        files = {"ModelDataUrl": uri} if compressed else {"ModelDataSource": {"S3DataSource": source}}
        clients["sagemaker"].create_model(
            ModelName=name, ExecutionRoleArn=role, PrimaryContainer={"Image": "x", **files}
        )
        variant = {"VariantName": "AllTraffic", "ModelName": name, "InitialInstanceCount": 1}
        clients["sagemaker"].create_endpoint_config(
            EndpointConfigName=name, ProductionVariants=[{**variant, "InstanceType": "ml.g4dn.xlarge"}]
        )
        change(self.cells, ENDPOINT, lambda _: {"config": name, "warmth": "asleep"})

    def put(self, key: str, content: Any) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self._cloud.clients["s3"].put_object(Bucket=self.bucket, Key=key, Body=body)

    def wake(self) -> None:
        """Somebody's picture has woken it."""
        change(self.cells, ENDPOINT, lambda told: {**told, "warmth": "awake"})

    def look(self, *, now: float = 1000.0) -> list[str]:
        """The calls that one look makes."""
        self._wire.operations.clear()
        self._look.refresh(self.cells, now=now)
        return list(self._wire.operations)

    @property
    def release(self) -> Any:
        """What every worker is told."""
        return Bulletin().release(self.cells, now=1.0, times=Times())

    def close(self) -> None:
        self._database.close()


@pytest.fixture
def account(cloud: Cloud):
    opened = Account(cloud, Wire(cloud))
    yield opened
    opened.close()


@pytest.fixture
def released(account: Account) -> Account:
    """An endpoint that draws with a release."""
    account.put(f"models/releases/{LIVE}/catalogue.json", CONTENT)
    account.serve(f"s3://{account.bucket}/models/releases/{LIVE}/")
    return account


def test_a_release_is_read_once_for_each_configuration(released: Account):
    assert released.look() == ["DescribeEndpointConfig", "DescribeModel", "GetObject", "GetObject"]
    assert released.look() == ["GetObject"], "only which release is published"

    assert (released.release.name, released.release.default_model) == (LIVE, "base")
    assert [file.name for file in released.release.files] == ["base", "ink"]
    assert released.release.files[1].trigger_words == ("ink wash",)
    assert released.release.files[1].non_commercial


def test_a_published_release_is_told_until_the_endpoint_draws_with_it(released: Account):
    released.look()
    files = {**CONTENT["files"], "Lora/pen.safetensors": {"size": 1}}
    released.put(f"models/releases/{NEXT}/catalogue.json", {"release": NEXT, "files": files})
    released.put("models/published.json", {"release": NEXT})
    released.look()
    assert (released.release.name, released.release.newer) == (LIVE, NEXT)

    assert [file.name for file in released.release.coming] == ["pen"]
    released.serve(f"s3://{released.bucket}/models/releases/{NEXT}/")
    released.look()
    assert (released.release.name, released.release.newer) == (NEXT, "")


def test_what_has_not_changed_is_not_written_again(released: Account):
    released.look()
    before = released.cells.read(CATALOGUE)
    released.look()

    assert released.cells.read(CATALOGUE) == before


def test_an_archive_made_by_hand_is_no_catalogue_and_is_looked_at_once(account: Account):
    account.serve(f"s3://{account.bucket}/model.tar.gz", compressed=True)

    assert account.look() == ["DescribeEndpointConfig", "DescribeModel"]
    assert account.look() == []
    assert account.release is None


@pytest.fixture
def by_hand(account: Account) -> Account:
    """An endpoint that sleeps, with an archive made by hand."""
    account.serve(f"s3://{account.bucket}/model.tar.gz", compressed=True)
    account.look()
    return account


def test_a_container_without_a_catalogue_is_never_woken_to_be_asked(by_hand: Account):
    by_hand.look(now=10_000.0)

    assert by_hand.endpoint.sent == []


def test_a_container_that_is_awake_is_asked_once_and_its_names_are_kept(by_hand: Account):
    by_hand.wake()
    by_hand.look(now=1000.0)
    by_hand.look(now=1060.0)
    (question,) = by_hand.endpoint.sent
    assert json.loads(question.body) == {"task": "catalogue"}
    assert by_hand.release is None

    answer = {"models": [{"name": "stripes.safetensors"}], "loras": [{"name": "ink.safetensors"}]}
    by_hand.objects.put(question.output_key, json.dumps(answer).encode())
    by_hand.look(now=1120.0)
    assert [file.name for file in by_hand.release.files] == ["stripes", "ink"]
    assert by_hand.look(now=99_000.0) == []
    assert len(by_hand.endpoint.sent) == 1


@pytest.mark.parametrize("answer", [None, b"{", b'{"error": {"code": "bad_request"}}'])
def test_a_container_that_cannot_say_is_asked_again_an_hour_later_at_the_earliest(by_hand: Account, answer):
    by_hand.wake()
    by_hand.look(now=1000.0)
    if answer is not None:
        by_hand.objects.put(by_hand.endpoint.sent[0].output_key, answer)
    for later in (1060.0, 2000.0, 4599.0):
        by_hand.look(now=later)
    assert len(by_hand.endpoint.sent) == 1
    assert by_hand.release is None

    by_hand.look(now=4600.0)
    assert len(by_hand.endpoint.sent) == 2


def test_a_prefix_without_a_catalogue_is_none_either(account: Account):
    account.serve(f"s3://{account.bucket}/by-hand/")
    account.look()

    assert account.look() == []
    assert account.release is None


@pytest.mark.parametrize("body", [b"\xff", b"[]", b'{"files": 3}', b"[" * 100_000])
def test_a_broken_catalogue_offers_nothing_and_breaks_nothing(account: Account, body: bytes):
    account.put(f"models/releases/{LIVE}/catalogue.json", body)
    account.serve(f"s3://{account.bucket}/models/releases/{LIVE}/")
    account.look()

    assert account.release is None


def test_what_cannot_be_read_leaves_what_was_known_and_is_asked_again(released: Account, cloud: Cloud):
    released.look()
    change(released.cells, ENDPOINT, lambda _: {"config": "gone"})

    assert released.look() == ["DescribeEndpointConfig"]
    assert released.look() == ["DescribeEndpointConfig"]
    assert released.release.name == LIVE
    assert len(released.journal.named("catalogue_look_failed")) == 2


def test_without_an_endpoint_nothing_is_asked(account: Account):
    assert account.look() == []
