"""What people get to see while something goes wrong between the packed functions and their peers."""

import pytest

from bot.domain.job import Outcome
from infra.local.slack.faults import FaultKind
from tests.lambda_package.faults.scenario import (
    BROKEN,
    CUT_SHORT,
    EVER,
    REPLY_LOST,
    RESET,
    SILENT,
    THROTTLED,
    Fault,
    SlackFault,
    WireFault,
    admin_at_work,
    ask_during,
    cold,
)
from tests.scenarios.stack import Stack

pytestmark = pytest.mark.timeout(900)

REFUSED = {"error": {"code": "ValidationError", "status": 400}}
DENIED = {"error": {"code": "AccessDenied", "status": 403}}

PASSING = (
    WireFault(service="dynamodb", operation="TransactWriteItems", fault=REPLY_LOST, times=1),
    WireFault(service="dynamodb", operation="PutItem", fault=BROKEN, situation=admin_at_work),
    WireFault(service="dynamodb", operation="Query", fault=CUT_SHORT),
    WireFault(service="s3", operation="PutObject", fault=SILENT, times=1),
    WireFault(service="s3", operation="GetObject", fault=CUT_SHORT),
    WireFault(service="sqs", operation="SendMessage", fault=RESET),
    WireFault(service="ssm", operation="GetParameters", fault=BROKEN, situation=cold("worker", "result")),
    WireFault(service="sagemaker", fault=THROTTLED, wire="sagemaker"),
    SlackFault(method="files.completeUploadExternal", kind=FaultKind.DROP_AFTER),
)
LASTING = (
    (WireFault(service="sagemaker", fault=REFUSED, wire="sagemaker", times=EVER), Outcome.ENGINE_REFUSED),
    (WireFault(service="s3", operation="PutObject", fault=DENIED, times=EVER), Outcome.BAD_PICTURE),
    (
        SlackFault(
            method="files.completeUploadExternal",
            kind=FaultKind.REFUSED,
            error="file_upload_size_restricted",
            times=EVER,
        ),
        Outcome.CANNOT_DELIVER,
    ),
)


@pytest.mark.parametrize("fault", PASSING, ids=str)
def test_what_passes_is_a_picture_all_the_same(world: Stack, fault: Fault):
    assert set(ask_during(world, fault)) == {Outcome.OK}


@pytest.mark.parametrize(("fault", "outcome"), LASTING, ids=str)
def test_what_lasts_is_a_plain_reason(world: Stack, fault: Fault, outcome: Outcome):
    assert set(ask_during(world, fault)) == {outcome}
