"""What nobody of ours sent: an overheard request, forged notices, foreign objects."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from infra.local.slack.testing import Shown
from infra.rehearsal.outages import no_events
from infra.rehearsal.region import ACCOUNT, REGION
from infra.rehearsal.rows import Rows
from infra.rehearsal.stage import BUCKET, NAME, NotSeen, Stage

TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:{NAME}-failed"
FOREIGN_TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:somebody-elses"
FOREIGN_BUCKET = "somebody-elses"
STRANGE_KEY = "out/T0000000001/no-job.out"
NOBODY = "a" * 26
"""In the shape of a job's id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Untold:
    """A job whose result lies in the bucket under `key`, and no function was told."""

    card: Shown
    key: str

    @property
    def inference_id(self) -> str:
        """As its submission was called."""
        _, tenant, file = self.key.split("/")
        return f"{tenant}.{file.removesuffix('.out')}.1"


def play(stage: Stage, rows: Rows) -> None:
    """Raises what a step raises."""
    with rows("an overheard request, sent again twice") as row:
        row.fact = _replayed(stage)
    with _untold(stage, "a red apple --steps 10 --seed 40") as drawn:
        with rows("forged notices that the job has failed") as row:
            row.fact = _forged(stage, drawn)
        with rows("news of a foreign bucket and a foreign key") as row:
            row.fact = _foreign(stage, drawn)
        with rows("the job that they named ends with its picture"):
            stage.invoke("result", arrived(BUCKET, drawn.key))
            card = stage.ended(drawn.card)
            if len(stage.files(card)) != 1:
                raise NotSeen(f"the card says {card.words!r}")
    with rows("an object of nobody's job in the bucket") as row:
        row.fact = _stray(stage)


def _replayed(stage: Stage) -> str:
    """The signature is good and the request is young: only its own id tells that it was here before."""
    card = stage.asked("a red apple --steps 10 --seed 41")
    request, before = stage.signing.last, stage.job_ids()
    assert request is not None
    url = f"{stage.api}/slack/events"
    answers = [stage.http.post(url, content=request.content, headers=_as_sent(request)) for _ in range(2)]
    stage.ended(card)
    if stage.job_ids() != before or {answer.status_code for answer in answers} != {200}:
        raise NotSeen(f"{[answer.status_code for answer in answers]}, {len(stage.job_ids() - before)} jobs")
    return "200, and no second job"


def _as_sent(request: Any) -> dict[str, str]:
    return {name: value for name, value in request.headers.items() if name not in {"host", "content-length"}}


@contextmanager
def _untold(stage: Stage, words: str) -> Iterator[Untold]:
    before = stage.job_ids()
    with no_events(stage):
        card = stage.asked(words)
        (job,) = stage.job_ids() - before
        (key,) = stage.until(lambda: _results(stage, job), what="a result in the bucket")
        yield Untold(card=card, key=key)


def _results(stage: Stage, job: str) -> list[str]:
    told = stage.clients["s3"].list_objects_v2(Bucket=BUCKET, Prefix="out/")
    return [entry["Key"] for entry in told.get("Contents", ()) if job in entry["Key"]]


def _forged(stage: Stage, drawn: Untold) -> str:
    """The first is what the endpoint would say, from elsewhere; the others come by the topic itself."""
    told = {"invocationStatus": "Failed", "failureReason": "forged", "inferenceId": drawn.inference_id}
    foreign = {"EventSource": "aws:sns", "Sns": {"TopicArn": FOREIGN_TOPIC, "Message": json.dumps(told)}}
    strange = {**told, "inferenceId": "../../etc"}
    seen = _refusals(stage, "failure")
    stage.invoke("failure", {"Records": [foreign]})
    for message in ("no JSON", json.dumps(strange), json.dumps({**told, "inferenceId": f"T1.{NOBODY}.1"})):
        stage.clients["sns"].publish(TopicArn=TOPIC, Message=message)
    return _awaited(stage, "failure", seen, {"topic": 1, "shape": 2, "unknown_job": 1})


def _foreign(stage: Stage, drawn: Untold) -> str:
    seen = _refusals(stage, "result")
    stage.invoke("result", arrived(FOREIGN_BUCKET, drawn.key))
    stage.invoke("result", arrived(BUCKET, f"in/{drawn.key}"))
    return _awaited(stage, "result", seen, {"bucket": 1, "key": 1})


def _stray(stage: Stage) -> str:
    """S3 itself tells of it."""
    seen = _refusals(stage, "result")
    stage.clients["s3"].put_object(Bucket=BUCKET, Key=STRANGE_KEY, Body=b"{}")
    return _awaited(stage, "result", seen, {"key": 1})


def arrived(bucket: str, key: str) -> Mapping[str, Any]:
    """As S3 tells of an object."""
    place = {"bucket": {"name": bucket}, "object": {"key": key}}
    return {"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": place}]}


def _refusals(stage: Stage, function: str) -> list[str]:
    """Why the function refused news, oldest first; `unknown_job` where no row has the job."""
    foreign = [str(told["reason"]) for told in stage.events(function, "foreign_event")]
    return foreign + ["unknown_job" for _ in stage.events(function, "unknown_job")]


def _awaited(stage: Stage, function: str, before: list[str], wanted: Mapping[str, int]) -> str:
    """Wait until the journal has each reason so many times more."""

    def all_there() -> bool:
        now = _refusals(stage, function)
        return all(now.count(reason) - before.count(reason) >= count for reason, count in wanted.items())

    stage.until(all_there, what=f"{wanted} in the journal of {function}")
    return "refused: " + ", ".join(wanted)
