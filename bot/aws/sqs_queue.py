"""Nudges through SQS: the port Queue on AWS, and what its messages say."""

import json
import math
import re

from bot.aws.clients import Clients
from bot.aws.peer_errors import peer_errors

LONGEST_DELAY = 900
"""Seconds; SendMessage takes no more."""

LONGEST_BODY = 256
JOB_ID = re.compile(r"[a-z2-7]{26}")


class SqsQueue:
    """The port Queue over a standard queue. Order and single delivery are not promised, nor needed.

    Each nudge is one SendMessage, sent once: a lost hint is cheaper than a person who waits for a second.
    """

    def __init__(self, clients: Clients, *, url: str) -> None:
        self._clients = clients
        self._url = url

    def nudge(self, job_id: str, *, delay: float = 0.0) -> None:
        """See Queue.nudge. SQS counts whole seconds: the hint comes at the next one, at most after 900."""
        with peer_errors():
            self._clients["sqs"].send_message(
                QueueUrl=self._url,
                MessageBody=body_of(job_id),
                DelaySeconds=math.ceil(min(max(delay, 0.0), LONGEST_DELAY)),
            )


def body_of(job_id: str) -> str:
    """The message that asks to look at a job. It holds the id alone: queues are no place for prompts."""
    return json.dumps({"job": job_id})


def job_of(body: str) -> str | None:
    """The job that a message asks to look at, None for one that nobody of ours sent. Never raises."""
    if len(body) > LONGEST_BODY:
        return None
    try:
        message = json.loads(body)
    except ValueError:
        return None
    job_id = message.get("job") if isinstance(message, dict) else None
    return job_id if isinstance(job_id, str) and JOB_ID.fullmatch(job_id) else None
