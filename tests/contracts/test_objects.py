"""What every implementation of the port Objects promises. Another one adds a parameter to `objects`."""

import threading
from functools import partial
from pathlib import Path

import pytest

from bot.aws.s3_objects import S3Objects
from bot.domain.errors import Rejected
from bot.local.folder_objects import FolderObjects
from bot.local.memory_objects import MemoryObjects
from bot.ports import Objects
from tests.aws.cloud import Cloud


@pytest.fixture(scope="module")
def cloud() -> Cloud:
    return Cloud()


@pytest.fixture(params=["folder", "memory", "s3"])
def objects(request, tmp_path: Path, cloud: Cloud) -> Objects:
    if request.param == "s3":
        return S3Objects(cloud.clients, bucket=cloud.make_bucket(), owner=cloud.account_id)
    return FolderObjects(tmp_path / "objects") if request.param == "folder" else MemoryObjects()


def test_bytes_are_read_back_as_written(objects: Objects):
    body = bytes(range(256)) * 3
    objects.put("out/T01/job.out", body)
    assert objects.get("out/T01/job.out") == body


def test_an_object_may_be_empty(objects: Objects):
    objects.put("out/T01/job.out", b"")
    assert objects.get("out/T01/job.out") == b""


@pytest.mark.parametrize("key", ["out/T01/job.out", "out/T01", "out/T01/job.out/below"])
def test_what_nobody_put_is_none(objects: Objects, key: str):
    objects.put("out/T01/job.out.more", b"x")
    assert objects.get(key) is None


def test_the_same_bytes_again_are_fine(objects: Objects):
    for _ in range(2):
        objects.put("images/T01/job/1.png", b"picture")
    assert objects.get("images/T01/job/1.png") == b"picture"


def test_other_bytes_under_a_used_key_are_refused(objects: Objects):
    objects.put("images/T01/job/1.png", b"first")
    with pytest.raises(Rejected) as refusal:
        objects.put("images/T01/job/1.png", b"second")
    assert refusal.value.code == "already_exists"
    assert objects.get("images/T01/job/1.png") == b"first"


def test_a_deleted_object_is_gone_and_its_key_free(objects: Objects):
    objects.put("out/T01/job.out", b"first")
    objects.delete("out/T01/job.out")
    assert objects.get("out/T01/job.out") is None
    objects.put("out/T01/job.out", b"second")
    assert objects.get("out/T01/job.out") == b"second"


def test_deleting_what_does_not_exist_is_fine(objects: Objects):
    objects.delete("out/T01/job.out")
    assert objects.get("out/T01/job.out") is None


def test_a_prefix_lists_its_keys_sorted_and_no_others(objects: Objects):
    for key in (
        "failed/T01/job2.out",
        "failed/T01/job-error.out",
        "failed/T01/jo",
        "failed/T02/job",
        "failed/T01/job/x",
    ):
        objects.put(key, b"x")
    assert objects.list("failed/T01/job") == (
        "failed/T01/job-error.out",
        "failed/T01/job/x",
        "failed/T01/job2.out",
    )
    assert objects.list("failed/T02/") == ("failed/T02/job",)
    assert objects.list("nothing/") == ()
    assert len(objects.list("")) == 5


def test_a_list_ends_after_a_hundred_keys(objects: Objects):
    for number in range(105):
        objects.put(f"out/T01/{number:03d}", b"x")
    assert objects.list("out/T01/") == tuple(f"out/T01/{number:03d}" for number in range(100))


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/etc/passwd",
        "../x",
        "out/../../x",
        "out//x",
        "out/",
        "out/.hidden",
        ".",
        "a\\b",
        "a\x00b",
        "a b",
        "é",
        "x" * 513,
        "a\n",
    ],
)
def test_a_key_that_could_leave_the_folder_is_refused_everywhere(objects: Objects, key: str):
    for call in (partial(objects.put, key, b"x"), partial(objects.get, key), partial(objects.delete, key)):
        with pytest.raises(Rejected) as refusal:
            call()
        assert refusal.value.code == "bad_key"


@pytest.mark.parametrize("prefix", ["/", "../", "out/../", ".", "out//"])
def test_a_prefix_that_could_leave_the_folder_is_refused(objects: Objects, prefix: str):
    with pytest.raises(Rejected):
        objects.list(prefix)


def test_of_two_writers_the_first_wins_and_the_bytes_are_whole(objects: Objects):
    bodies = [bytes([number]) * 100_000 for number in range(8)]
    start = threading.Barrier(len(bodies))
    refused: list[bytes] = []

    def put(body: bytes) -> None:
        start.wait()
        try:
            objects.put("out/T01/job.out", body)
        except Rejected:
            refused.append(body)

    threads = [threading.Thread(target=put, args=(body,)) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 7
    assert objects.get("out/T01/job.out") in set(bodies) - set(refused)
