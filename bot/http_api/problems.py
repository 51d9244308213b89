"""Errors as RFC 9457 problem details: what was wrong, in which field, and the fix."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.domain import messages
from bot.domain.errors import BotError, Refused
from bot.http_api.exchange import Response, json_response

PROBLEM_JSON = "application/problem+json"
TYPE = "urn:imagine:problem:"
"""A problem's `type` is this and its code."""

TITLES: Mapping[int, str] = {
    400: "Malformed request",
    401: "Not authenticated",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    411: "Length required",
    413: "Body too large",
    415: "Unsupported media type",
    422: "The request cannot be drawn",
    429: "Quota spent",
    500: "Something went wrong here",
    503: "Not available just now",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldError:
    """`field` is a JSON pointer into the body that was sent, or the name of a header or parameter."""

    field: str
    detail: str
    fix: str

    def to_json(self) -> dict[str, str]:
        return {"field": self.field, "detail": self.detail, "fix": self.fix}


class Problem(BotError):
    """A request that is refused. `code` is safe to log; `detail` and `fix` are sentences for the client."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        fix: str = "",
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.detail = detail
        self.fix = fix
        self.errors = tuple(errors)
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """The answer in problem+json."""
        document: dict[str, Any] = {
            "type": f"{TYPE}{self.code}",
            "title": TITLES[self.status],
            "status": self.status,
            "detail": self.detail,
        }
        if self.fix:
            document["fix"] = self.fix
        if self.errors:
            document["errors"] = [error.to_json() for error in self.errors]
        return json_response(self.status, document, headers=self.headers, content_type=PROBLEM_JSON)


def unreadable(field: str, detail: str, fix: str) -> Problem:
    """400 for one header, parameter, field or (with "") the body as a whole."""
    wrong = FieldError(field=field, detail=detail, fix=fix)
    return Problem(400, "malformed", f"{field}: {detail}" if field else detail, fix=fix, errors=[wrong])


def no_such_generation() -> Problem:
    """404, also for what belongs to somebody else: that it exists must not be confirmed."""
    return Problem(
        404,
        "no_such_generation",
        "There is no such generation among yours.",
        fix="GET /v1/generations lists yours.",
    )


def unavailable(code: str, *, retry_after: int = 5) -> Problem:
    """503 for a peer of ours that failed; the code names its error and nothing of the request."""
    return Problem(
        503,
        "unavailable",
        f"A service behind this one did not answer ({code}).",
        fix="Send the same request again, with the same Idempotency-Key.",
        headers={"retry-after": str(retry_after)},
    )


def crashed() -> Problem:
    """500 for a defect, of which nothing is told."""
    return Problem(
        500,
        "defect",
        "This is a defect of the service.",
        fix="Send the same request again, with the same Idempotency-Key; if it stays so, tell an admin.",
    )


def refusal(no: Refused, *, retry_after: int) -> Problem:
    """What the services refuse, as the API words it. `retry_after` seconds until the quota is new."""
    if no.code == "quota_spent":
        return Problem(
            429,
            "quota_spent",
            messages.refusal(no.code, no.facts),
            fix="Ask for fewer steps, a smaller size or fewer pictures, or wait for Retry-After.",
            headers={"retry-after": str(retry_after)},
        )
    status, detail, fix = _REFUSALS.get(no.code, _UNKNOWN)
    wait = "1" if no.code == "not_confirmed" else "30"
    waits = {"retry-after": wait} if status == 503 else {}
    return Problem(status, no.code, detail.format_map(_facts(no)), fix=fix, headers=waits)


_UNKNOWN = (409, "The service refuses this.", "GET the generation to see how it stands.")
_REFUSALS: Mapping[str, tuple[int, str, str]] = {
    "paused": (503, "Drawing is paused: {reason}.", "Send the same request again later."),
    "not_confirmed": (
        503,
        "It could not be confirmed that the request was taken.",
        "Send the same request again with the same Idempotency-Key: it is drawn once.",
    ),
    "not_moderated": (503, "The words could not be checked just now.", "Send the same request again."),
    "blocked_prompt": (403, "This workspace's rules do not allow these words.", "Use other words."),
    "too_late_to_cancel": (
        409,
        "It is being delivered at this moment.",
        "Send the same DELETE again in a second: then its pictures are deleted.",
    ),
    "still_drawing": (
        409,
        "It is being delivered at this moment.",
        "Send the same DELETE again in a second: then its pictures are deleted.",
    ),
}


def _facts(no: Refused) -> dict[str, str]:
    return {"reason": "", **{name: str(value) for name, value in no.facts.items()}}
