"""What a client may do: ask for pictures, look, cancel. Every function takes the client that was let in."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from bot.domain.errors import PeerError, Refused, Rejected
from bot.domain.job import Address, Job, SinkKind, job_id
from bot.domain.transitions import is_open, is_unresolved
from bot.http_api.callback_address import AddressRules
from bot.http_api.clients import Client
from bot.http_api.drawing import Asked, read_body
from bot.http_api.exchange import JSON, Request, Response, json_response
from bot.http_api.filters import Filter, FilterFailed, filtered
from bot.http_api.formats import Format, Translated, translated
from bot.http_api.problems import FieldError, Problem, crashed, no_such_generation, refusal, unreadable
from bot.http_api.views import PictureLinks, generation, is_settled, summary, url_of
from bot.ports import Index
from bot.services import control
from bot.services.core import Caller, Core
from bot.services.intake import Accepted, Order, accept
from bot.services.stages import stage_of

MAX_BODY = 1024 * 1024
"""Bytes. Larger bodies are refused before they are parsed."""

URL, KEY, DIGEST = "callback_url", "key", "body"
"""Parts of the address of a job of the API: where to call, whose key signs, which body was sent."""

MOST_LISTED, LISTED = 50, 20
ROUNDS = 4
"""Of at most 2 s each (`intake.HARD_STOP`), inside the function's time-out."""

