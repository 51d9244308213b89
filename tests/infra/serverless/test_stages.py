"""Two stages live side by side, each with its names, its tags and its exports."""

import pytest

from infra.operating.stack_settings import StackSettings
from infra.template_gates.packaging import Variant

pytestmark = pytest.mark.slow

BOUNDARY = "arn:aws:iam::123456789012:policy/limits"

NAMED = {
    "AWS::CloudWatch::Alarm": "AlarmName",
    "AWS::CloudWatch::Dashboard": "DashboardName",
    "AWS::DynamoDB::Table": "TableName",
    "AWS::Events::Rule": "Name",
    "AWS::Lambda::Function": "FunctionName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::SNS::Topic": "TopicName",
    "AWS::SQS::Queue": "QueueName",
}


def names(stack):
    return {properties[name] for kind, name in NAMED.items() for properties in stack.of_type(kind).values()}


def exports(stack):
    outputs = stack.template["Outputs"].values()
    return {output["Export"]["Name"] for output in outputs if "Export" in output}


def test_nothing_of_one_stage_bears_a_name_of_the_other(dev, prod):
    assert names(dev) & names(prod) == set()
    assert all("imagine-dev" in name for name in names(dev))
    assert exports(dev)
    assert exports(dev) & exports(prod) == set()


def test_buckets_do_not_collide_in_the_whole_world(dev, prod):
    assert dev.of_type("AWS::S3::Bucket")["S3BucketPictures"]["BucketName"] == "imagine-dev-local"
    assert prod.of_type("AWS::S3::Bucket")["S3BucketPictures"]["BucketName"] == "imagine-prod-acme"


def test_everything_bears_the_stage_as_a_tag(dev, prod):
    assert dev.tags == {"service": "imagine", "stage": "dev"}
    assert prod.tags == {"service": "imagine", "stage": "prod"}


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_what_imagine_deploy_hands_on_reaches_every_role_and_the_tags(packaged, tmp_path, stage):
    settings = StackSettings(stage=stage, role_path="/acme/", boundary=BOUNDARY, tags={"cost centre": "4711"})
    settings.write(tmp_path)
    params = {**settings.params, "tags": str(tmp_path / settings.tags_file)}

    stack = packaged(Variant(stage=stage, params=params))

    roles = stack.of_type("AWS::IAM::Role").values()
    assert {(role["Path"], role["PermissionsBoundary"]) for role in roles} == {("/acme/", BOUNDARY)}
    assert stack.tags == {"service": "imagine", "stage": stage, "cost centre": "4711"}


def test_what_the_commands_look_up_is_among_the_outputs(stack):
    assert {"HttpApiUrl", "HttpApiId", "JobsTable", "PicturesBucket", "ErrorTopic", "AlarmTopic"} <= (
        stack.template["Outputs"].keys()
    )
