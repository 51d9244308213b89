"""How a command ends: done, or refused on one line, or as JSON."""

import argparse
import json
import sys
from collections.abc import Callable, Mapping

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    ProfileNotFound,
)

from bot.domain.errors import BotError, ConfigError
from model_packaging.errors import PackagingError

HELP: Mapping[type[Exception], str] = {
    NoCredentialsError: "run aws configure or aws sso login, or set AWS_PROFILE",
    ProfileNotFound: "aws configure list-profiles names those there are",
    EndpointConnectionError: "is there a network, and is the region's name right?",
}
"""What helps where botocore itself only says what is missing."""

Run = Callable[[argparse.Namespace], int]


def telling(name: str, run: Run) -> Run:
    """`run` with what it refuses told; `name` is the command as a person types it."""

    def told(arguments: argparse.Namespace) -> int:
        try:
            return run(arguments)
        except ConfigError:
            raise
        except (BotError, PackagingError, BotoCoreError, ClientError) as failed:
            if getattr(arguments, "json", False):
                print(json.dumps({"outcome": "failed", "reason": sentence_of(failed)}))
            else:
                print(f"imagine {name}: {sentence_of(failed)}", file=sys.stderr)
            return 1

    return told


def sentence_of(failed: Exception) -> str:
    """AWS's own refusals with the action that is missing and what grants it."""
    if not isinstance(failed, ClientError):
        fix = next((fix for kind, fix in HELP.items() if isinstance(failed, kind)), "")
        return f"{failed}; {fix}" if fix else str(failed)
    error = failed.response["Error"]
    if error["Code"] in {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}:
        fix = "imagine iam deployer-policy prints what is needed"
        return f"AWS does not allow {failed.operation_name}: {error['Message']}; {fix}"
    if error["Code"] == "ResourceLimitExceeded":
        return f"{error['Message']} Ask for it with imagine quota request."
    return f"{failed.operation_name}: {error['Message']}"
