"""What a person reads where AWS cannot be asked at all."""

import argparse

import pytest
from botocore.exceptions import EndpointConnectionError, NoCredentialsError, ProfileNotFound

from infra.commands.outcome import telling


@pytest.mark.parametrize(
    ("failed", "fix"),
    [
        (NoCredentialsError(), "run aws configure or aws sso login, or set AWS_PROFILE"),
        (ProfileNotFound(profile="nobody"), "aws configure list-profiles"),
        (
            EndpointConnectionError(endpoint_url="https://sqs.mars.amazonaws.com"),
            "is the region's name right?",
        ),
    ],
)
def test_what_botocore_only_complains_of_comes_with_a_fix(
    failed: Exception, fix: str, capsys: pytest.CaptureFixture[str]
):
    def run(_arguments: argparse.Namespace) -> int:
        raise failed

    assert telling("jobs list", run)(argparse.Namespace(json=False)) == 1
    told = capsys.readouterr().err
    assert told.startswith("imagine jobs list: ")
    assert fix in told
