"""The stage's dead-letter queues: what lies there and why, and sending it where it came from once more."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from bot.aws.clients import ServiceClients
from bot.aws.sqs_queue import job_of
from infra.operating.dead_events import NOBODYS, DeadEvent, error_type, read_event
from infra.operating.errors import NoSuchQueue

PEEK = 30
"""Seconds for which a message that is looked at is hidden from others; it is shown again afterwards."""

REDRIVE = 120
"""Seconds for which a message is ours while it is redriven: longer than any function may run."""

REDRIVEN = "redriven"
"""The attribute of a nudge that was sent once more: a second failure brings it back with it."""

PAGE = 10
MOST = 1000
NUDGES, EVENTS = "dead-nudges", "dead-events"


class Fate(StrEnum):
    """What became of a message that was redriven."""

    SENT = "sent again"
    DONE = "done"
    STAYS = "stays"


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """`name` is without the stage; `count` is SQS's own, which may lag some seconds."""

    name: str
    url: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A dead message. `job` is None where none is named; `function` is "" for a nudge.

    `kind` and `cause` are words of ours and kinds of error, never what the message says.
    """

    id: str
    sent_at: float
    kind: str
    job: str | None = None
    function: str = ""
    cause: str = ""
    redriven: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Redriven:
    """`why` is for people."""

    letter: Letter
    fate: Fate
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """A message and what SQS wants to have back for it."""

    letter: Letter
    handle: str
    body: str
    event: DeadEvent


class DeadLetters:
    """Of one stage. Looking takes nothing away."""

    def __init__(self, clients: ServiceClients, *, stage: str) -> None:
        self._clients = clients
        self._sqs = clients["sqs"]
        self._stage = stage

    def queues(self) -> list[Queue]:
        """Every dead-letter queue of the stage. Raises NoSuchQueue where there is none."""
        prefix = f"imagine-{self._stage}-"
        pages = self._sqs.get_paginator("list_queues").paginate(QueueNamePrefix=f"{prefix}dead-")
        urls = [url for page in pages for url in page.get("QueueUrls", [])]
        if not urls:
            raise NoSuchQueue(f"stage {self._stage} has no dead-letter queues here: is the stage deployed?")
        return [
            Queue(name=url.rsplit("/", 1)[-1].removeprefix(prefix), url=url, count=self._count(url))
            for url in sorted(urls)
        ]

    def queue(self, name: str) -> Queue:
        """Raises NoSuchQueue."""
        queues = self.queues()
        for queue in queues:
            if queue.name == name:
                return queue
        there = ", ".join(queue.name for queue in queues)
        raise NoSuchQueue(f"there is no dead-letter queue {name}; there are {there}")

    def letters(self, queue: Queue) -> list[Letter]:
        """What lies there, oldest first; shown to others again at once."""
        held = list(self._received(queue, PEEK))
        for message in held:
            self._show_again(queue, message)
        return sorted((message.letter for message in held), key=lambda letter: letter.sent_at)

    def redrive(self, queue: Queue, *, told: Callable[[Redriven], None]) -> list[Redriven]:
        """Send each message where it came from, once. What fails again or is nobody's stays in the queue.

        A message is taken away only after that went well, so being killed loses none; at worst one goes
        twice, which changes nothing.
        """
        outcomes, staying = [], []
        for message in self._received(queue, REDRIVE):
            redriven = self._redriven(message)
            if redriven.fate is Fate.STAYS:
                staying.append(message)
            else:
                self._sqs.delete_message(QueueUrl=queue.url, ReceiptHandle=message.handle)
            told(redriven)
            outcomes.append(redriven)
        for message in staying:  # only now, or the next look would find them again
            self._show_again(queue, message)
        return outcomes

    def _redriven(self, message: _Held) -> Redriven:
        letter = message.letter
        if letter.function:
            return self._invoked(message)
        if message.event.is_past:
            return Redriven(
                letter=letter, fate=Fate.DONE, why="later minutes did its work; it was taken away"
            )
        if letter.job is None:
            return _stays(letter, "nobody of ours wrote it; delete it once you have seen where it came from")
        if letter.redriven:
            return _stays(
                letter, f"it failed a second time; imagine jobs show {letter.job} says where it stands"
            )
        self._sqs.send_message(
            QueueUrl=self._url("nudges"),
            MessageBody=message.body,
            MessageAttributes={REDRIVEN: {"DataType": "String", "StringValue": "1"}},
        )
        return Redriven(letter=letter, fate=Fate.SENT, why="the worker looks at its job now")

    def _invoked(self, message: _Held) -> Redriven:
        """The function's own answer tells whether the event is dead for good."""
        letter = message.letter
        try:
            answer = self._clients["lambda"].invoke(
                FunctionName=f"imagine-{self._stage}-{letter.function}",
                InvocationType="RequestResponse",
                Payload=json.dumps(message.event.payload).encode(),
            )
        except (ClientError, BotoCoreError) as error:
            return _stays(letter, f"{letter.function} could not be asked ({type(error).__name__})")
        if answer.get("FunctionError"):
            kind = error_type(answer["Payload"].read())
            return _stays(
                letter, f"{letter.function} failed again ({kind}); see imagine logs {letter.function}"
            )
        return Redriven(letter=letter, fate=Fate.DONE, why=f"{letter.function} took it")

    def _received(self, queue: Queue, seconds: int) -> Iterator[_Held]:
        """Each message once; those that come while we look may be left out."""
        seen: set[str] = set()
        while len(seen) < min(max(queue.count, 1), MOST):
            told = self._sqs.receive_message(
                QueueUrl=queue.url,
                MaxNumberOfMessages=PAGE,
                VisibilityTimeout=seconds,
                WaitTimeSeconds=1 if queue.count else 0,
                AttributeNames=["SentTimestamp"],
                MessageAttributeNames=[REDRIVEN],
            )
            fresh = [message for message in told.get("Messages", []) if message["MessageId"] not in seen]
            if not fresh:
                return
            seen |= {message["MessageId"] for message in fresh}
            yield from (self._held(queue, message) for message in fresh)

    def _held(self, queue: Queue, message: Mapping[str, Any]) -> _Held:
        body = str(message["Body"])
        event = _read(queue, body, self._stage)
        letter = Letter(
            id=message["MessageId"],
            sent_at=int(message["Attributes"]["SentTimestamp"]) / 1000,
            kind=event.kind,
            job=event.job,
            function=event.function,
            cause=event.cause,
            redriven=REDRIVEN in message.get("MessageAttributes", {}),
        )
        return _Held(letter=letter, handle=message["ReceiptHandle"], body=body, event=event)

    def _show_again(self, queue: Queue, message: _Held) -> None:
        self._sqs.change_message_visibility(
            QueueUrl=queue.url, ReceiptHandle=message.handle, VisibilityTimeout=0
        )

    def _count(self, url: str) -> int:
        name = "ApproximateNumberOfMessages"
        return int(self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"][name])

    def _url(self, name: str) -> str:
        return str(self._sqs.get_queue_url(QueueName=f"imagine-{self._stage}-{name}")["QueueUrl"])


def _stays(letter: Letter, why: str) -> Redriven:
    return Redriven(letter=letter, fate=Fate.STAYS, why=why)


def _read(queue: Queue, body: str, stage: str) -> DeadEvent:
    if queue.name != NUDGES:
        return read_event(body, stage=stage)
    job = job_of(body)
    return DeadEvent(kind="nudge", job=job) if job else DeadEvent(kind=NOBODYS)
