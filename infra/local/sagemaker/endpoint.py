"""An asynchronous endpoint: a queue, instances that draw from it, objects and notices that tell of it."""

import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from infra.local.sagemaker import notices
from infra.local.sagemaker.container import Container, refused
from infra.local.sagemaker.errors import InvocationFailed, Refusal
from infra.local.sagemaker.faults import Faults
from infra.local.sagemaker.request_reader import AsyncRequest

SERVING = frozenset({"InService", "Updating", "SystemUpdating", "RollingBack", "UpdateRollbackFailed"})
STATUSES = frozenset({*SERVING, "OutOfService", "Creating", "Deleting", "Failed"})
PING_EVERY = 0.05
EXPIRED = "ClientError: The request expired in the queue."
NO_INPUT = "ClientError: Unable to download the input from its S3 location."
CRASHED = b'{"error": {"code": "engine_crash", "message": "the engine failed"}}'
NO_UPLOAD = "ClientError: Unable to upload the response to its S3 location."


class _Expired(Exception):
    """The request waited longer than its TTL."""


Observer = Callable[[str, str], None]
"""Told (bucket, key) of an object written, or (topic, message) of a notice published."""


def unobserved(_place: str, _what: str) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointConfig:
    """AsyncInferenceConfig and what else is fixed when an endpoint is made. Paths are `s3://bucket/folder/`.

    `include_in` holds SUCCESS_NOTIFICATION_TOPIC and ERROR_NOTIFICATION_TOPIC (IncludeInferenceResponseIn).
    """

    name: str
    output_path: str
    failure_path: str
    success_topic: str | None = None
    error_topic: str | None = None
    include_in: frozenset[str] = frozenset()
    concurrency: int = 1
    region: str = "us-east-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What a caller is told; locations are s3:// addresses."""

    inference_id: str
    output_location: str
    failure_location: str


@dataclass(slots=True, kw_only=True)
class Tally:
    """What CloudWatch would count."""

    processed: int = 0
    failed: int = 0
    expired: int = 0
    lost_inputs: int = 0
    lost_uploads: int = 0
    lost_notices: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Invocation:
    request: AsyncRequest
    accepted: Accepted
    expires_at: float
    received_time: str


