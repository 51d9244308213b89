"""A client that breaks a rule is refused: each rule of the table, once."""

import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from infra.docs import assumptions_table, rules_table
from infra.local.sagemaker.container import Container
from infra.local.sagemaker.errors import InvocationFailed
from infra.local.sagemaker.rules import ASSUMPTIONS, RULES, Rule, Sure
from tests.aws.cloud import Cloud
from tests.contracts.inference_stub import InferenceStub
from tests.infra.sagemaker.standing_region import STUB_TRAINER, Stand, standing_region
from tests.infra.sagemaker.test_auto_scaling import NAMED
from tests.infra.sagemaker.test_training import SPOT, put_lesson, request

Wrong = Callable[[Stand], Any]
NOTHING = {"S3DataType": "S3Prefix", "CompressionType": "None"}


@pytest.fixture
def stand(container: InferenceStub) -> Iterator[Stand]:
    with standing_region(Cloud(), container_url=container.url, trainer=STUB_TRAINER) as stand:
        put_lesson(stand)
        yield stand


def unsigned(stand: Stand) -> Any:
    place = urlsplit(stand.server.url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port)
    try:
        connection.request("POST", "/", b"{}", {"X-Amz-Target": "SageMaker.ListModels"})
        raise ClientError({"Error": {"Message": connection.getresponse().read().decode()}}, "ListModels")
    finally:
        connection.close()


def unknown_member(stand: Stand) -> Any:
    """As a client newer than the service sends it."""
    asked = stand.sagemaker.meta.events
    asked.register("before-call.sagemaker.ListModels", _with_colour)
    return stand.sagemaker.list_models()


def _with_colour(params: dict[str, Any], **_: Any) -> None:
    params["body"] = b'{"Colour": "red"}'


def invoke(stand: Stand, **sent: Any) -> Any:
    name = stand.make_endpoint()
    return stand.runtime.invoke_endpoint_async(**{"EndpointName": name, "Body": b"{}", **sent})


def model(stand: Stand, **source: str) -> Any:
    return stand.make_model(ModelDataSource={"S3DataSource": {**NOTHING, **source}})


def config(stand: Stand, **changed: Any) -> Any:
    stand.make_model()
    return stand.make_config(**changed)


def twice(make: Wrong) -> Wrong:
    return lambda stand: (make(stand), make(stand))


def config_twice(stand: Stand) -> Any:
    stand.make_model()
    return stand.make_config(), stand.make_config()


def endpoint_again(stand: Stand) -> Any:
    stand.make_endpoint()
    return stand.sagemaker.create_endpoint(EndpointName="imagine", EndpointConfigName="config")


def without_quota(stand: Stand) -> Any:
    stand.region.hosting.capacity.quotas["ml.g6.xlarge"] = 0
    return stand.make_endpoint()


def changing(stand: Stand) -> Any:
    stand.make_model()
    stand.make_config()
    stand.make_config("other")
    stand.sagemaker.create_endpoint(EndpointName="imagine", EndpointConfigName="config")


def changed_twice(stand: Stand) -> Any:
    changing(stand)
    return stand.sagemaker.update_endpoint(EndpointName="imagine", EndpointConfigName="other")


def deleted_while_made(stand: Stand) -> Any:
    changing(stand)
    return stand.sagemaker.delete_endpoint(EndpointName="imagine")


def same_config(stand: Stand) -> Any:
    stand.make_endpoint()
    return stand.sagemaker.update_endpoint(EndpointName="imagine", EndpointConfigName="config")


def target(stand: Stand, **sent: Any) -> Any:
    stand.make_endpoint()
    return stand.scaling.register_scalable_target(**{**NAMED, **sent})


def policy(stand: Stand) -> Any:
    stand.make_endpoint()
    return stand.scaling.put_scaling_policy(**NAMED, PolicyName="p", PolicyType="StepScaling")


def yesterday(stand: Stand) -> Any:
    target(stand, MinCapacity=0, MaxCapacity=1)
    return stand.scaling.put_scheduled_action(
        **NAMED, ScheduledActionName="x", Schedule="at(2001-01-01T00:00:00)"
    )


def train(stand: Stand, **changed: Any) -> Any:
    return stand.sagemaker.create_training_job(**request(stand, **changed))


def train_without(quota: str, **changed: Any) -> Wrong:
    def wrong(stand: Stand) -> Any:
        stand.region.change({"capacity": {"quotas": {f"ml.g5.xlarge for {quota}": 0}}})
        return train(stand, **changed)

    return wrong


def stopped_twice(stand: Stand) -> Any:
    train(stand)
    stop = stand.sagemaker.stop_training_job
    return stop(TrainingJobName="blue"), stop(TrainingJobName="blue")


