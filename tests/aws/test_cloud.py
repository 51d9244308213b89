"""The stand-in itself: what the other tests of this folder take for granted."""

import json

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
