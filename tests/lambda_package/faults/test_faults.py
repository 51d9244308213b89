"""What people get to see while something goes wrong between the packed functions and their peers."""

import pytest

from bot.domain.job import Outcome
from infra.local.slack.faults import FaultKind
from tests.lambda_package.faults.deeds import WAKE, order_during, remove_during
from tests.lambda_package.faults.fault import (
    BROKEN,
    CUT_SHORT,
    EVER,
    REPLY_LOST,
    RESET,
    SILENT,
    THROTTLED,
    Fault,
    aws,
    endpoint,
    slack,
)
from tests.lambda_package.faults.scenario import ask_during
from tests.lambda_package.faults.situations import admin_at_work, cold
from tests.scenarios.stack import Stack

pytestmark = pytest.mark.timeout(900)

REFUSED = {"error": {"code": "ValidationError", "status": 400}}
DENIED = {"error": {"code": "AccessDenied", "status": 403}}
COMPLETE, TOO_LARGE = "files.completeUploadExternal", "file_upload_size_restricted"

PASSING = (
    aws("dynamodb.TransactWriteItems", REPLY_LOST, times=1),
    aws("dynamodb.PutItem", BROKEN, situation=admin_at_work),
    aws("dynamodb.Query", CUT_SHORT),
    aws("s3.PutObject", SILENT, times=1),
    aws("s3.GetObject", CUT_SHORT),
    aws("sqs.SendMessage", RESET),
    aws("ssm.GetParameters", BROKEN, situation=cold("worker", "result")),
    endpoint(THROTTLED),
    slack(COMPLETE, FaultKind.DROP_AFTER),
)
LASTING = (
    (endpoint(REFUSED, times=EVER), Outcome.ENGINE_REFUSED),
    (aws("s3.PutObject", DENIED, times=EVER), Outcome.BAD_PICTURE),
    (slack(COMPLETE, FaultKind.REFUSED, error=TOO_LARGE, times=EVER), Outcome.CANNOT_DELIVER),
)
ORDERED = (
    aws("application-autoscaling.RegisterScalableTarget", REPLY_LOST, times=1),
    slack("response_url", FaultKind.SERVER_ERROR, times=1),
)


@pytest.mark.parametrize("fault", PASSING, ids=str)
def test_what_passes_is_a_picture_all_the_same(world: Stack, fault: Fault):
    assert set(ask_during(world, fault)) == {Outcome.OK}


@pytest.mark.parametrize(("fault", "outcome"), LASTING, ids=str)
def test_what_lasts_is_a_plain_reason(world: Stack, fault: Fault, outcome: Outcome):
    assert set(ask_during(world, fault)) == {outcome}


@pytest.mark.parametrize("fault", ORDERED, ids=str)
def test_an_admins_order_has_one_answer(world: Stack, fault: Fault):
    order_during(world, fault, WAKE)


def test_a_picture_is_deleted_although_s3_throttles_it(world: Stack):
    remove_during(world, aws("s3.DeleteObject", THROTTLED))
