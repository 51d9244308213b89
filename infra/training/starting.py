"""Bringing a training under way: role, pictures, job. Everything may be repeated; what is there is left."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from bot.aws.clients import ServiceClients
from infra.training.lesson import Lesson
from infra.training.wanted import Training

POLICY = "imagine-training"
ROLE_SECONDS, ROLE_PATIENCE = 5.0, 60.0
"""A new role is not known everywhere at once: the job is tried again that often, for that long."""


def latest_job(training: Training, clients: ServiceClients) -> Mapping[str, Any] | None:
    """Describe the newest attempt at this training; None before the first."""
    named = clients["sagemaker"].list_training_jobs(
        NameContains=training.job_name, SortBy="CreationTime", SortOrder="Descending", MaxResults=100
    )["TrainingJobSummaries"]
    if not named:
        return None
    newest = max((job["TrainingJobName"] for job in named), key=_attempt)
    told: Mapping[str, Any] = clients["sagemaker"].describe_training_job(TrainingJobName=newest)
    return told


def start(
    training: Training,
    lesson: Lesson,
    clients: ServiceClients,
    *,
    before: str | None,
    pause: Callable[[float], None],
    told: Callable[[str], None] = lambda _line: None,
) -> str:
    """Begin an attempt after `before` (a job's name), and return its name."""
    _have_role(training, clients)
    sent = send_pictures(training, lesson, clients["s3"])
    told(f"sent {sent} of {len(lesson.files)} files to {training.address}")
    number = _attempt(before) + 1 if before else 1
    name = training.job_name if number == 1 else f"{training.job_name}-{number}"
    _create(training.request(name), clients["sagemaker"], pause)
    return name


def send_pictures(training: Training, lesson: Lesson, s3: Any) -> int:
    """How many files were sent: one that is there in the same size is left."""
    prefix, owner = f"{training.folder}pictures/", {"ExpectedBucketOwner": training.place.account}
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=training.place.bucket, Prefix=prefix, **owner)
    there = {item["Key"]: item["Size"] for page in pages for item in page.get("Contents", ())}
    sent = 0
    for file in lesson.files:
        key = f"{prefix}{file.name}"
        if there.get(key) != file.stat().st_size:
            body = file.read_bytes()
            s3.put_object(Bucket=training.place.bucket, Key=key, Body=body, **owner)
            sent += 1
    return sent


def _have_role(training: Training, clients: ServiceClients) -> None:
    iam, name = clients["iam"], training.role_name
    try:
        iam.get_role(RoleName=name)
    except iam.exceptions.NoSuchEntityException:
        iam.create_role(
            RoleName=name,
            AssumeRolePolicyDocument=json.dumps(training.trust),
            Tags=[{"Key": "service", "Value": "imagine"}, {"Key": "stage", "Value": training.place.stage}],
        )
    rights = json.dumps(training.rights)
    iam.put_role_policy(RoleName=name, PolicyName=POLICY, PolicyDocument=rights)


def _create(request: Mapping[str, Any], sagemaker: Any, pause: Callable[[float], None]) -> None:
    waited = 0.0
    while True:
        try:
            sagemaker.create_training_job(**request)
        except ClientError as error:
            if "assume the role" not in error.response["Error"]["Message"] or waited >= ROLE_PATIENCE:
                raise
        else:
            return
        pause(ROLE_SECONDS)
        waited += ROLE_SECONDS


def _attempt(job_name: str) -> int:
    """The digest has twelve characters; what follows is the attempt's number."""
    number = job_name.rpartition("-")[2]
    return int(number) if number.isdecimal() and len(number) < 12 else 1
