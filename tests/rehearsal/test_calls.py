"""What a request is in IAM's words, held against what botocore really sends."""

import botocore.session
import pytest
from botocore.awsrequest import AWSResponse

from infra.rehearsal.calls import Call, Request, calls_of, signer_of

ACCOUNT, REGION = "123456789012", "us-east-1"
PLACE = f"{REGION}:{ACCOUNT}"
TABLE = f"arn:aws:dynamodb:{PLACE}:table/imagine-local"
KEY = {"pk": {"S": "job#1"}}


def sent(service, operation, **arguments):
    """The calls of the request that botocore makes for this operation."""
    session = botocore.session.Session()
    session.set_credentials("AKIDEXAMPLE", "secret")
    client = session.create_client(service, region_name=REGION, endpoint_url="http://127.0.0.1:9")
    caught = []

    def catch(request, **_):
        caught.append(request)
        return AWSResponse(request.url, 400, {}, _Nothing())

    client.meta.events.register_first("before-send", catch)
    with pytest.raises(client.exceptions.ClientError):
        getattr(client, operation)(**arguments)
    return read(caught[0])


class _Nothing:
    def stream(self, *_, **__):
        return iter(())


def read(prepared):
    headers = {name.lower(): text(value) for name, value in prepared.headers.items()}
    path = prepared.url.removeprefix("http://127.0.0.1:9")
    body = prepared.body.read() if hasattr(prepared.body, "read") else prepared.body or b""
    request = Request(
        method=prepared.method,
        path=path,
        headers=headers,
        body=body.encode() if isinstance(body, str) else bytes(body),
    )
    signer = signer_of(request)
    assert (signer.key, signer.region) == ("AKIDEXAMPLE", REGION)
    return [(call.action, call.resource) for call in calls_of(request, signer, account=ACCOUNT)]


def text(value):
    return value.decode() if isinstance(value, bytes) else value


@pytest.mark.parametrize(
    ("service", "operation", "arguments", "action", "resource"),
    [
        (
            "dynamodb",
            "get_item",
            {"TableName": "imagine-local", "Key": KEY},
            "dynamodb:GetItem",
            TABLE,
        ),
        (
            "dynamodb",
            "query",
            {
                "TableName": "imagine-local",
                "IndexName": "due",
                "KeyConditionExpression": "a = :a",
                "ExpressionAttributeValues": {":a": {"S": "1"}},
            },
            "dynamodb:Query",
            f"{TABLE}/index/due",
        ),
        (
            "dynamodb",
            "batch_get_item",
            {"RequestItems": {"imagine-local": {"Keys": [KEY]}}},
            "dynamodb:BatchGetItem",
            TABLE,
        ),
        (
            "sqs",
            "send_message",
            {"QueueUrl": f"http://127.0.0.1:9/{ACCOUNT}/nudges", "MessageBody": "{}"},
            "sqs:SendMessage",
            f"arn:aws:sqs:{PLACE}:nudges",
        ),
        (
            "s3",
            "get_object",
            {"Bucket": "b", "Key": "out/T1/x y.out"},
            "s3:GetObject",
            "arn:aws:s3:::b/out/T1/x y.out",
        ),
        ("s3", "head_object", {"Bucket": "b", "Key": "k"}, "s3:GetObject", "arn:aws:s3:::b/k"),
        (
            "s3",
            "put_object",
            {"Bucket": "b", "Key": "in/k", "Body": b"1"},
            "s3:PutObject",
            "arn:aws:s3:::b/in/k",
        ),
        ("s3", "delete_object", {"Bucket": "b", "Key": "k"}, "s3:DeleteObject", "arn:aws:s3:::b/k"),
        ("s3", "list_objects_v2", {"Bucket": "b", "Prefix": "p"}, "s3:ListBucket", "arn:aws:s3:::b"),
        (
            "lambda",
            "invoke",
            {"FunctionName": "imagine-local-admin", "InvocationType": "Event"},
            "lambda:InvokeFunction",
            f"arn:aws:lambda:{PLACE}:function:imagine-local-admin",
        ),
        (
            "sagemaker-runtime",
            "invoke_endpoint_async",
            {"EndpointName": "imagine-local", "InputLocation": "s3://b/k"},
            "sagemaker:InvokeEndpointAsync",
            f"arn:aws:sagemaker:{PLACE}:endpoint/imagine-local",
        ),
        (
            "sagemaker",
            "describe_endpoint_config",
            {"EndpointConfigName": "imagine-local-1"},
            "sagemaker:DescribeEndpointConfig",
            f"arn:aws:sagemaker:{PLACE}:endpoint-config/imagine-local-1",
        ),
        (
            "cloudwatch",
            "get_metric_data",
            {"MetricDataQueries": [], "StartTime": 0, "EndTime": 1},
            "cloudwatch:GetMetricData",
            "*",
        ),
        (
            "application-autoscaling",
            "describe_scalable_targets",
            {"ServiceNamespace": "sagemaker"},
            "application-autoscaling:DescribeScalableTargets",
            "*",
        ),
        (
            "application-autoscaling",
            "register_scalable_target",
            {"ServiceNamespace": "sagemaker", "ResourceId": "endpoint/e/variant/v", "ScalableDimension": "d"},
            "application-autoscaling:RegisterScalableTarget",
            f"arn:aws:application-autoscaling:{PLACE}:scalable-target/named-by-aws",
        ),
    ],
)
def test_a_request_is_read_as_the_action_that_iam_decides_about(
    service, operation, arguments, action, resource
):
    assert sent(service, operation, **arguments) == [(action, resource)]


def test_a_request_for_several_parameters_is_a_call_for_each():
    names = ["/imagine/local/slack-bot-token", "imagine"]

    assert sent("ssm", "get_parameters", Names=names) == [
        ("ssm:GetParameters", f"arn:aws:ssm:{PLACE}:parameter/imagine"),
        ("ssm:GetParameters", f"arn:aws:ssm:{PLACE}:parameter/imagine/local/slack-bot-token"),
    ]


def test_a_transaction_is_what_its_items_do():
    put = {"Put": {"TableName": "imagine-local", "Item": KEY}}
    update = {"Update": {"TableName": "imagine-local", "Key": KEY, "UpdateExpression": "SET a = b"}}

    assert sent("dynamodb", "transact_write_items", TransactItems=[put, update]) == [
        ("dynamodb:PutItem", TABLE),
        ("dynamodb:UpdateItem", TABLE),
    ]


def test_a_request_that_nobody_signed_is_nobodys():
    request = Request(method="POST", path="/slack/events", headers={}, body=b"")

    assert signer_of(request) is None


def test_calls_have_an_order():
    assert Call(action="a", resource="b") < Call(action="b", resource="a")
