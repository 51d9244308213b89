"""Two stages live side by side, each with its names, its tags and its exports."""

from infra.template_gates.packaging import Variant

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


def test_tags_can_be_given_in_a_file(packaged, tmp_path):
    (tmp_path / "tags.json").write_text('{"service": "imagine", "stage": "dev", "cost-centre": "4711"}')

    stack = packaged(Variant(stage="dev", params={"tags": str(tmp_path / "tags.json")}))

    assert stack.tags == {"service": "imagine", "stage": "dev", "cost-centre": "4711"}


def test_what_the_commands_look_up_is_among_the_outputs(stack):
    assert {"HttpApiUrl", "HttpApiId", "JobsTable", "PicturesBucket", "ErrorTopic", "AlarmTopic"} <= (
        stack.template["Outputs"].keys()
    )
