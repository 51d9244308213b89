"""microburst, which knows the services that our functions call and no others.

Else it reads at its first request what AWS publishes of every service: 400 MB, and five seconds of computing
in which it answers nobody, so that whoever asked has long hung up. Runs in microburst's own environment.
"""

import sys
from importlib import import_module
from typing import Any

import botocore.session

SERVICES = (
    "application-autoscaling",
    "cloudwatch",
    "dynamodb",
    "lambda",
    "s3",
    "sagemaker",
    "sagemaker-runtime",
    "secretsmanager",
    "sns",
    "sqs",
    "ssm",
    "sts",
)


class OurServices(botocore.session.Session):
    """A session with few services."""

    def get_available_services(self, *_: Any) -> list[str]:
        return list(SERVICES)


def main() -> int:
    """Read what there is to read, then serve until a signal."""
    botocore.session.Session = OurServices  # type: ignore[misc]  # microburst makes its session itself
    import_module("microburst.detection.host").parse_host("127.0.0.1")
    for service in SERVICES:
        import_module("microburst.detection.rest").rest_operations(service)
    status: int = import_module("microburst.cli").main()
    return status


if __name__ == "__main__":
    sys.exit(main())
