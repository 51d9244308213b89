"""Outcomes that are told to the client's own address, signed. The row can be read as well.

Told is every outcome, pictures or a reason, once the row is decided. A call whose fate is unknown is made
again, so an address may hear the same outcome twice: `webhook-id`, the job's id, tells.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass

from bot.domain.errors import Ambiguous, Busy, Rejected, Unavailable
from bot.http_api.callback_post import Answer, Post
from bot.http_api.generations import KEY, URL
from bot.http_api.keys import Keys
from bot.http_api.poll_sink import PollSink
from bot.http_api.views import PictureLinks, generation
from bot.ports import Clock, Stage

GONE = 410
TAKEN = range(200, 300)
MOVED = range(300, 400)
USER_AGENT = "imagine-callback/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Seconds after the first failed call, which grow fourfold up to `most`; `calls` in all."""

    first: float = 5.0
    most: float = 3600.0
    calls: int = 10

    def wait(self, failed: int) -> float:
        """Seconds after `failed` failed calls (from 0) and one more."""
        return min(self.first * 4.0 ** min(failed, 20), self.most)


class CallbackSink(PollSink):
    """The port Sink for SinkKind.CALLBACK. The call is part of finishing: it is made again, with back-off, by
    the job's own timer until it is taken or given up; either way the job then ends with its real outcome.
    """

    def __init__(
        self, *, keys: Keys, post: Post, links: PictureLinks, clock: Clock, patience: Patience | None = None
    ) -> None:
        self._keys = keys
        self._post = post
        self._links = links
        self._clock = clock
        self._patience = patience or Patience()

    def finish(self, stage: Stage) -> None:
        """See Sink.finish. A job that is done was told, or given up: our later look back tells nothing."""
        job = stage.job
        if job.done_at is not None:
            return
        if job.attempts >= self._patience.calls:
            raise Rejected("callback_given_up")
        key = self._keys.find(job.sink.parts[KEY])
        if key is None:
            raise Rejected("callback_key_revoked")
        now = self._clock.now()
        document = generation(stage, self._links, now=now, is_final=True)
        body = json.dumps(document).encode()
        headers = signed(body, secret=key.callback_secret, message_id=job.id, now=now)
        wait = self._patience.wait(job.attempts)
        try:
            answer = self._post(job.sink.parts[URL], headers, body)
        except (Ambiguous, Unavailable) as lost:
            raise Busy(lost.code, retry_after=wait) from lost
        self._judge(answer, wait=wait)

    def _judge(self, answer: Answer, *, wait: float) -> None:
        if answer.status in TAKEN:
            return
        if answer.status == GONE or answer.status in MOVED:
            raise Rejected(f"callback_{answer.status}")
        asked = min(answer.retry_after or 0.0, self._patience.most)
        raise Busy(f"callback_{answer.status}", retry_after=max(wait, asked))


def signed(body: bytes, *, secret: str, message_id: str, now: float) -> Mapping[str, str]:
    """The headers of the Standard Webhooks specification 1.0: HMAC-SHA256 over `id.timestamp.body`."""
    stamp = str(int(now))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    message = b".".join((message_id.encode(), stamp.encode(), body))
    signature = base64.b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode()
    return {
        "content-type": "application/json",
        "user-agent": USER_AGENT,
        "webhook-id": message_id,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{signature}",
    }
