"""What is kept is encrypted, closed to the world, outlives its stack, and does not outlive its purpose."""

import pytest

from bot.aws.table import TIME_TO_LIVE, table_properties
from bot.config import load_deployed
from bot.domain.errors import ConfigError
from bot.domain.times import Times

pytestmark = pytest.mark.slow


def test_the_table_is_the_one_that_the_adapters_use(stack):
    (table,) = stack.of_type("AWS::DynamoDB::Table").values()

    assert {name: table[name] for name in table_properties()} == table_properties()
    assert table["TimeToLiveSpecification"] == TIME_TO_LIVE


def test_rows_can_be_had_back_and_are_not_deleted_by_mistake(stack):
    (table,) = stack.of_type("AWS::DynamoDB::Table").values()

    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["DeletionProtectionEnabled"] is True


@pytest.mark.parametrize("name", ["Jobs", "S3BucketPictures"])
def test_rows_and_pictures_outlive_their_stack(stack, name):
    assert stack.resources[name]["DeletionPolicy"] == "Retain"
    assert stack.resources[name]["UpdateReplacePolicy"] == "Retain"


def test_what_outlives_its_stack_has_a_name_that_the_next_one_finds_it_by(stack):
    assert isinstance(stack.resources["Jobs"]["Properties"]["TableName"], str)
    assert isinstance(stack.resources["S3BucketPictures"]["Properties"]["BucketName"], str)


def test_every_bucket_is_encrypted_and_closed_to_the_world(stack):
    for bucket in stack.of_type("AWS::S3::Bucket").values():
        (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
        assert bucket["PublicAccessBlockConfiguration"] == {
            "BlockPublicAcls": True,
            "BlockPublicPolicy": True,
            "IgnorePublicAcls": True,
            "RestrictPublicBuckets": True,
        }


def test_objects_belong_to_the_account_whoever_puts_them(stack):
    pictures = stack.of_type("AWS::S3::Bucket")["S3BucketPictures"]

    assert pictures["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}


def test_objects_live_no_longer_than_rows(stack):
    rules = stack.of_type("AWS::S3::Bucket")["S3BucketPictures"]["LifecycleConfiguration"]["Rules"]
    days = {rule["Prefix"]: int(rule["ExpirationInDays"]) for rule in rules if "Prefix" in rule}

    assert days.keys() == {"in/", "out/", "failed/", "images/", "train/"}
    assert days.pop("images/") == Times().retention_days
    longest = max(days[folder] for folder in ("in/", "out/", "failed/"))
    with pytest.raises(ConfigError):
        load_deployed({"IMAGINE_RETENTION_DAYS": str(longest - 1)})
    assert load_deployed({"IMAGINE_RETENTION_DAYS": str(longest)})


def test_an_upload_that_nobody_ends_is_taken_away(stack):
    rules = stack.of_type("AWS::S3::Bucket")["S3BucketPictures"]["LifecycleConfiguration"]["Rules"]
    (uploads,) = [rule for rule in rules if "AbortIncompleteMultipartUpload" in rule]

    assert uploads["Status"] == "Enabled"
    assert "Prefix" not in uploads
    assert uploads["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
