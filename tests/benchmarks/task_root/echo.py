"""A bare Bolt function that gives a command back: what nothing of ours could be faster than."""

import base64
import os
from typing import Any

from slack_bolt import Ack, App, BoltRequest
from slack_bolt.authorization import AuthorizeResult

APP = App(
    signing_secret=os.environ["ECHO_SECRET"],
    authorize=lambda: AuthorizeResult(enterprise_id=None, team_id="T1", bot_token="xoxb-none"),
)


@APP.command("/imagine")
def imagine(ack: Ack) -> None:
    ack()


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """HTTP API events, format 2.0."""
    body = base64.b64decode(event["body"]).decode() if event["isBase64Encoded"] else event["body"]
    answer = APP.dispatch(BoltRequest(body=body, headers=event["headers"]))
    return {"statusCode": answer.status, "body": answer.body, "headers": answer.first_headers()}