class AsyncEndpoint:
    """One endpoint over one container. `s3` and `sns` are botocore clients.

    `clock` (monotonic seconds) decides expiry; after moving a clock of one's own, call `look_again`.
    `on_object` and `on_notice` see what AWS would turn into events, from the endpoint's threads.
    """

    def __init__(
        self,
        config: EndpointConfig,
        *,
        container: Container,
        s3: Any,
        sns: Any = None,
        instances: int = 1,
        faults: Faults | None = None,
        clock: Callable[[], float] = time.monotonic,
        on_object: Observer = unobserved,
        on_notice: Observer = unobserved,
    ) -> None:
        self.config = config
        self.faults = faults or Faults()
        self.tally = Tally()
        self._container = container
        self._s3 = s3
        self._sns = sns
        self._clock = clock
        self._on_object = on_object
        self._on_notice = on_notice
        _check_instances(instances)
        self._changed = threading.Condition()
        self._waiting: deque[_Invocation] = deque()
        self._running: set[threading.Thread] = set()
        self._instances = instances
        self._status = "InService"
        self._closing = threading.Event()
        self._dispatcher = threading.Thread(target=self._dispatch, name="async-endpoint")
        self._dispatcher.start()

    @property
    def backlog(self) -> int:
        """Requests accepted and not settled, running ones included, as ApproximateBacklogSize counts."""
        with self._changed:
            return len(self._waiting) + len(self._running)

    @property
    def instances(self) -> int:
        return self._instances

    @property
    def status(self) -> str:
        return self._status

    def scale(self, *, instances: int | None = None, status: str | None = None) -> None:
        """Change the number of instances (0: the queue waits) or the status. Raises ValueError."""
        if instances is not None:
            _check_instances(instances)
        if status is not None and status not in STATUSES:
            raise ValueError(f"status must be one of {', '.join(sorted(STATUSES))}, not {status}")
        with self._changed:
            self._instances = self._instances if instances is None else instances
            self._status = status or self._status
            self._changed.notify_all()

    def accept(self, request: AsyncRequest) -> Accepted:
        """Enqueue. Raises Refusal where the endpoint does not take requests."""
        if request.endpoint != self.config.name or self._status not in SERVING:
            raise Refusal(
                "ValidationError", f"Endpoint {request.endpoint} of account 000000000000 not found."
            )
        accepted = self._places(request)
        invocation = _Invocation(
            request=request,
            accepted=accepted,
            expires_at=self._clock() + request.ttl,
            received_time=_now(),
        )
        if not self.faults.take("lost"):
            with self._changed:
                self._waiting.append(invocation)
                self._changed.notify_all()
        return accepted

    def look_again(self) -> None:
        """See to requests that have expired."""
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """Stop at once; what is under way leaves nothing behind. Returns when every thread has ended."""
        self._closing.set()
        self._container.stop()
        self.look_again()
        self._dispatcher.join()
        while running := self._some_running():
            running.join()

    def _some_running(self) -> threading.Thread | None:
        with self._changed:
            return next(iter(self._running), None)

    def _places(self, request: AsyncRequest) -> Accepted:
        inference_id = request.inference_id or str(uuid.uuid4())
        filename = request.filename or f"{inference_id}.out"
        stem = "" if self.faults.nameless_failures else f"{inference_id}-"
        return Accepted(
            inference_id=inference_id,
            output_location=f"{self.config.output_path}{request.path_extension}{filename}",
            failure_location=f"{self.config.failure_path}{stem}{uuid.uuid4()}-error.out",
        )

    def _dispatch(self) -> None:
        while (thread := self._next()) is not None:
            thread.start()

    def _next(self) -> threading.Thread | None:
        """A thread for the next invocation to be served or expired; None once the endpoint closes."""
        with self._changed:
            while not self._closing.is_set():
                for invocation in self._waiting:
                    if invocation.expires_at <= self._clock():
                        self._waiting.remove(invocation)
                        return self._thread(self._expire, invocation)
                if self._waiting and len(self._running) < self._instances * self.config.concurrency:
                    return self._thread(self._serve, self._waiting.popleft())
                self._changed.wait(self._until_next_expiry())
            return None

    def _thread(self, settle: Callable[[_Invocation], None], invocation: _Invocation) -> threading.Thread:
        thread = threading.Thread(target=self._run, args=(settle, invocation), name="invocation")
        self._running.add(thread)
        return thread

    def _until_next_expiry(self) -> float | None:
        expiries = [invocation.expires_at for invocation in self._waiting]
        return max(min(expiries) - self._clock(), 0.0) if expiries else None

    def _run(self, settle: Callable[[_Invocation], None], invocation: _Invocation) -> None:
        try:
            settle(invocation)
        finally:
            with self._changed:
                self._running.discard(threading.current_thread())
                self._changed.notify_all()

    def _serve(self, invocation: _Invocation) -> None:
        try:
            content_type, body = self._invoked(invocation)
        except _Expired:
            self._expire(invocation)
        except InvocationFailed as failed:
            self._fail(invocation, failed)
        else:
            self._succeed(invocation, content_type, body)

    def _invoked(self, invocation: _Invocation) -> tuple[str, bytes]:
        request = invocation.request
        body = request.body if request.body is not None else self._downloaded(str(request.input_location))
        while not self._container.healthy():
            if self._closing.wait(PING_EVERY) or self._clock() >= invocation.expires_at:
                raise _Expired
        headers = {
            "Content-Type": request.content_type,
            "Accept": request.accept,
            "X-Amzn-SageMaker-Custom-Attributes": request.custom_attributes,
            "X-Amzn-SageMaker-Inference-Id": invocation.accepted.inference_id,
        }
        if self.faults.take("crashed_engines"):
            raise InvocationFailed(refused(500), body=CRASHED)
        told = {name: value for name, value in headers.items() if value is not None}
        reached = body[: len(body) // 2] if self.faults.take("garbled_bodies") else body
        return self._container.invoke(reached, headers=told, timeout=request.timeout)

    def _downloaded(self, location: str) -> bytes:
        bucket, key = _parts(location)
        try:
            body: bytes = self._s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        except (ClientError, BotoCoreError) as error:
            self.tally.lost_inputs += 1
            raise InvocationFailed(NO_INPUT) from error
        return body

    def _succeed(self, invocation: _Invocation, content_type: str, body: bytes) -> None:
        location = invocation.accepted.output_location
        for _ in range(1 + self.faults.take("duplicated_results")):
            if not self._written(location, body, content_type):
                self._fail(invocation, InvocationFailed(NO_UPLOAD))
                return
            self._publish(
                self.config.success_topic,
                notices.success(
                    self._subject(invocation),
                    output_location=location,
                    content_type=content_type,
                    included=body if "SUCCESS_NOTIFICATION_TOPIC" in self.config.include_in else None,
                ),
            )
        self.tally.processed += 1

    def _fail(self, invocation: _Invocation, failed: InvocationFailed) -> None:
        if self._closing.is_set():
            return
        self.tally.failed += 1
        body = failed.reason.encode() if failed.body is None else failed.body
        for _ in range(1 + self.faults.take("duplicated_results")):
            if not self.faults.take("missing_failure_objects"):
                self._written(invocation.accepted.failure_location, body, "application/json")
            if not self.faults.take("silent_failures"):
                self._announce_failure(invocation, failed)

    def _expire(self, invocation: _Invocation) -> None:
        if self._closing.is_set():
            return
        self.tally.expired += 1
        if self.faults.expiry_notices:
            self._announce_failure(invocation, InvocationFailed(EXPIRED))

    def _announce_failure(self, invocation: _Invocation, failed: InvocationFailed) -> None:
        included = failed.body if "ERROR_NOTIFICATION_TOPIC" in self.config.include_in else None
        message = notices.failure(self._subject(invocation), reason=failed.reason, included=included)
        self._publish(self.config.error_topic, message)

    def _written(self, location: str, body: bytes, content_type: str) -> bool:
        """Write one object; False when S3 does not take it or the endpoint closes meanwhile."""
        if self._closing.wait(self.faults.output_seconds):
            return False
        bucket, key = _parts(location)
        try:
            self._s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType=content_type)
        except (ClientError, BotoCoreError):
            self.tally.lost_uploads += 1
            return False
        self._on_object(bucket, key)
        return True

    def _publish(self, topic: str | None, message: str) -> None:
        if topic is None:
            return
        try:
            self._sns.publish(TopicArn=topic, Message=message)
        except (ClientError, BotoCoreError):
            self.tally.lost_notices += 1
            return
        self._on_notice(topic, message)

    def _subject(self, invocation: _Invocation) -> notices.Subject:
        request = invocation.request
        return notices.Subject(
            region=self.config.region,
            endpoint=self.config.name,
            inference_id=invocation.accepted.inference_id,
            input_location=request.input_location,
            content_type=request.content_type,
            accept=request.accept,
            received_time=invocation.received_time,
            event_time=_now(),
        )


def _check_instances(instances: int) -> None:
    if instances < 0:
        raise ValueError(f"instances must be 0 or more, not {instances}")


def _parts(location: str) -> tuple[str, str]:
    bucket, _, key = location.removeprefix("s3://").partition("/")
    return bucket, key


def _now() -> str:
    return datetime.now(tz=UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
