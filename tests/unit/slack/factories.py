"""Job rows in every state a card shows."""

import dataclasses

from bot.domain.job import Job, Outcome, Picture, Result, job_id
from bot.domain.request import ImageRequest
from bot.ports import EndpointState, Stage, Warmth
from bot.slack.place import address

NOW = 1_800_000_000.0
USER = "U0000000001"


def make_request(**overrides):
    values = {
        "prompt": "a red fox",
        "width": 512,
        "height": 512,
        "steps": 20,
        "guidance": 7.0,
        "sampler": "Euler a",
        "seed": 7,
    }
    return ImageRequest(**{**values, **overrides})


def make_job(*, request=None, **overrides):
    values = {
        "id": job_id("T1", "a key"),
        "tenant": "T1",
        "person": USER,
        "sink": address(
            channel="C1", user=USER, name="robin", response_url="https://hooks.slack.com/commands/1"
        ),
        "request": request or make_request(),
        "cost": 1000,
        "tag": 1000,
        "accepted_at": NOW,
        "patience_until": NOW + 6 * 3600,
        "quota_day": "2027-01-15",
        "version": 1,
    }
    return Job(**{**values, **overrides})


def announced(**overrides):
    return make_job(announce_intent_at=NOW, announced_ref="100.1", **overrides)


def submitted(**overrides):
    return announced(admitted_at=NOW, submissions=1, submitted_at=NOW, **overrides)


def make_result(outcome=Outcome.OK, *, count=1, **overrides):
    pictures = [
        Picture(key=f"images/{index}.png", seed=7 + index, width=512, height=512, sha256="0" * 64)
        for index in range(count if outcome is Outcome.OK else 0)
    ]
    return Result(outcome=outcome, at=NOW, pictures=tuple(pictures), **overrides)


def done(outcome=Outcome.OK, *, count=1, request=None, result=None, **overrides):
    job = submitted(
        request=request or make_request(n=count),
        result=result or make_result(outcome, count=count),
        done_at=NOW,
    )
    if outcome is Outcome.OK:
        job = dataclasses.replace(job, delivery_refs=("F1",), deliver_intent_at=NOW, delivered_at=NOW)
    return dataclasses.replace(job, **overrides)


def stage(job, *, warmth=Warmth.AWAKE, **overrides):
    endpoint = EndpointState(name="demo", warmth=warmth, window=4, model="tiny", instances=1)
    return Stage(job=job, endpoint=endpoint, **overrides)
