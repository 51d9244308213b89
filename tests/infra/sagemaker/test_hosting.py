"""The stand-in's control plane: the states of an endpoint, and what it refuses as SageMaker does."""

from typing import Any

import botocore.loaders
import pytest
from botocore.exceptions import ClientError, WaiterError

from infra.local.sagemaker.hosting import NO_CAPACITY
from infra.local.sagemaker.shapes import python_pattern
from tests.infra.sagemaker.standing_region import ROLE, Stand


def refused(call: Any, **sent: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**sent)
    error = caught.value.response["Error"]
    return f"{error['Code']}: {error['Message']}"


def test_an_endpoint_is_made_serves_and_goes(stand: Stand):
    stand.make_model()
    stand.make_config()
    stand.sagemaker.create_endpoint(EndpointName="imagine", EndpointConfigName="config")
    assert stand.status() == ("Creating", 0, 1)

    stand.advance(240)
    assert stand.status() == ("InService", 1, 1)
    stand.invoke()
    stand.until(lambda: stand.region.runtime("imagine").tally.processed == 1)
    kept = stand.cloud.clients["s3"].get_object(Bucket=stand.bucket, Key="out/1.out")
    assert kept["Body"].read() == b'{"images": ["eA=="]}'

    stand.sagemaker.delete_endpoint(EndpointName="imagine")
    assert stand.status()[0] == "Deleting"
    stand.advance(30)
    assert "Could not find endpoint" in refused(stand.sagemaker.describe_endpoint, EndpointName="imagine")


def test_boto3s_own_waiters_understand_it(stand: Stand):
    stand.make_endpoint()
    waiter = stand.sagemaker.get_waiter("endpoint_in_service")
    waiter.wait(EndpointName="imagine", WaiterConfig={"Delay": 0, "MaxAttempts": 1})

    stand.region.hosting.troubles.unhealthy_starts = 1
    stand.sagemaker.create_endpoint(EndpointName="sick", EndpointConfigName="config")
    stand.advance(1000)
    with pytest.raises(WaiterError, match="terminal failure"):
        waiter.wait(EndpointName="sick", WaiterConfig={"Delay": 0, "MaxAttempts": 1})
    reason = stand.sagemaker.describe_endpoint(EndpointName="sick")["FailureReason"]
    assert "did not pass the ping health check" in reason


def test_what_is_asked_for_is_told_back(stand: Stand):
    stand.make_endpoint()
    endpoint = stand.sagemaker.describe_endpoint(EndpointName="imagine")
    config = stand.sagemaker.describe_endpoint_config(EndpointConfigName="config")
    model = stand.sagemaker.describe_model(ModelName="model")

    assert endpoint["AsyncInferenceConfig"] == config["AsyncInferenceConfig"]
    assert config["ProductionVariants"][0]["InstanceType"] == "ml.g6.xlarge"
    assert model["ExecutionRoleArn"] == ROLE
    assert [told["EndpointName"] for told in stand.sagemaker.list_endpoints()["Endpoints"]] == ["imagine"]
    assert [told["ModelName"] for told in stand.sagemaker.list_models()["Models"]] == ["model"]


