"""Every fault on every operation that a drawing needs: `make faults`, for it takes minutes.

A submission of which nobody knows whether it arrived is waited for until its life ends, for to submit again
could draw, and cost, twice: such a case takes a minute here, and 40 on AWS.
"""

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
    quiet,
)
from tests.scenarios.stack import Stack

pytestmark = pytest.mark.timeout(900)

KINDS = (THROTTLED, BROKEN, RESET, SILENT, REPLY_LOST, CUT_SHORT)
OPERATIONS = (
    ("dynamodb", "TransactWriteItems", quiet),
    ("dynamodb", "PutItem", admin_at_work),
    ("dynamodb", "UpdateItem", quiet),
    ("dynamodb", "GetItem", quiet),
    ("dynamodb", "BatchGetItem", quiet),
    ("dynamodb", "Query", quiet),
    ("s3", "GetObject", quiet),
    ("s3", "PutObject", quiet),
    ("sqs", "SendMessage", quiet),
    ("ssm", "GetParameters", cold("slack")),
)
SLACK_METHODS = (
    "chat.postMessage",
    "files.getUploadURLExternal",
    "upload",
    "files.completeUploadExternal",
    "files.info",
    "chat.update",
)
SLACK_KINDS = (
    FaultKind.RATE_LIMITED,
    FaultKind.SERVER_ERROR,
    FaultKind.DROP_BEFORE,
    FaultKind.DROP_AFTER,
    FaultKind.SLOW,
    FaultKind.CUT_SHORT,
)
EVERY = (
    *(
        WireFault(service=service, operation=operation, fault=fault, situation=situation)
        for service, operation, situation in OPERATIONS
        for fault in KINDS
    ),
    *(
        WireFault(
            service="ssm", operation="GetParameters", fault=fault, situation=cold("worker", "result", "sweep")
        )
        for fault in KINDS
    ),
    *(WireFault(service="sagemaker", fault=fault, wire="sagemaker", times=1) for fault in KINDS),
    *(
        SlackFault(method=method, kind=kind, times=1, seconds=1 if kind is FaultKind.RATE_LIMITED else 12)
        for method in SLACK_METHODS
        for kind in SLACK_KINDS
    ),
)


@pytest.mark.parametrize("fault", EVERY, ids=str)
def test_no_fault_on_any_operation_leaves_another_outcome(world: Stack, fault: Fault):
    """Where the fault keeps a line from being taken, its person is told, and types it again."""
    assert set(ask_during(world, fault)) == {Outcome.OK}


def test_a_submission_that_is_lost_again_and_again_is_given_up(world: Stack):
    lost = WireFault(service="sagemaker", fault=RESET, wire="sagemaker", times=EVER)

    assert set(ask_during(world, lost)) == {Outcome.TIMED_OUT}
