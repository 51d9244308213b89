"""Every fault on every operation that a drawing needs: `make faults`, for it takes minutes.

A submission of which nobody knows whether it arrived is waited for until its life ends, for to submit again
could draw, and cost, twice: such a case takes a minute here, and 40 on AWS.
"""

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
EVERY = (THROTTLED, BROKEN, RESET, SILENT, REPLY_LOST, CUT_SHORT)
OPERATIONS = (
    ("dynamodb", "TransactWriteItems"),
    ("dynamodb", "PutItem"),
    ("dynamodb", "UpdateItem"),
    ("dynamodb", "GetItem"),
    ("dynamodb", "BatchGetItem"),
    ("dynamodb", "Query"),
    ("s3", "GetObject"),
    ("s3", "PutObject"),
    ("sqs", "SendMessage"),
)
MATRIX = (
    *(
        Fault(service=service, operation=operation, fault=fault)
        for service, operation in OPERATIONS
        for fault in EVERY
    ),
    *(Fault(service="sagemaker", fault=fault, wire="sagemaker", times=1) for fault in EVERY),
)


@pytest.mark.parametrize("fault", PASSING, ids=str)
def test_what_was_accepted_ends_in_one_visible_outcome(world: Stack, fault: Fault):
    outcomes = ask_during(world, fault)

    assert outcomes
    assert set(outcomes) == {Outcome.OK}


@pytest.mark.parametrize("fault", MATRIX, ids=str)
def test_no_fault_on_any_operation_leaves_another_outcome(world: Stack, fault: Fault):
    """Where the fault keeps a line from being taken, its person is told, and nothing is owed."""
    assert set(ask_during(world, fault, commands=3)) <= {Outcome.OK}
