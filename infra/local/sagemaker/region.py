"""A region of an account that hosts endpoints: SageMaker, Application Auto Scaling and their metrics in one
time.

`advance` moves that time and lets everything happen that would have happened meanwhile. A served region
(`run`) goes with the machine's clock, `speed` times as fast.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore import xform_name
from botocore.exceptions import ClientError

from infra.local.sagemaker.auto_scaling import AutoScaling
from infra.local.sagemaker.capacity import Capacity
from infra.local.sagemaker.container import Container
from infra.local.sagemaker.endpoint import AsyncEndpoint, EndpointConfig, Observer, unobserved
from infra.local.sagemaker.errors import Refusal
from infra.local.sagemaker.hosting import Hosting, Members, Pace
from infra.local.sagemaker.metrics import Alarms, History
from infra.local.sagemaker.service_quotas import ServiceQuotas
from infra.local.sagemaker.shapes import JsonService
from infra.local.sagemaker.training import Training
from infra.local.sagemaker.training_run import COMMAND, TrainingRun

MINUTE = 60.0
STEP = 10.0
"""Seconds in which `advance` moves, so that what follows from a change has its own time."""
LOOK_EVERY = 0.1
SWITCHES = frozenset({"advance", "capacity", "unhealthy_starts", "interruptions"})

OpenContainer = Callable[[Members], Container]
"""The container of a model, by its CreateModel request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peers:
    """Clients of what stands in for the rest of AWS. Without `logs`, training jobs say nothing there."""

    s3: Any
    sns: Any
    cloudwatch: Any
    logs: Any = None