def test_a_name_is_taken_once(stand: Stand):
    stand.make_endpoint()

    with pytest.raises(ClientError, match="already existing model"):
        stand.make_model()
    with pytest.raises(ClientError, match="already existing endpoint config"):
        stand.make_config()
    again = {"EndpointName": "imagine", "EndpointConfigName": "config"}
    assert "already existing endpoint" in refused(stand.sagemaker.create_endpoint, **again)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"InitialInstanceCount": 0}, "greater than or equal to 1"),
        ({"InstanceType": "ml.huge"}, "enum value set"),
        ({"InstanceType": None}, "Exactly one of InstanceType and InstancePools"),
        ({"InstancePools": [{"InstanceType": "ml.g5.xlarge", "Priority": 1}]}, "Exactly one of"),
        ({"VolumeSizeInGB": 513}, "less than or equal to 512"),
        ({"ContainerStartupHealthCheckTimeoutInSeconds": 3601}, "less than or equal to 3600"),
        ({"VariantName": "All Traffic"}, "regular expression"),
        ({"model": "another"}, "Could not find model"),
    ],
)
def test_a_config_that_sagemaker_would_refuse(stand: Stand, changed: dict[str, Any], told: str):
    stand.make_model()
    with pytest.raises(ClientError, match=told):
        stand.make_config(**changed)


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ({"S3Uri": "s3://b/models", "S3DataType": "S3Prefix", "CompressionType": "None"}, "forward slash"),
        (
            {"S3Uri": "s3://b/m/", "S3DataType": "S3Prefix", "CompressionType": "Gzip"},
            "Gzip is not supported",
        ),
    ],
)
def test_a_model_source_that_sagemaker_would_refuse(stand: Stand, source: dict[str, str], told: str):
    with pytest.raises(ClientError, match=told):
        stand.make_model(ModelDataSource={"S3DataSource": source})


def test_model_files_that_are_not_there_fail_the_endpoint(stand: Stand):
    stand.make_model(
        ModelDataSource={
            "S3DataSource": {
                "S3Uri": f"s3://{stand.bucket}/nothing/",
                "S3DataType": "S3Prefix",
                "CompressionType": "None",
            }
        }
    )
    stand.make_config()
    stand.sagemaker.create_endpoint(EndpointName="imagine", EndpointConfigName="config")

    assert stand.status()[0] == "Failed"
    reason = stand.sagemaker.describe_endpoint(EndpointName="imagine")["FailureReason"]
    assert reason.startswith("Failed to download model data")


def test_quota_zero_is_named_exactly(stand: Stand):
    stand.region.hosting.capacity.quotas["ml.g6.xlarge"] = 0
    stand.make_model()
    stand.make_config()

    told = refused(stand.sagemaker.create_endpoint, EndpointName="imagine", EndpointConfigName="config")
    assert told.startswith("ResourceLimitExceeded: ")
    assert "'ml.g6.xlarge for endpoint usage' is 0 Instances" in told


POOLS = [
    {"InstanceType": "ml.g6.xlarge", "Priority": 1},
    {"InstanceType": "ml.g5.xlarge", "Priority": 2},
]


def test_a_shortage_falls_to_the_next_pool(stand: Stand):
    stand.region.hosting.capacity.free["ml.g6.xlarge"] = 0
    stand.make_model()
    stand.make_config(InstanceType=None, InstancePools=POOLS)
    stand.sagemaker.create_endpoint(EndpointName="imagine", EndpointConfigName="config")
    stand.advance(240)

    told = stand.sagemaker.describe_endpoint(EndpointName="imagine")["ProductionVariants"][0]["InstancePools"]
    assert told == [
        {"InstanceType": "ml.g6.xlarge", "CurrentInstanceCount": 0},
        {"InstanceType": "ml.g5.xlarge", "CurrentInstanceCount": 1},
    ]


def test_no_machine_anywhere_fails_after_the_time_given(stand: Stand):
    stand.region.hosting.capacity.free.update({"ml.g6.xlarge": 0, "ml.g5.xlarge": 0})
    stand.make_model()
    stand.make_config(InstanceType=None, InstancePools=POOLS, VariantInstanceProvisionTimeoutInSeconds=600)
    stand.sagemaker.create_endpoint(EndpointName="imagine", EndpointConfigName="config")

    stand.advance(590)
    assert stand.status()[0] == "Creating"
    stand.advance(20)
    told = stand.sagemaker.describe_endpoint(EndpointName="imagine")
    assert (told["EndpointStatus"], told["FailureReason"]) == ("Failed", NO_CAPACITY)


