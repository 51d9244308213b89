"""A program in place of a person: the HTTP API with a key, by polling and by callback."""

import base64
import hashlib
import hmac
import io
import json
from collections.abc import Mapping
from typing import Any

import httpx
from PIL import Image

from infra.rehearsal.receiver import Posted, receiving
from infra.rehearsal.rows import Rows
from infra.rehearsal.stage import STAGE, NotSeen, Stage

GENERATIONS = "/v1/generations"
WANTED = {"prompt": "a red apple", "steps": 10, "seed": 7}


def play(stage: Stage, rows: Rows) -> None:
    """Raises what a step raises."""
    with rows("imagine keys create"):
        made = json.loads(stage.imagine("keys", "create", "--name", "rehearsal", "--stage", STAGE, "--json"))
    client = Client(stage, str(made["key"]))
    with rows("HTTP API: without a key, with a wrong one, with a wrong body") as row:
        row.fact = _refused(stage, client)
    with rows("HTTP API: asked, polled, the picture by its link") as row:
        ended = client.drawn(WANTED, again="one")
        row.fact = _opened(stage, ended)
    with rows("HTTP API: the same Idempotency-Key draws nothing"):
        if client.post(WANTED, again="one").json()["id"] != ended["id"]:
            raise NotSeen("a second job")
    with rows("HTTP API: webui's body, and the seed's"):
        client.drawn({"prompt": "a red apple", "steps": 10}, form="webui")
        payload = {"prompt": "a red apple", "steps": 10, "seed": 8}
        client.drawn({"task": "text-to-image", "txt2img_payload": payload}, form="sagemaker")
    with rows("HTTP API: callback, refused once, signed") as row:
        row.fact = _called_back(stage, client, str(made["callback_secret"]))
    with rows("HTTP API: list, cancel, models, openapi.json") as row:
        row.fact = _others(client)
    with rows("imagine keys revoke") as row:
        stage.imagine("keys", "revoke", str(made["id"]), "--stage", STAGE)
        row.fact = "it opens nothing within a minute"


class Client:
    """What a program needs: an address and a key."""

    def __init__(self, stage: Stage, key: str) -> None:
        self._stage = stage
        self._url = stage.api
        self._key = {"Authorization": f"Bearer {key}"}

    def get(self, path: str) -> httpx.Response:
        return self._stage.http.get(f"{self._url}{path}", headers=self._key)

    def delete(self, path: str) -> httpx.Response:
        return self._stage.http.delete(f"{self._url}{path}", headers=self._key)

    def post(self, body: Mapping[str, Any], *, form: str = "", again: str = "") -> httpx.Response:
        headers = {**self._key, **({"Idempotency-Key": again} if again else {})}
        query = f"?format={form}" if form else ""
        return self._stage.http.post(f"{self._url}{GENERATIONS}{query}", json=body, headers=headers)

    def asked(self, body: Mapping[str, Any], *, form: str = "", again: str = "") -> dict[str, Any]:
        """The new job. Raises NotSeen with the problem."""
        answer = self.post(body, form=form, again=again)
        if answer.status_code not in {200, 201, 202}:
            raise NotSeen(f"{answer.status_code} {answer.text[:400]}")
        return dict(answer.json())

    def drawn(self, body: Mapping[str, Any], *, form: str = "", again: str = "") -> dict[str, Any]:
        """Ask, and poll until the pictures are there."""
        job = self.asked(body, form=form, again=again)
        ended: dict[str, Any] = self._stage.until(
            lambda: self._ended(str(job["url"])), what="a job that has ended"
        )
        if ended["outcome"] != "ok" or not ended["pictures"]:
            raise NotSeen(f"it ended as {ended['outcome']}")
        return ended

    def _ended(self, path: str) -> dict[str, Any] | None:
        answer = self.get(path)
        told: dict[str, Any] = answer.json()
        return told if answer.status_code == 200 and told["state"] == "ended" else None


def _refused(stage: Stage, client: Client) -> str:
    """Each is a problem document."""
    stage.until(lambda: client.get(GENERATIONS).status_code == 200, what="a key that opens")
    url = f"{stage.api}{GENERATIONS}"
    answers = {
        "none": stage.http.get(url),
        "wrong key": stage.http.get(url, headers={"Authorization": f"Bearer imagine_{'a' * 10}_{'b' * 43}"}),
        "wrong body": client.post({"prompt": "a red apple", "steps": 0}),
        "private callback": client.post({**WANTED, "callback_url": "https://10.0.0.1/drawn"}),
    }
    for what, answer in answers.items():
        kind = answer.headers.get("content-type", "")
        if not 400 <= answer.status_code < 500 or not kind.startswith("application/problem+json"):
            raise NotSeen(f"{what}: {answer.status_code} {kind} {answer.text[:300]}")
    return ", ".join(f"{what} {answer.status_code}" for what, answer in answers.items())


def _opened(stage: Stage, ended: Mapping[str, Any]) -> str:
    """The link opens the picture without a key, and the picture is the one that the digest names."""
    (picture,) = ended["pictures"]
    body = stage.http.get(picture["url"]).content
    if hashlib.sha256(body).hexdigest() != picture["sha256"]:
        raise NotSeen(f"{len(body)} bytes that are not the picture")
    with Image.open(io.BytesIO(body)) as image:
        return f"{image.width}x{image.height} {image.format}"


def _called_back(stage: Stage, client: Client, secret: str) -> str:
    with receiving(refusals=1) as receiver:
        job = client.asked({**WANTED, "callback_url": receiver.url})
        stage.until(lambda: len(receiver.posted) == 2, what="a second call after the refused one")
        posted = receiver.posted[-1]
    if not _is_signed(posted, secret) or json.loads(posted.body)["id"] != job["id"]:
        raise NotSeen("a call that is not signed, or of another job")
    return f"{len(receiver.posted)} calls, outcome {json.loads(posted.body)['outcome']}"


def _is_signed(posted: Posted, secret: str) -> bool:
    """As the Standard Webhooks specification has receivers check it."""
    told = posted.headers
    message = b".".join((told["webhook-id"].encode(), told["webhook-timestamp"].encode(), posted.body))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    made = base64.b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode()
    return hmac.compare_digest(told["webhook-signature"], f"v1,{made}")


def _others(client: Client) -> str:
    job = client.asked({**WANTED, "steps": 20})
    cancelled = client.delete(str(job["url"]))
    listed = client.get(GENERATIONS).json()["generations"]
    answers = [cancelled, client.get("/v1/models"), client.get("/v1/openapi.json")]
    if not all(answer.status_code == 200 for answer in answers) or listed[0]["id"] != job["id"]:
        raise NotSeen(f"{[answer.status_code for answer in answers]}, newest {listed[:1]}")
    return f"{len(listed)} jobs listed"
