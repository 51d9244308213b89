"""Between deployment and secret the address answers in plain words; it opens once the secret is there."""

import base64
import dataclasses
import json
import time
from typing import Any

import pytest

from bot import bootstrap_front
from bot.aws.secrets import RETRY_AFTER
from bot.bootstrap_aws import deployment
from bot.local.system import ManualClock
from bot.slack import gate
from tests.aws.cloud import Cloud
from tests.aws.environment import environment

SECRET = "0123456789abcdef" * 2
PATIENCE = 60.0
"""Seconds: how fast the machine is, is not what is shown here."""

HANDSHAKE = json.dumps({"type": "url_verification", "challenge": "a-challenge", "token": "x"})


class Deployed:
    """The function behind the gateway, as bot.handlers builds it, over an account without secrets."""

    def __init__(self, cloud: Cloud, stage: str) -> None:
        self.path = f"/imagine/{stage}/slack-signing-secret"
        self.clock = ManualClock(time.time())
        self._ssm = cloud.clients["ssm"]
        environ = environment(SLACK_SIGNING_SECRET_REF=f"ssm:{self.path}")
        deployed = deployment("slack", environ, clients=cloud.clients)
        self._front = bootstrap_front.slack(
            dataclasses.replace(deployed, clock=self.clock), hard_stop=PATIENCE
        )

    def store_secret(self) -> None:
        self._ssm.put_parameter(Name=self.path, Value=SECRET, Type="SecureString")
        self.clock.advance(RETRY_AFTER)

    def post(self, body: str) -> dict[str, Any]:
        stamp = str(int(self.clock.now()))
        signature = gate.sign(SECRET, f"v0:{stamp}:{body}".encode())
        return self._front(
            {
                "version": "2.0",
                "rawPath": "/slack/events",
                "headers": {
                    "content-type": "application/json",
                    "x-slack-request-timestamp": stamp,
                    "x-slack-signature": signature,
                },
                "requestContext": {"http": {"method": "POST", "path": "/slack/events"}},
                "body": base64.b64encode(body.encode()).decode(),
                "isBase64Encoded": True,
            },
            None,
        )


@pytest.mark.parametrize("body", [HANDSHAKE, "command=%2Fimagine&text=a+red+fox"])
def test_before_the_secret_every_request_is_told_what_is_missing(cloud: Cloud, body: str):
    answer = Deployed(cloud, "bare").post(body)

    assert answer["statusCode"] == 503
    assert answer["body"].startswith("not configured yet")
    assert "imagine secrets set slack-signing-secret" in answer["body"]
    assert "challenge" not in answer["body"], "what nobody verified is not answered"


def test_the_same_process_opens_once_the_secret_is_stored(cloud: Cloud):
    deployed = Deployed(cloud, "later")
    assert deployed.post(HANDSHAKE)["statusCode"] == 503

    deployed.store_secret()
    answer = deployed.post(HANDSHAKE)

    assert (answer["statusCode"], json.loads(answer["body"])["challenge"]) == (200, "a-challenge")
