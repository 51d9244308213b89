"""Every fault on every operation that a drawing, an order or a deletion needs: `make faults`, for it takes
minutes.

A submission of which nobody knows whether it arrived is waited for until its life ends, for to submit again
could draw, and cost, twice: such a case takes a minute here, and 40 on AWS.
"""

import pytest

from bot.domain.job import Outcome
from tests.lambda_package.faults.deeds import (
    DOCTOR,
    SLEEP,
    WAKE,
    WARM,
    Order,
    order_during,
    remove_during,
    show_during,
)
from tests.lambda_package.faults.fault import (
    EVER,
    KINDS,
    RESET,
    SLACK_KINDS,
    Fault,
    aws,
    endpoint,
    quiet,
    slack,
)
from tests.lambda_package.faults.scenario import ask_during
from tests.lambda_package.faults.situations import admin_at_work, cold, engine_fails, release_unseen, rotated
from tests.scenarios.stack import Stack

pytestmark = pytest.mark.timeout(900)

POSTING = ("worker", "result", "sweep")
OPERATIONS = (
    ("dynamodb.TransactWriteItems", quiet),
    ("dynamodb.PutItem", admin_at_work),
    ("dynamodb.UpdateItem", quiet),
    ("dynamodb.GetItem", quiet),
    ("dynamodb.BatchGetItem", quiet),
    ("dynamodb.Query", quiet),
    ("s3.GetObject", quiet),
    ("s3.PutObject", quiet),
    ("sqs.SendMessage", quiet),
    ("ssm.GetParameters", cold("slack")),
    ("ssm.GetParameters", cold(*POSTING)),
    ("ssm.GetParameters", rotated),
    ("secretsmanager.GetSecretValue", cold("slack", store="secretsmanager")),
    ("secretsmanager.GetSecretValue", cold(*POSTING, store="secretsmanager")),
    ("sagemaker.DescribeEndpoint", quiet),
    ("sagemaker.DescribeEndpointConfig", release_unseen),
    ("sagemaker.DescribeModel", release_unseen),
    ("cloudwatch.GetMetricData", quiet),
)
SLACK_METHODS = (
    "chat.postMessage",
    "files.getUploadURLExternal",
    "upload",
    "files.completeUploadExternal",
    "files.info",
    "chat.update",
)
EVERY = (
    *(aws(named, kind, situation=situation) for named, situation in OPERATIONS for kind in KINDS),
    *(endpoint(kind, times=1) for kind in KINDS),
    *(slack(method, kind, times=1) for method in SLACK_METHODS for kind in SLACK_KINDS),
)
STEPS_OF_ORDERS = (
    ("lambda.Invoke", WAKE),
    ("dynamodb.PutItem", WAKE),
    ("application-autoscaling.DescribeScalableTargets", WAKE),
    ("application-autoscaling.RegisterScalableTarget", WARM),
    ("application-autoscaling.PutScheduledAction", WARM),
    ("application-autoscaling.DescribeScheduledActions", WARM),
    ("application-autoscaling.DeleteScheduledAction", SLEEP),
    ("sagemaker.UpdateEndpointWeightsAndCapacities", SLEEP),
    ("sqs.GetQueueAttributes", DOCTOR),
)
ORDERS = (
    *((aws(named, kind, times=1), order) for named, order in STEPS_OF_ORDERS for kind in KINDS),
    *((slack("response_url", kind, times=1), WAKE) for kind in SLACK_KINDS),
)
LISTINGS = tuple(aws("s3.ListObjectsV2", kind) for kind in KINDS)
FAILINGS = tuple(aws("s3.ListObjectsV2", kind, situation=engine_fails) for kind in KINDS)
DELETIONS = tuple(aws("s3.DeleteObject", kind) for kind in KINDS)


@pytest.mark.parametrize("fault", EVERY, ids=str)
def test_no_fault_on_any_operation_leaves_another_outcome(world: Stack, fault: Fault):
    """Where the fault keeps a line from being taken, its person is told, and types it again."""
    assert set(ask_during(world, fault)) == {Outcome.OK}


@pytest.mark.parametrize("fault", FAILINGS, ids=str)
def test_a_drawing_that_fails_is_told_as_failed(world: Stack, fault: Fault):
    assert set(ask_during(world, fault)) == {Outcome.ENGINE_FAILED}


@pytest.mark.parametrize("fault", LISTINGS, ids=str)
def test_full_size_is_shown_once(world: Stack, fault: Fault):
    show_during(world, fault)


@pytest.mark.parametrize("fault", [*LISTINGS, *DELETIONS], ids=str)
def test_what_is_deleted_is_gone(world: Stack, fault: Fault):
    remove_during(world, fault)


@pytest.mark.parametrize(("fault", "order"), ORDERS, ids=str)
def test_an_order_has_one_answer(world: Stack, fault: Fault, order: Order):
    order_during(world, fault, order)


def test_a_submission_that_is_lost_again_and_again_is_given_up(world: Stack):
    assert set(ask_during(world, endpoint(RESET, times=EVER))) == {Outcome.TIMED_OUT}
