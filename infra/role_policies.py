"""The parts of which policies of the roles that we make consist (IAM user guide, "JSON policy elements")."""

from collections.abc import Mapping, Sequence
from typing import Any

Told = Mapping[str, Any]
VERSION = "2012-10-17"


def trust(service: str, *, account: str) -> Told:
    """Who may take a role: `service` (such as sagemaker.amazonaws.com), for this account only."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"aws:SourceAccount": account}},
    }
    return {"Version": VERSION, "Statement": [statement]}


def allow(actions: Sequence[str], resources: Sequence[str]) -> Told:
    """One statement."""
    return {"Effect": "Allow", "Action": list(actions), "Resource": list(resources)}


def rights(*statements: Told) -> Told:
    """A policy document."""
    return {"Version": VERSION, "Statement": list(statements)}