_IDEMPOTENCY = re.compile(r"[\x21-\x7e]{1,200}")
_JOB_ID = re.compile(r"[a-z2-7]{26}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What the operations work with. `tenant` is the workspace whose budget and admins these jobs have."""

    core: Core
    tenant: str
    links: PictureLinks
    addresses: AddressRules
    filter: Filter | None = None

    def caller(self, client: Client) -> Caller:
        """The client as the services know it."""
        return Caller(tenant=self.tenant, user=client.person, daily_limit=client.daily_limit)


def create(desk: Desk, client: Client, request: Request) -> Response:
    """POST /v1/generations. Raises Problem, PeerError."""
    form = _format(request)
    body = _json_object(request)
    again = _idempotency_key(request)
    source = f"api/{client.person}/{again or desk.core.ids.token()}"
    digest = _digest(form, body)
    earlier = desk.core.jobs.get(job_id(desk.tenant, source)) if again else None
    if earlier is not None:
        return _taken(desk, _same(earlier, digest), is_replay=True)
    asked = read_body(desk.core, _filtered(desk, client, translated(body, form)))
    job, fresh = _accept(desk, client, asked, source=source, digest=digest)
    return _taken(desk, job if fresh else _same(job, digest), is_replay=not fresh)


def _filtered(desk: Desk, client: Client, sent: Translated) -> Translated:
    """The body as the team's filter leaves it. A filter may take for granted what we check after it: where it
    fails on a body that is wrong by itself, the client is told what is wrong. Raises Problem, PeerError.
    """
    try:
        return replace(sent, values=filtered(sent.values, by=desk.filter, caller=client.person))
    except FilterFailed as failed:
        read_body(desk.core, sent)
        desk.core.journal.event("filter_failed", kind=failed.kind)
        raise crashed() from None


def read(desk: Desk, client: Client, request: Request) -> Response:
    """GET /v1/generations/{id}."""
    return json_response(200, _document(desk, _own(desk, client, request)))


def listing(desk: Desk, client: Client, request: Request) -> Response:
    """GET /v1/generations: the newest first."""
    limit, cursor = _limit(request), request.query.get("cursor") or None
    try:
        page = desk.core.jobs.query(
            Index.PERSON, partition=f"{desk.tenant}/{client.person}", limit=limit, cursor=cursor
        )
    except Rejected as no:
        if no.code != "bad_cursor":
            raise
        raise unreadable("cursor", "It is no cursor of this list.", "Send next_cursor as you got it.") from no
    return json_response(
        200, {"generations": [summary(job) for job in page.jobs], "next_cursor": page.cursor}
    )


def remove(desk: Desk, client: Client, request: Request) -> Response:
    """DELETE /v1/generations/{id}: cancel what is open, delete the pictures of what has ended."""
    job = _own(desk, client, request)
    caller = desk.caller(client)
    try:
        if is_unresolved(job):
            (job,) = control.cancel(desk.core, caller, job_ref=job.id)
        else:
            job = control.delete(desk.core, caller, job_ref=job.id)
    except Refused as no:
        raise _calls_underway() if _is_being_called(job) else refusal(no, retry_after=1) from no
    return json_response(200, _document(desk, job))


def _is_being_called(job: Job) -> bool:
    return job.sink.kind is SinkKind.CALLBACK and is_settled(job) and is_open(job)


def _calls_underway() -> Problem:
    return Problem(
        409,
        "callback_underway",
        "Its callback_url did not take the outcome yet, and is being called again.",
        fix="Answer the next call with 410, which ends the calls; then send the same DELETE again.",
    )


def _accept(desk: Desk, client: Client, asked: Asked, *, source: str, digest: str) -> tuple[Job, bool]:
    address = _address(desk, client, asked, digest)
    core, job = desk.core, job_id(desk.tenant, source)
    start = _start_key(desk, job) if asked.init_image is not None else None
    if start is not None and asked.init_image is not None:
        core.objects.put(start, asked.init_image)
    order = Order(
        request=replace(asked.request, init_image=start),
        source_key=source,
        sink=address,
        guard=f"api/{job}",
        notes=asked.notes,
    )
    try:
        accepted = _confirmed(core, desk.caller(client), order)
    except Refused as no:
        _forget_start(core, start, no)
        raise refusal(no, retry_after=_until_midnight(core)) from no
    return accepted.job, accepted.fresh


def _confirmed(core: Core, caller: Caller, order: Order) -> Accepted:
    """Accept, again where it could not be confirmed: a program asks for many at once, whose holds on the one
    quota meet. The order names its job, so that it is taken once however often it is asked. Raises Refused.
    """
    for _ in range(ROUNDS - 1):
        try:
            return accept(core, caller, order)
        except Refused as no:
            if no.code != "not_confirmed":
                raise
    return accept(core, caller, order)


def _address(desk: Desk, client: Client, asked: Asked, digest: str) -> Address:
    url = asked.callback_url
    if not url:
        return Address(kind=SinkKind.POLL, parts={DIGEST: digest})
    if not client.key_id:
        raise _bad_callback("There is no key to sign it with.", "Use an API key, or poll.")
    reason = desk.addresses.refusal(url)
    if reason is not None:
        raise _bad_callback(reason, "Send an https address of a public host, or leave it out and poll.")
    return Address(kind=SinkKind.CALLBACK, parts={DIGEST: digest, URL: url, KEY: client.key_id})


def _bad_callback(detail: str, fix: str) -> Problem:
    wrong = FieldError(field=f"/{URL}", detail=detail, fix=fix)
    return Problem(422, "invalid_fields", f"{wrong.field}: {detail}", fix=fix, errors=[wrong])


def _start_key(desk: Desk, job: str) -> str:
    """Beside the job's pictures, so that it goes when they go."""
    return f"images/{desk.tenant}/{job}/start.png"


def _forget_start(core: Core, key: str | None, no: Refused) -> None:
    """A job that may exist all the same keeps its picture."""
    if key is None or no.code == "not_confirmed":
        return
    try:
        core.objects.delete(key)
    except PeerError as lost:
        core.journal.event("start_not_deleted", code=lost.code)


def _taken(desk: Desk, job: Job, *, is_replay: bool) -> Response:
    headers = {"location": url_of(job), **({"idempotency-replayed": "true"} if is_replay else {})}
    return json_response(202, _document(desk, job), headers=headers)


def _same(job: Job, digest: str) -> Job:
    if job.sink.parts.get(DIGEST) == digest:
        return job
    raise Problem(
        409,
        "idempotency_key_used",
        "This Idempotency-Key came with another body before.",
        fix="Send another key, or the body that this key came with.",
        errors=[
            FieldError(field="Idempotency-Key", detail="It belongs to another body.", fix="Send another key.")
        ],
    )


def _document(desk: Desk, job: Job) -> dict[str, Any]:
    return generation(stage_of(desk.core, job), desk.links, now=desk.core.clock.now())


def _own(desk: Desk, client: Client, request: Request) -> Job:
    """The job that the path names, if it is the client's. Raises Problem (404)."""
    name = request.path.rpartition("/")[2]
    job = desk.core.jobs.get(name) if _JOB_ID.fullmatch(name) else None
    if job is None or job.tenant != desk.tenant or job.person != client.person:
        raise no_such_generation()
    return job


def _format(request: Request) -> Format:
    named = request.query.get("format", Format.OURS)
    try:
        return Format(named)
    except ValueError:
        names = ", ".join(Format)
        raise unreadable("format", "There is no such format.", f"Formats are: {names}.") from None


def _idempotency_key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not _IDEMPOTENCY.fullmatch(key):
        raise unreadable(
            "Idempotency-Key",
            "It is no key of 1 to 200 visible ASCII characters.",
            "Send one for each generation, such as a UUID.",
        )
    return key


def _limit(request: Request) -> int:
    text = request.query.get("limit")
    if text is None:
        return LISTED
    if not re.fullmatch(r"[0-9]{1,4}", text, re.ASCII) or not 1 <= int(text) <= MOST_LISTED:
        raise unreadable("limit", "It is outside the range.", f"Send a number from 1 to {MOST_LISTED}.")
    return int(text)


def _json_object(request: Request) -> Mapping[str, Any]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != JSON:
        raise _no_json()
    if len(request.body) > MAX_BODY:
        raise too_large()
    try:
        body = json.loads(request.body, parse_constant=_no_constant, object_pairs_hook=_once_each)
    except json.JSONDecodeError as wrong:
        place = f"line {wrong.lineno}, column {wrong.colno}"
        raise unreadable("", f"The body is no JSON ({place}).", "Send one JSON object in UTF-8.") from None
    except (ValueError, RecursionError):
        raise unreadable("", "The body is no JSON.", "Send one JSON object in UTF-8.") from None
    if not isinstance(body, dict):
        raise unreadable("", "The body is no JSON object.", "Send one JSON object.")
    return body


def _no_json() -> Problem:
    detail, fix = "The body is not declared as JSON.", f"Send Content-Type: {JSON}."
    wrong = FieldError(field="Content-Type", detail=detail, fix=fix)
    return Problem(415, "no_json", detail, fix=fix, errors=[wrong])


def too_large() -> Problem:
    """413, told before anything of the body is read."""
    return Problem(
        413,
        "body_too_large",
        f"The body is longer than {MAX_BODY} bytes.",
        fix="Send a smaller picture to start from.",
    )


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _once_each(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """An object as JSON writes it. Raises Problem for a field that is there twice: which one is meant?"""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise unreadable(f"/{name}"[:120], "The field is there twice.", "Send it once.")
        found[name] = value
    return found


def _digest(form: Format, body: Mapping[str, Any]) -> str:
    """The same for the same document, whatever its blanks and the order of its fields."""
    plain = json.dumps([form, body], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(plain.encode()).hexdigest()


def _until_midnight(core: Core) -> int:
    """Seconds until quotas are new (UTC), rounded up."""
    now = datetime.fromtimestamp(core.clock.now(), tz=UTC)
    midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return int((midnight - now).total_seconds()) + 1
