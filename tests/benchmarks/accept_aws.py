"""The accept path on AWS, warm: a gateway event in, one transaction and one nudge out, an empty answer.

CPU of this process, all its threads; AWS is a stub in another process. Also the calls it took.
"""

import base64
import hashlib
import hmac
import json
import subprocess
import sys
import time
from unittest import mock
from urllib.parse import urlencode
from urllib.request import urlopen

from bot import handlers
from bot.handlers import Handler
from tests.benchmarks.aws_stub import SECRET, SIGNING_SECRET
from tests.benchmarks.cold_import import ENVIRONMENT
from tests.benchmarks.figures import row

WARM_UP, COUNTED = 50, 1000
SETTINGS = {
    "IMAGINE_DAILY_GPU_SECONDS": "1000000000",
    "SLACK_SIGNING_SECRET_REF": f"ssm:{SIGNING_SECRET}",
}


def main() -> None:
    stub = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.aws_stub"], stdout=subprocess.PIPE, text=True
    )
    assert stub.stdout is not None
    address = f"http://127.0.0.1:{stub.stdout.readline().strip()}"
    try:
        with mock.patch.dict("os.environ", {**ENVIRONMENT, **SETTINGS, "AWS_ENDPOINT_URL": address}):
            front = handlers.slack
            samples = [_one(front, number) for number in range(WARM_UP + COUNTED)][WARM_UP:]
        with urlopen(address) as told:
            calls = json.load(told)
    finally:
        stub.terminate()
        stub.wait()
    row("accept on AWS, CPU", [cpu for cpu, _ in samples], goal="goal p50 <= 3 ms, p99 <= 5 ms")
    row("accept on AWS, wall (stub's time included)", [wall for _, wall in samples])
    counts = ", ".join(f"{count} {call}" for call, count in sorted(calls.items()))
    print(f"AWS calls of {WARM_UP + COUNTED} accepts: {counts}")


def _one(front: Handler, number: int) -> tuple[float, float]:
    fields = {
        "command": "/imagine",
        "text": f"a red fox number {number} in the snow --ar 16:9",
        "team_id": "T1",
        "user_id": f"U{number % 40}",
        "channel_id": "C1",
        "trigger_id": f"{number}.1.x",
        "response_url": "https://hooks.slack.com/commands/1",
    }
    event = _signed(urlencode(fields).encode())
    cpu, wall = time.process_time(), time.perf_counter()
    answer = front(event, None)
    spent = (time.process_time() - cpu) * 1000, (time.perf_counter() - wall) * 1000
    assert (answer["statusCode"], answer["body"]) == (200, ""), answer
    return spent


def _signed(body: bytes) -> dict[str, object]:
    stamp = str(int(time.time()))
    digest = hmac.new(SECRET.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    return {
        "version": "2.0",
        "rawPath": "/slack/events",
        "headers": {
            "content-type": "application/x-www-form-urlencoded",
            "x-slack-request-timestamp": stamp,
            "x-slack-signature": f"v0={digest}",
        },
        "requestContext": {"http": {"method": "POST"}},
        "body": base64.b64encode(body).decode(),
        "isBase64Encoded": True,
    }
