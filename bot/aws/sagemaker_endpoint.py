"""SageMaker asynchronous inference behind the port Endpoint.

Field names, ranges and limits: botocore `sagemaker-runtime` 2017-05-13, InvokeEndpointAsync. `Filename` and
`S3OutputPathExtension` came with botocore 1.42.54 (2026-02), the inline `Body` with 1.43.29 (2026-06). Where
the installed botocore or the region does not know one, it is left out from then on: the input goes through
S3, and the result lands under the inference id, where `ResultObjects` finds it.
"""

import re
import threading
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from bot.aws.clients import Clients
from bot.aws.peer_errors import code_of, meaning_of, peer_errors
from bot.domain.errors import Ambiguous, PeerError, Rejected, Unavailable
from bot.ports import EndpointState, Fate, Journal, Objects, Submission, Warmth

INLINE_BYTES = 128_000
TTL_SECONDS = (60, 21_600)
TIMEOUT_SECONDS = (1, 3_600)
OUTPUT_PREFIX = "out/"
"""The endpoint's `S3OutputPath` is this folder of the bucket; `S3OutputPathExtension` continues it."""

BODY, PLACE = frozenset({"Body"}), frozenset({"Filename", "S3OutputPathExtension"})
NEWER = BODY | PLACE

_NO_ENDPOINT = re.compile(r"(?i)\bendpoint\b.*\b(not found|could not be found|not in ?service)\b", re.DOTALL)
_NAMED = {
    BODY: re.compile(r"(?i)\b(body|inputLocation)\b"),
    PLACE: re.compile(r"(?i)\b(filename|s3OutputPathExtension)\b"),
}
"""How a refusal points at fields its service does not know; one without Body misses InputLocation."""

_DENIED = frozenset({"AccessDeniedException", "AccessDenied"})


class _Invalid(Rejected):
    """SageMaker found fault with the request; `says` is its sentence, which may hold what we sent."""

    def __init__(self, code: str, *, says: str) -> None:
        super().__init__(code)
        self.says = says


