"""Where events of the deployed service go: a JSON line each in the log, and counts that alarms watch.

Counts are lines in CloudWatch's embedded metric format, written at once: a process that is frozen or
killed after its answer has lost none.
"""

import json
import sys
from collections.abc import Mapping
from typing import TextIO

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.metrics.base import SingleMetric

Field = str | int | float | None
LONGEST = 200
NAMESPACE = "imagine"

COUNTED: Mapping[str, tuple[str, ...]] = {
    "admin_failed": ("code",),
    "admin_refused": ("code",),
    "advance_crashed": (),
    "advance_failed": (),
    "advance_rejected": (),
    "announce_rejected": (),
    "bad_output": (),
    "bolt_error": (),
    "create_retried": (),
    "deliver_rejected": (),
    "delivery_unverified": (),
    "dispatch_failed": (),
    "endpoint_closed": (),
    "endpoint_look_failed": (),
    "endpoint_look_refused": (),
    "endpoint_state_unread": (),
    "enter_failed": (),
    "failure_unreadable": (),
    "failure_without_object": (),
    "finish_unseen": (),
    "foreign_event": ("reason",),
    "handler_failed": ("handler",),
    "hard_stop": (),
    "late_result": (),
    "left_for_later": ("handler",),
    "nudge_lost": (),
    "order_lost": (),
    "original_given_up": (),
    "output_elsewhere": (),
    "output_unreadable": (),
    "overdue": (),
    "poison_message": (),
    "prepare_rejected": (),
    "push_back_failed": (),
    "remove_rejected": (),
    "resolved": ("outcome",),
    "result_without_object": (),
    "resubmit": (),
    "sagemaker_fallback": (),
    "secret_missing": (),
    "secrets_not_read": (),
    "slack_door_error": (),
    "snapshot_failed": (),
    "submit_ambiguous": (),
    "submit_rejected": (),
    "sweep_cut_short": (),
    "token_refused": (),
    "unknown_job": (),
    "waking_failed": (),
    "whisper_lost": (),
    "work_crashed": (),
    "work_failed": (),
}
"""The events that are counted, with the fields that split the count. Each such field has few values; every
count also carries the dimension `service`."""

COUNTED_AS: Mapping[str, str] = {"announce_rejected": "slack_refused", "token_refused": "slack_refused"}
"""Events that are one count of another name, because one alarm watches them: an alarm costs by the count."""


class LambdaJournal:
    """The Journal port over powertools. `service` names the deployment, `function` the Lambda function.

    Fields are identifiers and codes: anything but text, numbers and None raises TypeError, and text is cut
    after 200 characters, so that no prompt or body slips in whole.
    """

    def __init__(self, *, service: str, function: str, stream: TextIO | None = None) -> None:
        self._service = service
        self._stream = stream or sys.stdout
        self._logger = Logger(
            service=service, level="INFO", stream=self._stream, location=None, function=function
        )

    def event(self, name: str, **fields: Field) -> None:
        """See Journal.event."""
        told = {key: _checked(key, value) for key, value in fields.items()}
        self._logger.info(name, extra={"fields": told})
        if name in COUNTED:
            dimensions = {key: str(told.get(key) or "none") for key in COUNTED[name]}
            self._count(COUNTED_AS.get(name, name), dimensions)

    def _count(self, name: str, dimensions: Mapping[str, str]) -> None:
        count = SingleMetric(namespace=NAMESPACE, service=self._service)
        count.add_metric(name=name, unit=MetricUnit.Count, value=1)
        for key, value in dimensions.items():
            count.add_dimension(name=key, value=value)
        self._stream.write(f"{json.dumps(count.serialize_metric_set())}\n")
        self._stream.flush()


def _checked(key: str, value: object) -> Field:
    if value is not None and not isinstance(value, str | int | float):
        raise TypeError(f"{key} is {type(value).__name__}, no identifier or number")
    return value[:LONGEST] if isinstance(value, str) else value
