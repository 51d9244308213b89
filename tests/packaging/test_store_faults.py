"""What S3 may answer: parts that are there already, other checksums, keys of the team's own, large copies."""

import base64
import threading
from datetime import UTC, datetime

import botocore.session
import pytest
from botocore.awsrequest import AWSResponse
from botocore.stub import ANY, Stubber

from model_packaging.changes import plan_of_folder, plan_with_facts
from model_packaging.errors import StoreRefused
from model_packaging.packing import describe, read_folder
from model_packaging.releases import list_releases
from model_packaging.store import Place, Store, Stored
from model_packaging.upload import Settings, make_release
from tests.aws.cloud import Cloud
from tests.packaging.killing import Raw
from tests.packaging.model_files import model_folder

PART = 5 * 2**20
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CRC32_OF_X = 0x8CDC1683
KEY_ID = "alias/imagine"


class WithChecksums:
    """Real S3 lists each part's checksum and moto does not: remember what was sent, and tell it."""

    def __init__(self, client):
        self._known = {}
        self._turn = threading.Lock()
        self.sent = []
        self.stop_after = None
        self.spoiled = set()
        client.meta.events.register("provide-client-params.s3.UploadPart", self.note)
        client.meta.events.register("after-call.s3.ListParts", self.tell)

    def note(self, params, **_):
        with self._turn:
            if self.stop_after is not None and len(self.sent) >= self.stop_after:
                raise KeyboardInterrupt
            self.sent.append(params["PartNumber"])
            self._known[params["UploadId"], params["PartNumber"]] = params["ChecksumCRC32"]

    def tell(self, parsed, **_):
        for part in parsed.get("Parts", ()):
            number = part["PartNumber"]
            known = self._known[parsed["UploadId"], number]
            part["ChecksumCRC32"] = encoded(1) if number in self.spoiled else known


def encoded(crc32):
    return base64.b64encode(crc32.to_bytes(4, "big")).decode()


@pytest.fixture(scope="module")
def cloud():
    return Cloud()


@pytest.fixture
def client(cloud):
    return cloud.session().create_client("s3")


@pytest.fixture
def store(cloud, client):
    return Store(client, Place(bucket=cloud.make_bucket(), prefix="team/"))


def released(store, plan, **more):
    settings = Settings(streams=1, part=PART, **more)
    return make_release(store, plan, describe=describe, now=NOW, settings=settings)


@pytest.mark.parametrize(("spoiled", "again"), [(set(), [3, 4]), ({2}, [2, 3, 4])])
def test_parts_that_are_there_as_they_should_be_are_not_sent_again(spoiled, again, store, client, tmp_path):
    root, watched = model_folder(tmp_path, mebibytes=18), WithChecksums(client)
    plan = plan_of_folder(read_folder(root), None)
    watched.stop_after = 2
    with pytest.raises(KeyboardInterrupt):
        released(store, plan)
    assert [release.finished for release in list_releases(store)] == [False]
    watched.stop_after, watched.spoiled = None, spoiled
    watched.sent.clear()
    made = released(store, plan)
    assert watched.sent == again
    path = "Stable-diffusion/base.safetensors"
    assert store.get(f"releases/{made.release}/{path}", most=2**30) == (root / path).read_bytes()


@pytest.mark.parametrize("operation", ["PutObject", "UploadPart", "CompleteMultipartUpload"])
def test_a_store_that_keeps_other_bytes_is_not_believed(operation, store, client, tmp_path):
    def spoil(parsed, **_):
        parsed["ChecksumCRC32"] = encoded(1)

    client.meta.events.register(f"after-call.s3.{operation}", spoil)
    with pytest.raises(StoreRefused, match="keeps other bytes of s3://"):
        released(store, plan_of_folder(read_folder(model_folder(tmp_path, mebibytes=6)), None))
    assert not any(release.finished for release in list_releases(store))


def test_a_part_that_s3_refuses_ends_the_upload_with_the_fix(store, client, tmp_path):
    def refuse(request, **_):
        body = b"<Error><Code>BadDigest</Code><Message>no</Message></Error>"
        return AWSResponse(request.url, 400, {}, Raw(body))

    client.meta.events.register_first("before-send.s3.UploadPart", refuse)
    with pytest.raises(StoreRefused, match=r"BadDigest.*run the same line again"):
        released(store, plan_of_folder(read_folder(model_folder(tmp_path, mebibytes=6)), None))
    assert [release.finished for release in list_releases(store)] == [False]


def test_what_is_too_large_for_one_copy_is_copied_part_by_part(store, client, tmp_path):
    copied = []
    client.meta.events.register(
        "provide-client-params.s3.UploadPartCopy",
        lambda params, **_: copied.append(params["CopySourceRange"]),
    )
    before = released(store, plan_of_folder(read_folder(model_folder(tmp_path, mebibytes=12)), None))
    plan = plan_with_facts(before, "ink", {"alias": "wash"})
    after = released(store, plan, copy_limit=10**7, copy_part=PART)
    assert [span.split("-")[0] for span in copied] == ["bytes=0", f"bytes={PART}", f"bytes={2 * PART}"]
    path = "Stable-diffusion/base.safetensors"
    sent = store.get(f"releases/{after.release}/{path}", most=2**30)
    assert sent == (tmp_path / path).read_bytes()


def test_a_kms_key_is_named_wherever_an_object_begins():
    client = botocore.session.Session().create_client(
        "s3", region_name="us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing"
    )
    named = {"Bucket": "models", "ExpectedBucketOwner": "1" * 12}
    encrypted = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": KEY_ID}
    store = Store(client, Place(bucket="models", prefix=""), owner="1" * 12, kms_key=KEY_ID)
    crc32 = {"ChecksumAlgorithm": "CRC32"}
    source = {"CopySource": {"Bucket": "models", "Key": "a"}, "CopySourceIfMatch": "e"}
    with Stubber(client) as stub:
        sent = {**named, **encrypted, **crc32, "Key": "a", "Body": b"x", "ChecksumCRC32": encoded(CRC32_OF_X)}
        stub.add_response("put_object", {"ETag": "e"}, sent)
        begun = {**named, **encrypted, **crc32, "Key": "b", "ChecksumType": "FULL_OBJECT"}
        stub.add_response("create_multipart_upload", {"UploadId": "u"}, begun)
        copied = {**named, **encrypted, **crc32, **source, "Key": "c", "ExpectedSourceBucketOwner": ANY}
        stub.add_response("copy_object", {}, copied)
        store.put("a", b"x", CRC32_OF_X)
        assert store.begin("b") == "u"
        store.copy(Stored(key="a", size=1, etag="e"), "c")
        stub.assert_no_pending_responses()