def no_data(stand: Stand) -> Any:
    channels = request(stand)["InputDataConfig"]
    channels[0]["DataSource"]["S3DataSource"]["S3Uri"] = f"s3://{stand.bucket}/nothing/"
    return train(stand, InputDataConfig=channels)


SHORT = {"MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": 60}
WRONG: dict[str, Wrong] = {
    "signed": unsigned,
    "known-members": unknown_member,
    "one-input": lambda stand: invoke(stand, InputLocation="s3://bucket/in"),
    "request-ttl": lambda stand: invoke(stand, RequestTTLSeconds=59),
    "invocation-timeout": lambda stand: invoke(stand, InvocationTimeoutSeconds=3601),
    "endpoint-there": lambda stand: stand.runtime.invoke_endpoint_async(EndpointName="x", Body=b"{}"),
    "model-name": twice(lambda stand: stand.make_model()),
    "prefix-slash": lambda stand: model(stand, S3Uri="s3://b/models"),
    "prefix-uncompressed": lambda stand: model(stand, S3Uri="s3://b/m/", CompressionType="Gzip"),
    "config-name": config_twice,
    "config-model": lambda stand: stand.make_config(),
    "first-count": lambda stand: config(stand, InitialInstanceCount=0),
    "type-or-pools": lambda stand: config(stand, InstanceType=None),
    "instance-type": lambda stand: config(stand, InstanceType="ml.huge"),
    "startup-timeout": lambda stand: config(stand, ContainerStartupHealthCheckTimeoutInSeconds=3601),
    "endpoint-name": endpoint_again,
    "hosting-quota": without_quota,
    "one-change": changed_twice,
    "delete-settled": deleted_while_made,
    "new-config": same_config,
    "target-endpoint": lambda stand: target(stand, ResourceId="endpoint/x/variant/y"),
    "target-bounds": lambda stand: target(stand, MinCapacity=0),
    "bounds-cross": lambda stand: target(stand, MinCapacity=2, MaxCapacity=1),
    "policy-target": policy,
    "schedule-ahead": yesterday,
    "job-name": twice(train),
    "job-texts": lambda stand: train(stand, HyperParameters={"steps": 2}),
    "job-data": no_data,
    "job-quota": train_without("training job usage"),
    "spot-quota": train_without("spot training job usage", **SPOT),
    "spot-wait": lambda stand: train(stand, EnableManagedSpotTraining=True),
    "wait-spot": lambda stand: train(stand, StoppingCondition=SHORT),
    "job-over": stopped_twice,
    "job-there": lambda stand: stand.sagemaker.describe_training_job(TrainingJobName="x"),
}


CONTAINER_RULES = {"content-length"}


@pytest.mark.parametrize(
    "rule", [rule for rule in RULES if rule.key not in CONTAINER_RULES], ids=lambda rule: rule.key
)
def test_who_breaks_a_rule_is_refused(rule: Rule, stand: Stand):
    with pytest.raises(ClientError) as refused:
        WRONG[rule.key](stand)

    assert rule.refusal in str(refused.value)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"


def test_a_container_whose_answer_has_no_length_fails_the_invocation():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        container = Container(f"http://127.0.0.1:{listening.getsockname()[1]}")
        answering = threading.Thread(target=_answer_once, args=(listening, CHUNKED))
        answering.start()
        with pytest.raises(InvocationFailed) as failed:
            container.invoke(b"{}", headers={}, timeout=10)
        answering.join()

    (rule,) = [rule for rule in RULES if rule.key in CONTAINER_RULES]
    assert rule.refusal in str(failed.value)


def _answer_once(listening: socket.socket, answer: bytes) -> None:
    connection, _ = listening.accept()
    with connection:
        connection.recv(1 << 16)
        connection.sendall(answer)


def test_every_rule_has_a_client_that_breaks_it():
    assert {rule.key for rule in RULES} == WRONG.keys() | CONTAINER_RULES


def test_what_is_assumed_can_be_confirmed_and_has_a_name_of_its_own():
    keys = [rule.key for rule in RULES] + [assumption.key for assumption in ASSUMPTIONS]

    assert len(set(keys)) == len(keys)
    assert all(assumption.confirm for assumption in ASSUMPTIONS)


def test_the_page_shows_every_rule_and_every_assumption():
    page = Path("docs/local-sagemaker.md").read_text(encoding="utf-8")

    assert rules_table() in page
    assert assumptions_table() in page
    assert [rule for rule in RULES if rule.sure is Sure.ASSUMED and rule.rule not in page] == []
