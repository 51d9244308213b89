"""Faults between the deployed functions and AWS, one of each kind; `make faults` drives the whole matrix."""

import pytest

from bot.domain.job import Outcome
from tests.lambda_package.faults.scenario import (
    BROKEN,
    CUT_SHORT,
    REPLY_LOST,
    RESET,
    SILENT,
    THROTTLED,
    Fault,
    ask_during,
)
from tests.scenarios.stack import Stack

pytestmark = pytest.mark.timeout(600)

PASSING = (
    Fault(service="dynamodb", operation="TransactWriteItems", fault=REPLY_LOST, times=1),
    Fault(service="dynamodb", operation="PutItem", fault=BROKEN),
    Fault(service="dynamodb", operation="Query", fault=CUT_SHORT),
    Fault(service="s3", operation="PutObject", fault=SILENT, times=1),
    Fault(service="s3", operation="GetObject", fault=CUT_SHORT),
    Fault(service="sqs", operation="SendMessage", fault=RESET),
    Fault(service="sagemaker", fault=THROTTLED, wire="sagemaker"),
)


@pytest.mark.parametrize("fault", PASSING, ids=str)
def test_what_was_accepted_ends_in_one_visible_outcome(world: Stack, fault: Fault):
    outcomes = ask_during(world, fault)

    assert outcomes
    assert set(outcomes) == {Outcome.OK}
