"""Rows for tests; every field can be overridden."""

from typing import Any

from bot.domain.job import Address, Job, Outcome, Picture, Result, SinkKind
from bot.domain.request import ImageRequest

NOW = 1_800_000_000.0


def make_request(**overrides: Any) -> ImageRequest:
    values: dict[str, Any] = {
        "prompt": "a red fox",
        "width": 512,
        "height": 512,
        "n": 1,
        "steps": 20,
        "guidance": 7.0,
        "sampler": "Euler a",
        "seed": 7,
    }
    return ImageRequest(**(values | overrides))


def make_job(**overrides: Any) -> Job:
    values: dict[str, Any] = {
        "id": "abcdefghijklmnopqrstuvwxyz",
        "tenant": "T1",
        "person": "U1",
        "sink": Address(kind=SinkKind.SLACK_THREAD, parts={"channel_id": "C1"}),
        "request": make_request(),
        "cost": 1000,
        "tag": 1000,
        "accepted_at": NOW,
        "patience_until": NOW + 3600,
        "quota_day": "2027-01-15",
        "next_check_at": NOW + 60,
        "version": 1,
        "write_token": "t1",
    }
    return Job(**(values | overrides))


def make_result(**overrides: Any) -> Result:
    values: dict[str, Any] = {"outcome": Outcome.OK, "at": NOW, "pictures": (make_picture(),)}
    return Result(**(values | overrides))


def make_picture(**overrides: Any) -> Picture:
    values: dict[str, Any] = {
        "key": "images/T1/a/1.png",
        "seed": 7,
        "width": 8,
        "height": 8,
        "sha256": "0" * 64,
    }
    return Picture(**(values | overrides))
