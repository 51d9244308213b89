"""The accept path: a signed slash command in, a durable row, an empty answer out; CPU of this process.

The store is the one-machine one (SQLite, every commit synced). Nothing works on the accepted jobs.
"""

import hashlib
import hmac
import tempfile
import time
from pathlib import Path
from urllib.parse import urlencode

from bot.bootstrap import build_machine
from bot.config import load
from bot.slack.app import create_app
from bot.slack.receiver import Receiver
from bot.slack.settings import SlackSettings
from bot.slack.web import FixedToken, SlackWeb
from tests.benchmarks.figures import row

SECRET = "benchmark"
WARM_UP, COUNTED = 50, 1000


def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        settings = {
            "IMAGINE_HOME": home,
            "IMAGINE_DAILY_GPU_SECONDS": "1000000000",
            "IMAGINE_ENDPOINT_URL": "http://127.0.0.1:9",
        }
        machine = build_machine(load(settings), log=(Path(home) / "log").open("w"))
        web = SlackWeb(tokens=FixedToken("xoxb-none"), base_url="http://127.0.0.1:9/api/")
        app = create_app(machine.core, SlackSettings(team_id="T1"), web=web)
        receiver = Receiver(app, secrets=[SECRET], clock=machine.core.clock)
        samples = [_one(receiver, number) for number in range(WARM_UP + COUNTED)][WARM_UP:]
        machine.close()
    row("accept, CPU", [cpu for cpu, _ in samples], goal="goal p50 <= 3 ms, p99 <= 5 ms")
    row("accept, wall (one synced commit)", [wall for _, wall in samples])


def _one(receiver: Receiver, number: int) -> tuple[float, float]:
    body = urlencode(
        {
            "command": "/imagine",
            "text": f"a red fox number {number} in the snow --ar 16:9",
            "team_id": "T1",
            "user_id": f"U{number % 40}",
            "channel_id": "C1",
            "trigger_id": f"{number}.1.x",
            "response_url": "https://hooks.slack.com/commands/1",
        }
    ).encode()
    stamp = str(int(time.time()))
    digest = hmac.new(SECRET.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    headers = {
        "content-type": "application/x-www-form-urlencoded",
        "x-slack-request-timestamp": stamp,
        "x-slack-signature": f"v0={digest}",
    }
    cpu, wall = time.process_time(), time.perf_counter()
    answer = receiver.handle("POST", "/slack/events", headers, body)
    spent = (time.process_time() - cpu) * 1000, (time.perf_counter() - wall) * 1000
    assert answer.status == 200, answer
    assert not answer.body, answer.body
    return spent