class Region:
    """Answers requests of both services. Every method may be called from any thread.

    `trainer` is the command that a training job runs, with `--root FOLDER` behind it.
    """

    def __init__(
        self,
        peers: Peers,
        *,
        open_container: OpenContainer,
        pace: Pace | None = None,
        capacity: Capacity | None = None,
        name: str = "us-east-1",
        account: str = "123456789012",
        wall: Callable[[], float] = time.time,
        speed: float = 1.0,
        trainer: Sequence[str] = COMMAND,
        on_object: Observer = unobserved,
        on_notice: Observer = unobserved,
    ) -> None:
        self._peers = peers
        self._trainer = trainer
        self._open_container = open_container
        self._wall = wall
        self._speed = speed
        self._began = wall()
        self._skipped = 0.0
        self._observers = (on_object, on_notice)
        self._turn = threading.RLock()
        self._minute = self._began
        self._history = History()
        self._alarms = Alarms(peers.cloudwatch)
        self.hosting = Hosting(
            clock=self.now,
            open_runtime=self._runtime,
            has_files=self._has_files,
            capacity=capacity,
            pace=pace,
            region=name,
            account=account,
        )
        self.scaling = AutoScaling(
            self.hosting,
            clock=self.now,
            alarms=self._alarms,
            prefix=f"arn:aws:autoscaling:{name}:{account}",
        )
        self.training = Training(
            clock=self.now,
            start_run=self._start_training,
            s3=peers.s3,
            capacity=self.hosting.capacity,
            region=name,
            account=account,
        )
        self._services = {
            "SageMaker": (JsonService("sagemaker"), (self.hosting, self.training)),
            "ServiceQuotasV20190624": (
                JsonService("service-quotas"),
                (ServiceQuotas(self.hosting.capacity),),
            ),
            "AnyScaleFrontendService": (JsonService("application-autoscaling"), (self.scaling,)),
        }

    def now(self) -> float:
        """Seconds since 1970, in the region's own time."""
        return self._began + (self._wall() - self._began) * self._speed + self._skipped

    def call(self, target: str, body: bytes) -> bytes:
        """One request of a JSON service: `X-Amz-Target` and the body. Raises Refusal."""
        prefix, _, operation = target.partition(".")
        service, answerers = self._services.get(prefix, (None, ()))
        if service is None:
            raise Refusal("UnknownOperationException", f"no service {prefix} here")
        sent = service.read(operation, body)
        with self._turn:
            self.settle()
            found = (getattr(answerer, xform_name(operation), None) for answerer in answerers)
            answer = next((method for method in found if method is not None), None)
            if answer is None:
                raise Refusal("UnknownOperationException", f"{operation} is not part of the stand-in")
            told = answer(sent)
            return service.write(
                operation, {name: value for name, value in told.items() if value is not None}
            )

    def runtime(self, name: str) -> AsyncEndpoint:
        """The queue of an endpoint. Raises Refusal where there is none that takes requests."""
        with self._turn:
            self.settle()
            endpoint = self.hosting.endpoints.get(name)
            if endpoint is None or endpoint.runtime is None:
                raise Refusal("ValidationError", f"Endpoint {name} of account 123456789012 not found.")
            return endpoint.runtime

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        with self._turn:
            left = seconds
            while left > 0:
                step = min(STEP, left)
                self._skipped += step
                left -= step
                self.settle()
        for endpoint in list(self.hosting.endpoints.values()):
            if endpoint.runtime:
                endpoint.runtime.look_again()

    def settle(self) -> None:
        """Let everything happen that is due."""
        with self._turn:
            now = self.now()
            self.hosting.settle(now)
            self.training.settle(now)
            while self._minute + MINUTE <= now:
                self._pass_minute(self._minute + MINUTE)

    def run(self, ended: threading.Event) -> None:
        """Keep settling until `ended`."""
        while not ended.wait(LOOK_EVERY):
            self.settle()

    def change(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """The control route: `advance` (seconds) and the switches of `SWITCHES`. Raises ValueError."""
        unknown = told.keys() - SWITCHES
        if unknown:
            raise ValueError(f"takes {', '.join(sorted(SWITCHES))}, not {', '.join(sorted(unknown))}")
        with self._turn:
            self.hosting.capacity.change(told.get("capacity", {}))
            self.hosting.troubles.unhealthy_starts = int(told.get("unhealthy_starts", 0))
            self.training.interruptions = int(told.get("interruptions", 0))
        self.advance(float(told.get("advance", 0.0)))
        return self.told()

    def told(self) -> dict[str, Any]:
        """Where every endpoint and every training job stands, JSON-ready."""
        with self._turn:
            now = self.now()
            return {
                "now": now,
                "endpoints": {
                    name: {
                        "status": endpoint.status,
                        "reason": endpoint.reason,
                        "instances": endpoint.ready(now),
                        "desired": sum(fleet.desired for fleet in endpoint.fleets),
                        "backlog": endpoint.runtime.backlog if endpoint.runtime else 0,
                    }
                    for name, endpoint in self.hosting.endpoints.items()
                },
                "training": {
                    name: {"status": job.status, "stage": job.stage, "reason": job.reason}
                    for name, job in self.training.jobs.items()
                },
            }

    def close(self) -> None:
        """End every endpoint and every training job."""
        self.hosting.close()
        self.training.close()

    def _pass_minute(self, moment: float) -> None:
        before, self._minute = self._minute, moment
        for endpoint in list(self.hosting.endpoints.values()):
            values = self._history.record(endpoint, now=moment)
            self._alarms.publish(endpoint.name, values, now=moment)
        self.scaling.act_on_schedule(before, moment)
        self.scaling.sweep_bounds()
        for arn, breach in list(self._alarms.going_off(self._history)):
            self.scaling.act_on_alarm(arn, breach=breach)
        self.scaling.track(self._history.last)

    def _runtime(self, config: EndpointConfig, model: Members) -> AsyncEndpoint:
        on_object, on_notice = self._observers
        return AsyncEndpoint(
            config,
            container=self._open_container(model),
            s3=self._peers.s3,
            sns=self._peers.sns,
            instances=0,
            clock=self.now,
            on_object=on_object,
            on_notice=on_notice,
        )

    def _start_training(self, job: Members, moment: float) -> TrainingRun:
        return TrainingRun(
            job, s3=self._peers.s3, logs=self._peers.logs, moment=moment, command=self._trainer
        )

    def _has_files(self, url: str) -> bool:
        bucket, _, key = url.removeprefix("s3://").partition("/")
        try:
            listed = self._peers.s3.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1)
        except ClientError:
            return False
        return bool(listed.get("KeyCount"))
