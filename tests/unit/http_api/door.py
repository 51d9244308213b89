"""The API over one-machine adapters in memory, and a client with a key."""

import base64
import io
import json
from collections.abc import Mapping
from typing import Any

from PIL import Image

from bot.domain.job import Job, SinkKind
from bot.http_api.app import Api
from bot.http_api.callback_address import AddressRules
from bot.http_api.clients import ByKey
from bot.http_api.exchange import Request, Response
from bot.http_api.generations import Desk
from bot.http_api.keys import LOOK_AGAIN, Keys, NewKey, create
from bot.http_api.links import SignedLinks
from bot.http_api.poll_sink import PollSink
from bot.services.core import Core
from bot.services.work import advance, take_result
from tests.aws.functions import TENANT, build

BASE = "http://127.0.0.1:8090"


class Door:
    """Asks as a client does, and works as the machine does when it is told to."""

    def __init__(self, *, by=None, core: Core | None = None, **overrides: Any) -> None:
        self.core = core or build(
            sinks={SinkKind.POLL: PollSink(), SinkKind.CALLBACK: PollSink()}, **overrides
        )
        self.keys = Keys(self.core.cells, clock=self.core.clock, max_age=60.0)
        self.links = SignedLinks(self.core.objects, base=BASE, clock=self.core.clock)
        desk = Desk(core=self.core, tenant=TENANT, links=self.links, addresses=AddressRules(), filter=by)
        self.api = Api(desk=desk, authenticate=ByKey(self.keys))
        self.mine = self.new_key("mine")

    def new_key(self, name: str, *, gpu_seconds: int | None = None) -> NewKey:
        """A key that opens, for the few seconds until it does have passed."""
        limit = None if gpu_seconds is None else gpu_seconds * 1000
        self.core.clock.advance(LOOK_AGAIN)
        return create(self.core.cells, name=name, now=self.core.clock.now(), daily_limit=limit)

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, str] | None = None,
        key: NewKey | None = None,
        **headers: str,
    ) -> Response:
        """`body` is sent as JSON unless it is bytes; header names have `_` for `-`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {
            "authorization": f"Bearer {(key or self.mine).token}",
            "content-type": "application/json",
            **named,
        }
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        return self.api(Request(method=method, path=path, query=query or {}, headers=sent, body=raw))

    def create(self, body: Any = None, **more: Any) -> dict[str, Any]:
        """A generation that was taken."""
        answer = self.ask("POST", "/v1/generations", body or {"prompt": "a red fox"}, **more)
        assert answer.status == 202, answer.body
        return told(answer)

    def read(self, job_id: str, **more: Any) -> dict[str, Any]:
        return told(self.ask("GET", f"/v1/generations/{job_id}", **more))

    def job(self, job_id: str) -> Job:
        found = self.core.jobs.get(job_id)
        assert found is not None
        return found

    def draw(self, job_id: str, *, pictures: int = 1) -> None:
        """The endpoint draws it, and the machine delivers."""
        advance(self.core, job_id)
        images = [base64.b64encode(png()).decode()] * pictures
        output = json.dumps({"images": images, "parameters": {}, "info": "{}"}).encode()
        self.core.objects.put(f"out/{TENANT}/{job_id}.out", output)
        take_result(self.core, job_id)


def told(answer: Response) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(answer.body)
    return document


def wrong_fields(answer: Response) -> set[str]:
    """The fields that a problem names, every one with a fix."""
    errors = told(answer)["errors"]
    assert all(error["fix"] for error in errors)
    return {error["field"] for error in errors}


def png(colour: str = "red") -> bytes:
    held = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(held, "PNG")
    return held.getvalue()