class SagemakerEndpoint:
    """The port Endpoint over one asynchronous endpoint. A submission is enqueued by one call, never repeated.

    `objects` take inputs too large to send inline, under `in/` of `bucket`. `snapshot` gives what
    `EndpointSnapshot` wrote last, None when nothing was written; it may raise PeerError. The window is
    max instances x (`concurrency` + `backlog_target` + 1), so that SageMaker's own backlog stays visible to
    the scaling policy.
    """

    def __init__(
        self,
        clients: Clients,
        *,
        name: str,
        bucket: str,
        objects: Objects,
        snapshot: Callable[[], Mapping[str, Any] | None],
        journal: Journal,
        concurrency: int = 1,
        backlog_target: int = 3,
    ) -> None:
        self._clients = clients
        self._name = name
        self._bucket = bucket
        self._objects = objects
        self._snapshot = snapshot
        self._journal = journal
        self._per_instance = concurrency + backlog_target + 1
        self._turn = threading.Lock()
        self._left_out: frozenset[str] | None = None
        self._told_elsewhere = False
        self._state = EndpointState(name=name, warmth=Warmth.DOWN, window=self._per_instance)

    def submit(self, submission: Submission) -> None:
        """See Endpoint.submit. Raises Busy, Unavailable, Ambiguous, Rejected.

        A missing endpoint, or one we may not call, is Unavailable: it may be about to come up.
        """
        without, code = self._known_to_be_unknown(), ""
        while True:
            request = self._request(submission, without=without)
            try:
                reply = self._invoke(request)
                break
            except _Invalid as no:  # nothing was enqueued; each turn leaves out a field at least
                blamed, code = _blamed(no.says) & request.keys(), no.code
                if not blamed:
                    raise
                without |= blamed
        self._leave_out(without, code=code)
        self._check_place(submission, reply)

    def fate(self, inference_id: str) -> Fate:  # noqa: ARG002  (the port's name for it)
        """See Endpoint.fate: SageMaker never tells, so the objects and the clock decide."""
        return Fate.UNKNOWN

    def cancel(self, inference_id: str) -> bool:  # noqa: ARG002  (the port's name for it)
        """See Endpoint.cancel: an asynchronous invocation cannot be called back."""
        return False

    def state(self) -> EndpointState:
        """See Endpoint.state: the snapshot, or the last one seen while the shared row cannot be read.

        Nothing known at all reads as DOWN with the window of one instance.
        """
        try:
            told = self._snapshot()
        except PeerError as error:
            self._journal.event("endpoint_state_unread", code=error.code)
            return self._state
        if told:
            self._state = _state_of(told, name=self._name, per_instance=self._per_instance)
        return self._state

    def _known_to_be_unknown(self) -> frozenset[str]:
        """The newer fields to leave out: those that this botocore would refuse, and those the service did."""
        if self._left_out is None:
            operation = self._clients["sagemaker-runtime"].meta.service_model.operation_model(
                "InvokeEndpointAsync"
            )
            self._left_out = frozenset()
            self._leave_out(NEWER - operation.input_shape.members.keys(), code="older_botocore")
        return self._left_out

    def _leave_out(self, fields: frozenset[str], *, code: str) -> None:
        """Do without these fields from now on, and say so once."""
        known = self._left_out or frozenset()
        if fields - known:
            self._left_out = known | fields
            self._journal.event("sagemaker_fallback", fields=",".join(sorted(fields - known)), code=code)

    def _request(self, submission: Submission, *, without: frozenset[str]) -> dict[str, Any]:
        """The call's arguments; an input that does not fit inline is in the bucket afterwards."""
        folder, _, filename = submission.output_key.removeprefix(OUTPUT_PREFIX).rpartition("/")
        place = {"Filename": filename, "S3OutputPathExtension": f"{folder}/"}
        request = {
            "EndpointName": self._name,
            "ContentType": "application/json",
            "Accept": "application/json",
            "InferenceId": submission.inference_id,
            "RequestTTLSeconds": _within(TTL_SECONDS, submission.ttl),
            "InvocationTimeoutSeconds": _within(TIMEOUT_SECONDS, submission.timeout),
            **{field: value for field, value in place.items() if field not in without},
        }
        if without >= BODY or len(submission.body) > INLINE_BYTES:
            return {**request, "InputLocation": self._uploaded(submission)}
        return {**request, "Body": submission.body}

    def _uploaded(self, submission: Submission) -> str:
        """The input's address in the bucket. Raises Unavailable where the upload is in doubt."""
        key = f"in/{submission.tenant}/{submission.job_id}.{submission.ordinal}.json"
        try:
            self._objects.put(key, submission.body)
        except Ambiguous as lost:
            raise Unavailable(lost.code) from lost
        return f"s3://{self._bucket}/{key}"

    def _invoke(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """One call on a connection of its own. One that was idle while Lambda froze its process may be dead,
        and a call on it is neither sent nor unsent: the drawing would wait for nothing.
        """
        client = self._clients["sagemaker-runtime"]
        with peer_errors(), self._turn:
            client.close()
            try:
                reply: Mapping[str, Any] = client.invoke_endpoint_async(**request)
            except ClientError as error:
                raise self._reported(_refusal(error)) from error
        return reply

    def _reported(self, error: PeerError) -> PeerError:
        """An endpoint that is missing or closed to us is worth an alarm: the job only waits."""
        if isinstance(error, Unavailable):
            self._journal.event("endpoint_closed", code=error.code)
        return error

    def _check_place(self, submission: Submission, reply: Mapping[str, Any]) -> None:
        """A service that passes over the newer fields in silence writes elsewhere: say so once."""
        expected = f"s3://{self._bucket}/{submission.output_key}"
        named = not PLACE & self._known_to_be_unknown()
        if named and reply.get("OutputLocation") != expected and not self._told_elsewhere:
            self._told_elsewhere = True
            self._journal.event("output_elsewhere", job=submission.job_id)


def _refusal(error: ClientError) -> PeerError:
    """Like `meaning_of`, knowing what SageMaker says of endpoints that are not there (yet)."""
    code, says = code_of(error), str(error.response.get("Error", {}).get("Message", ""))
    if code in _DENIED:
        return Unavailable(code)
    if code != "ValidationError":
        return meaning_of(error)
    if _NO_ENDPOINT.search(says):
        return Unavailable("endpoint_not_found")
    return _Invalid(code, says=says)


def _blamed(says: str) -> frozenset[str]:
    """The newer fields that a refusal is about; a sentence that names none may be about any."""
    named = [fields for fields, pattern in _NAMED.items() if pattern.search(says)]
    return frozenset().union(*named) or NEWER


def _within(limits: tuple[int, int], seconds: float) -> int:
    lowest, highest = limits
    return min(max(round(seconds), lowest), highest)


def _state_of(told: Mapping[str, Any], *, name: str, per_instance: int) -> EndpointState:
    """A snapshot of this or another version of the bot: what it lacks is read as little."""
    warmth = told.get("warmth")
    return EndpointState(
        name=str(told.get("name") or name),
        warmth=Warmth(warmth) if warmth in list(Warmth) else Warmth.DOWN,
        window=max(_count(told.get("max_instances")), 1) * per_instance,
        model=told["model"] if isinstance(told.get("model"), str) else None,
        instances=_count(told.get("instances")),
        backlog=_count(told.get("backlog")),
    )


def _count(value: object) -> int:
    return max(int(value), 0) if isinstance(value, int | float) else 0
