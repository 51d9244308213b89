"""Job and person rows as the contract suites write them."""

import dataclasses

from bot.domain.job import Address, Job, Outcome, Picture, Result, SinkKind
from bot.domain.person import Person, Settlement
from bot.domain.request import ImageRequest

NOW = 1_800_000_000.0
TENANT = "T01"
USER = "U01"


def a_job(job_id: str = "a" * 26, **facts) -> Job:
    """A fresh row; `facts` replaces fields."""
    row = Job(
        id=job_id,
        tenant=TENANT,
        person=USER,
        sink=Address(kind=SinkKind.POLL),
        request=ImageRequest(
            prompt="a red “fox”\nin the snow 🦊",
            width=512,
            height=512,
            n=2,
            steps=20,
            guidance=7.0,
            sampler="Euler a",
            seed=7,
        ),
        cost=1000,
        tag=1000,
        accepted_at=NOW,
        patience_until=NOW + 21_600,
        quota_day="2027-01-15",
        next_check_at=NOW + 60,
        write_token=f"create-{job_id}",
    )
    return dataclasses.replace(row, **facts)


def a_person(version: int = 1, **facts) -> Person:
    """A person's row after the write that makes `version`."""
    return dataclasses.replace(
        Person(tenant=TENANT, user=USER, day="2027-01-15", version=version, write_token=f"person-{version}"),
        **facts,
    )


def a_settlement(**facts) -> Settlement:
    """What the end of a job adds to the person's row."""
    empty = Settlement(tenant=TENANT, user=USER, day="2027-01-15", held=0, spent=0)
    return dataclasses.replace(empty, **facts)


def a_result(outcome: Outcome = Outcome.OK, pictures: int = 2) -> Result:
    """What came of the drawing."""
    return Result(
        outcome=outcome,
        at=NOW + 30,
        pictures=tuple(
            Picture(
                key=f"images/{TENANT}/{'a' * 26}/{index}.png",
                seed=7 + index,
                width=8,
                height=8,
                sha256="0" * 64,
            )
            for index in range(1, pictures + 1)
        )
        if outcome is Outcome.OK
        else (),
        model="demo",
        unknown_words=("fox",),
        gpu_seconds=1.5,
    )


def after(job: Job, token: str = "next", **facts) -> Job:
    """The row after one more write named `token`."""
    return dataclasses.replace(job, version=job.version + 1, write_token=token, **facts)
