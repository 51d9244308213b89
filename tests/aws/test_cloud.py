"""The stand-in itself: what the other tests of this folder take for granted."""

import json
import os
import subprocess
import sys

from tests.aws.cloud import Cloud


def test_every_cloud_is_an_account_of_its_own(cloud: Cloud):
    bucket = cloud.make_bucket()
    names = [found["Name"] for found in cloud.clients["s3"].list_buckets()["Buckets"]]
    assert bucket in names
    assert Cloud().clients["s3"].list_buckets()["Buckets"] == []


def test_clients_of_their_own_see_the_same_account(cloud: Cloud):
    bucket = cloud.make_bucket()
    cloud.new_clients()["s3"].put_object(Bucket=bucket, Key="k", Body=b"bytes")
    assert cloud.clients["s3"].get_object(Bucket=bucket, Key="k")["Body"].read() == b"bytes"


def test_a_topic_reaches_a_queue(cloud: Cloud):
    queue, topic = cloud.make_queue(), cloud.make_topic()
    cloud.clients["sns"].subscribe(TopicArn=topic, Protocol="sqs", Endpoint=cloud.queue_arn(queue))
    cloud.clients["sns"].publish(TopicArn=topic, Message="told")
    (message,) = cloud.clients["sqs"].receive_message(QueueUrl=queue)["Messages"]
    assert json.loads(message["Body"])["Message"] == "told"


def test_parameters_and_secrets_are_there_too(cloud: Cloud):
    cloud.clients["ssm"].put_parameter(Name="/bot/token", Value="nothing", Type="SecureString")
    found = cloud.clients["ssm"].get_parameter(Name="/bot/token", WithDecryption=True)
    assert found["Parameter"]["Value"] == "nothing"
    cloud.clients["secretsmanager"].create_secret(Name="bot", SecretString="nothing")
    assert cloud.clients["secretsmanager"].get_secret_value(SecretId="bot")["SecretString"] == "nothing"


ELSEWHERE = """
import botocore.session
session = botocore.session.Session()
s3, sqs, dynamodb = (session.create_client(name) for name in ("s3", "sqs", "dynamodb"))
s3.put_object(Bucket="{bucket}", Key="a/b c.txt", Body=b"bytes")
assert s3.get_object(Bucket="{bucket}", Key="a/b c.txt")["Body"].read() == b"bytes"
assert s3.head_object(Bucket="{bucket}", Key="a/b c.txt")["ContentLength"] == 5
sqs.send_message(QueueUrl="{queue}", MessageBody="hello")
dynamodb.put_item(TableName="{table}", Item={{"pk": {{"S": "job#1"}}}})
"""


def test_another_process_reaches_the_account_through_the_gateway(cloud: Cloud):
    bucket, queue, table = cloud.make_bucket(), cloud.make_queue(), cloud.make_table()
    with cloud.gateway() as url:
        environment = {
            "PATH": os.environ["PATH"],
            "AWS_ENDPOINT_URL": url,
            "AWS_REGION": cloud.region,
            "AWS_DEFAULT_REGION": cloud.region,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
        }
        program = ELSEWHERE.format(bucket=bucket, queue=queue, table=table)
        subprocess.run([sys.executable, "-c", program], env=environment, check=True, timeout=60)
    assert cloud.clients["s3"].get_object(Bucket=bucket, Key="a/b c.txt")["Body"].read() == b"bytes"
    (message,) = cloud.clients["sqs"].receive_message(QueueUrl=queue)["Messages"]
    assert message["Body"] == "hello"
    assert "Item" in cloud.clients["dynamodb"].get_item(TableName=table, Key={"pk": {"S": "job#1"}})