def test_an_update_serves_the_old_until_the_new_is_ready(stand: Stand):
    stand.make_endpoint()
    stand.make_config("config-2", InstanceType="ml.g5.xlarge", InitialInstanceCount=2)
    stand.sagemaker.update_endpoint(EndpointName="imagine", EndpointConfigName="config-2")

    told = stand.sagemaker.describe_endpoint(EndpointName="imagine")
    assert told["EndpointStatus"] == "Updating"
    assert told["EndpointConfigName"] == "config"
    assert told["PendingDeploymentSummary"]["EndpointConfigName"] == "config-2"
    stand.invoke()
    stand.until(lambda: stand.region.runtime("imagine").tally.processed == 1)

    stand.advance(240)
    assert stand.status() == ("InService", 2, 2)
    assert stand.sagemaker.describe_endpoint(EndpointName="imagine")["EndpointConfigName"] == "config-2"
    assert stand.region.hosting.capacity.free["ml.g6.xlarge"] == 20, "the old machine is given back"


def test_retaining_the_properties_keeps_the_count(stand: Stand):
    stand.make_endpoint()
    counts = [{"VariantName": "AllTraffic", "DesiredInstanceCount": 3}]
    stand.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName="imagine", DesiredWeightsAndCapacities=counts
    )
    stand.advance(240)
    stand.make_config("config-2")
    stand.sagemaker.update_endpoint(
        EndpointName="imagine", EndpointConfigName="config-2", RetainAllVariantProperties=True
    )
    stand.advance(240)

    assert stand.status() == ("InService", 3, 3)


def test_an_update_that_never_gets_healthy_is_rolled_back(stand: Stand):
    stand.make_endpoint()
    stand.make_config("config-2")
    stand.region.hosting.troubles.unhealthy_starts = 1
    stand.sagemaker.update_endpoint(EndpointName="imagine", EndpointConfigName="config-2")
    stand.advance(900)

    told = stand.sagemaker.describe_endpoint(EndpointName="imagine")
    assert (told["EndpointStatus"], told["EndpointConfigName"]) == ("InService", "config")
    assert "ping health check" in told["FailureReason"]


def test_one_change_at_a_time(stand: Stand):
    stand.make_endpoint()
    stand.make_config("config-2")
    stand.sagemaker.update_endpoint(EndpointName="imagine", EndpointConfigName="config-2")

    again = {"EndpointName": "imagine", "EndpointConfigName": "config-2"}
    assert "in-progress endpoint" in refused(stand.sagemaker.update_endpoint, **again)
    assert "in-progress endpoint" in refused(stand.sagemaker.delete_endpoint, EndpointName="imagine")


def test_a_failed_endpoint_can_only_be_deleted(stand: Stand):
    stand.region.hosting.troubles.unhealthy_starts = 1
    stand.make_model()
    stand.make_config()
    stand.sagemaker.create_endpoint(EndpointName="imagine", EndpointConfigName="config")
    stand.advance(1000)
    stand.make_config("config-2")

    again = {"EndpointName": "imagine", "EndpointConfigName": "config-2"}
    assert "in-progress" in refused(stand.sagemaker.update_endpoint, **again)
    stand.sagemaker.delete_endpoint(EndpointName="imagine")
    stand.advance(30)
    assert stand.sagemaker.list_endpoints()["Endpoints"] == []


def test_what_is_no_operation_of_the_service_is_refused(stand: Stand):
    told = refused(stand.sagemaker.list_notebook_instances)

    assert told.startswith("UnknownOperationException")


@pytest.mark.parametrize("service", ["sagemaker", "application-autoscaling"])
def test_every_pattern_of_the_services_can_be_checked(service: str):
    model = botocore.loaders.create_loader().load_service_model(service, "service-2")
    patterns = {shape["pattern"] for shape in model["shapes"].values() if "pattern" in shape}

    assert patterns
    assert all(python_pattern(pattern) for pattern in patterns)
