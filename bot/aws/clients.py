"""AWS clients, made when they are first needed: a cold start pays only for the services it calls.

botocore, never boto3: half the import time, and everything the adapters use is in it. Clients never repeat
a call by themselves. Whether a call may be repeated is known by the adapter alone, and a repeated
`InvokeEndpointAsync` would draw, and cost, twice.
"""

import logging
import threading
from collections.abc import Mapping
from typing import Any, Protocol

import botocore.session
from botocore.config import Config as ClientConfig

USER_AGENT = "imagine"
CONNECT_SECONDS, READ_SECONDS = 1.0, 2.0
"""Accepting has three seconds in all, and a call inside a region answers in milliseconds."""

PATIENCE = {
    "s3": 20.0,
    "sagemaker-runtime": 10.0,
    "sagemaker": 10.0,
    "cloudwatch": 10.0,
    "sqs": 1.0,
    "lambda": 1.5,
}
"""Seconds to wait for services that move large bodies or think longer, and for the nudge, which is a hint."""


class ServiceClients(Protocol):
    """Clients by botocore's names: this module's for the bot, boto3's for the command line."""

    def __getitem__(self, service: str) -> Any: ...


class Clients:
    """One botocore session and its clients, each made once. Safe for any number of threads.

    Credentials, region and endpoint addresses come from where AWS's own tools take them
    (`AWS_REGION`, `AWS_ENDPOINT_URL_…`).
    """

    def __init__(self, session: botocore.session.Session | None = None) -> None:
        for name in ("botocore", "urllib3"):  # at DEBUG they log whole bodies: prompts and secrets
            logging.getLogger(name).setLevel(logging.WARNING)
        self._session = session or botocore.session.Session()
        self._turn = threading.Lock()
        self._made: dict[str, Any] = {}

    def __getitem__(self, service: str) -> Any:
        """The client of a service by botocore's name: `dynamodb`, `sqs`, `s3`, `sagemaker-runtime`, …"""
        with self._turn:
            if service not in self._made:
                self._made[service] = self._session.create_client(service, config=_config(service))
            return self._made[service]


def _config(service: str) -> ClientConfig:
    return ClientConfig(
        # botocore would put its user agent together twice a request, and check what the adapters' own types
        # and tests already hold: 0.8 ms of an accept
        user_agent=USER_AGENT,
        parameter_validation=False,
        retries={"mode": "standard", "total_max_attempts": 1},
        connect_timeout=CONNECT_SECONDS,
        read_timeout=PATIENCE.get(service, READ_SECONDS),
        tcp_keepalive=True,
        **(_LINKS if service == "s3" else {}),
    )


_LINKS: Mapping[str, Any] = {"signature_version": "s3v4", "s3": {"addressing_style": "virtual"}}
"""Links that botocore presigns would else have the old signature, and the address of another region."""
