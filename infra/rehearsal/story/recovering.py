"""What is lost on the way, changed under way, or fails for a while: no job is lost, none is drawn twice."""

from typing import Any

from infra.local.slack.testing import Shown
from infra.rehearsal.outages import accepted, no_events, no_table, nudges_again_at_once, queue_url
from infra.rehearsal.rows import Rows
from infra.rehearsal.stage import STAGE, NotSeen, Stage
from infra.rehearsal.story import steering
from infra.rehearsal.story.opening import deploy, loosen_all, until_opened
from infra.rehearsal.workspace import install_with, new_token

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
    with rows("a nudge that the worker failed on: dlq list, dlq redrive") as row:
        row.fact = _dead_nudge(stage)
    with rows("redeploy in the middle of a job"):
        with accepted(stage, "a red apple --steps 10 --seed 24") as waiting:
            deploy(stage, IMAGINE_DAILY_GPU_SECONDS=LIMIT)
            loosen_all(stage)
            _runs_new(stage)
        _has_picture(stage, stage.ended(waiting()))
    with rows("rotation of both secrets in the middle of a job") as row:
        with accepted(stage, "a red apple --steps 10 --seed 25") as waiting:
            _rotate(stage)
        _has_picture(stage, stage.ended(waiting()))
        stage.press(waiting(), "reroll")
        row.fact = "the new secret opens, the former one still does"
    with rows("a poisoned message: dead letter, and no redrive") as row:
        row.fact = _poison(stage)
    with no_events(stage):
        card = stage.asked("a red apple --steps 10 --seed 26")
        steering.play(stage, rows)  # meanwhile: the sweep's look is due a minute after the drawing began
        with rows("S3 events switched off: the sweep finds the result"):
            stage.until(lambda: stage.files(card), what="a picture that the sweep found", patience=SWEPT)


def _has_picture(stage: Stage, card: Shown) -> None:
    stage.until(lambda: stage.files(card), what=f"a picture; the card says {card.words!r}")


def _dead_letter(stage: Stage) -> tuple[Shown, str]:
    """Three tries, then the event is kept."""
    with no_table(stage, "result"):
        card = stage.asked("a red apple --steps 10 --seed 27")
        letters = stage.until(stage.letters, what="a dead letter")
    return card, f"{letters[0]['function']}: {letters[0]['kind']} ({letters[0]['cause']})"


def _dead_nudge(stage: Stage) -> str:
    """Five tries. The sweep may be faster than the redrive: there is one picture all the same."""
    number = len(stage.slack.messages())
    with nudges_again_at_once(stage), no_table(stage, "worker"):
        job = stage.accept("a red apple --steps 10 --seed 28")
        stage.until(lambda: _letters_of(stage, job), what="a dead nudge of the job")
    stage.imagine("dlq", "redrive", "--queue", "dead-nudges", "--stage", STAGE, "--yes")
    card = stage.ended(stage.card(number))
    if len(stage.files(card)) != 1 or _letters_of(stage, job):
        raise NotSeen(f"{len(_letters_of(stage, job))} letters; the card says {card.words!r}")
    return "five tries, a letter, one picture"


def _letters_of(stage: Stage, job: str | None) -> list[dict[str, Any]]:
    """Nudges that died; those of nobody's job where `job` is None."""
    return [letter for letter in stage.letters() if not letter["function"] and letter["job"] == job]


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


def _poison(stage: Stage) -> str:
    """It is refused and counted five times, kept, and no redrive sends it again."""
    sqs = stage.clients["sqs"]
    before = len(stage.events("worker", "poison_message"))
    with nudges_again_at_once(stage):
        sqs.send_message(QueueUrl=queue_url(stage, "nudges"), MessageBody='{"job": "../../etc"}')
        letters = stage.until(lambda: _letters_of(stage, None), what="a dead letter of nobody's")
    stage.begin("dlq", "redrive", "--stage", STAGE, "--yes").finish(status=1)
    if _letters_of(stage, None) != letters:
        raise NotSeen("it was sent again")
    sqs.purge_queue(QueueUrl=queue_url(stage, "dead-nudges"))
    counted = len(stage.events("worker", "poison_message")) - before
    return f"poison_message counted {counted} times; {letters[0]['kind']} stays in dead-nudges"
