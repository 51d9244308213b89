"""What is lost on the way, changed under way, or fails for a while: no job is lost, none is drawn twice."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from infra.local.slack.testing import Shown
from infra.rehearsal.rights import roles_of
from infra.rehearsal.rows import Rows
from infra.rehearsal.stage import BUCKET, NAME, STAGE, NotSeen, Stage
from infra.rehearsal.story import steering
from infra.rehearsal.story.opening import deploy, loosen_all, until_opened
from infra.rehearsal.workspace import install_with, new_token

OUTAGE = "outage"
DENY = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "dynamodb:*", "Resource": "*"}]}
LIMIT = "7200"
SWEPT = 240.0
"""Seconds: a look is due a minute after the last, and the sweep comes every minute."""


def play(stage: Stage, rows: Rows) -> None:
    """Raises what a step raises."""
    with rows("a result lost with its function's rights: dead letter") as row:
        card, row.fact = _dead_letter(stage)
    with rows("imagine dlq redrive: the picture is in the thread") as row:
        stage.imagine("dlq", "redrive", "--stage", STAGE, "--yes")
        _has_picture(stage, stage.ended(card))
    with rows("redeploy in the middle of a job"):
        with _accepted(stage, "a red apple --steps 10 --seed 24") as waiting:
            deploy(stage, IMAGINE_DAILY_GPU_SECONDS=LIMIT)
            loosen_all(stage)
            _runs_new(stage)
        _has_picture(stage, stage.ended(waiting()))
    with rows("rotation of both secrets in the middle of a job") as row:
        with _accepted(stage, "a red apple --steps 10 --seed 25") as waiting:
            _rotate(stage)
        _has_picture(stage, stage.ended(waiting()))
        stage.press(waiting(), "reroll")
        row.fact = "the new secret opens, the former one still does"
    with rows("a message that nobody of ours wrote") as row:
        row.fact = _poison(stage)
    with _without_events(stage):
        card = stage.asked("a red apple --steps 10 --seed 26")
        steering.play(stage, rows)  # meanwhile: the sweep's look is due a minute after the drawing began
        with rows("S3 events switched off: the sweep finds the result"):
            stage.until(lambda: stage.files(card), what="a picture that the sweep found", patience=SWEPT)


def _has_picture(stage: Stage, card: Shown) -> None:
    stage.until(lambda: stage.files(card), what=f"a picture; the card says {card.words!r}")


def _dead_letter(stage: Stage) -> tuple[Shown, str]:
    """The result function may not use the table for a while: three tries, then the event is kept."""
    iam = stage.clients["iam"]
    (role,) = roles_of(stage.clients, [stage.function("result")])
    iam.put_role_policy(RoleName=role.name, PolicyName=OUTAGE, PolicyDocument=json.dumps(DENY))
    try:
        card = stage.asked("a red apple --steps 10 --seed 27")
        letters = stage.until(lambda: _letters(stage), what="a dead letter")
    finally:
        iam.delete_role_policy(RoleName=role.name, PolicyName=OUTAGE)
    return card, f"{letters[0]['function']}: {letters[0]['kind']} ({letters[0]['cause']})"


def _letters(stage: Stage) -> list[dict[str, Any]]:
    queues = json.loads(stage.imagine("dlq", "list", "--stage", STAGE, "--json"))
    return [letter for queue in queues for letter in queue["letters"]]


@contextmanager
def _accepted(stage: Stage, words: str) -> Iterator[Callable[[], Shown]]:
    """A job that no worker takes on meanwhile, for its queue wakes nobody. Gives a way to its card."""
    functions, number = stage.clients["lambda"], len(stage.slack.messages())
    worker = stage.function("worker")
    (mapping,) = functions.list_event_source_mappings(FunctionName=worker)["EventSourceMappings"]
    functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    try:
        stage.type(words)
        yield lambda: stage.card(number)
    finally:
        functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)


def _runs_new(stage: Stage) -> None:
    told = stage.clients["lambda"].get_function_configuration(FunctionName=stage.function("worker"))
    limit = told["Environment"]["Variables"]["IMAGINE_DAILY_GPU_SECONDS"]
    if limit != LIMIT:
        raise NotSeen(f"the worker still has the limit {limit}")


def _rotate(stage: Stage) -> None:
    """Slack knows the former token no more; both secrets open for a day."""
    former = stage.signing.secret
    token = new_token()
    install_with(stage.slack, token)
    stage.imagine("secrets", "set", "slack-bot-token", "--stage", STAGE, typed=token)
    stage.signing.rotate()
    stage.imagine("secrets", "set", "slack-signing-secret", "--stage", STAGE, typed=stage.signing.secret)
    until_opened(stage, stage.signing.secret)
    until_opened(stage, former)


@contextmanager
def _without_events(stage: Stage) -> Iterator[None]:
    """The bucket tells nobody of what arrives."""
    s3 = stage.clients["s3"]
    told = s3.get_bucket_notification_configuration(Bucket=BUCKET)
    told.pop("ResponseMetadata", None)
    s3.put_bucket_notification_configuration(Bucket=BUCKET, NotificationConfiguration={})
    try:
        yield
    finally:
        s3.put_bucket_notification_configuration(Bucket=BUCKET, NotificationConfiguration=told)


def _poison(stage: Stage) -> str:
    """It is refused, and counted; what comes again and again is for the queue's own dead letters."""
    url = stage.clients["sqs"].get_queue_url(QueueName=f"{NAME}-nudges")["QueueUrl"]
    stage.clients["sqs"].send_message(QueueUrl=url, MessageBody='{"job": "../../etc"}')
    stage.until(
        lambda: [line for line in stage.logs("worker") if "poison_message" in line],
        what="poison_message in the log",
    )
    return "poison_message is counted"
