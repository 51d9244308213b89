"""The stand-in's Service Quotas say what its SageMaker enforces."""

import pytest
from botocore.exceptions import ClientError

from tests.infra.sagemaker.standing_region import Stand

NAME = "ml.g6.xlarge for endpoint usage"


def test_a_quota_that_refuses_an_endpoint_is_the_one_that_is_listed(stand: Stand):
    service = stand.cloud.session().create_client("service-quotas", endpoint_url=stand.server.url)
    stand.region.change({"capacity": {"quotas": {NAME: 0}}})
    listed = {
        quota["QuotaName"]: quota["Value"]
        for operation in ("list_service_quotas", "list_aws_default_service_quotas")
        for page in service.get_paginator(operation).paginate(ServiceCode="sagemaker")
        for quota in page["Quotas"]
    }

    assert (listed[NAME], listed["ml.g6.xlarge for training job usage"]) == (0.0, 20.0)
    with pytest.raises(ClientError, match=f"service limit '{NAME}' is 0 Instances"):
        stand.make_endpoint()
    with pytest.raises(ClientError, match="not known here"):
        service.list_service_quotas(ServiceCode="lambda")
