"""What may go wrong between the functions and a peer, for a while."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

from infra.local.slack.faults import FaultKind
from infra.rehearsal.microburst import Wire
from tests.lambda_package.faults.on_loopback import bot_of
from tests.scenarios.stack import Stack

THROTTLED = {"error": {"code": "ThrottlingException", "status": 400}}
BROKEN = {"error": {"code": "InternalServerError", "status": 500}}
RESET = {"reset": True}
SILENT = {"timeout_ms": 12_000}
"""Longer than a function waits."""

REPLY_LOST = {"response": {"abort_bytes": 0}}
"""AWS has done it, and nobody is told."""

CUT_SHORT = {"response": {"truncate_frac": 0.5}}

KINDS = (THROTTLED, BROKEN, RESET, SILENT, REPLY_LOST, CUT_SHORT)
SLACK_KINDS = (
    FaultKind.RATE_LIMITED,
    FaultKind.SERVER_ERROR,
    FaultKind.DROP_BEFORE,
    FaultKind.DROP_AFTER,
    FaultKind.SLOW,
    FaultKind.CUT_SHORT,
)
EVER = 1000
"""Times."""

Situation = Callable[[Stack], AbstractContextManager[None]]
"""What else goes on. It is entered before the fault begins, and left when everybody has asked."""


def quiet(_world: Stack) -> AbstractContextManager[None]:
    """Nothing else goes on."""
    return nullcontext()


class Fault(Protocol):
    """Each has happened `fired` times since it began. Of what people are shown, `spare` may be shown without
    anybody's knowing: Slack did it and lost its answer.
    """

    @property
    def situation(self) -> Situation: ...
    @property
    def spare(self) -> int: ...
    def begin(self, world: Stack) -> None: ...
    def end(self, world: Stack) -> None: ...
    def fired(self, world: Stack) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WireFault:
    """microburst's; `wire` is the proxy by its name in the world, `times` how often before all is well."""

    service: str
    fault: Mapping[str, Any]
    operation: str | None = None
    times: int = 2
    wire: str = "aws"
    situation: Situation = quiet

    @property
    def spare(self) -> int:
        return 0

    def begin(self, world: Stack) -> None:
        named = {} if self.operation is None else {"operation": self.operation}
        self._wire(world).rules([{"service": self.service, **named, "times": self.times, **self.fault}])

    def end(self, world: Stack) -> None:
        self._wire(world).calm()

    def fired(self, world: Stack) -> int:
        return len(self._wire(world).fired())

    def _wire(self, world: Stack) -> Wire:
        wire: Wire = getattr(bot_of(world), self.wire)
        return wire

    def __str__(self) -> str:
        ((kind, told),) = self.fault.items()
        how = next(iter(told.values())) if kind == "error" else kind
        return f"{self.service}.{self.operation or 'any'}-{next(iter(told)) if kind == 'response' else how}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackFault:
    """The local Slack's own; `seconds` and `error` as its `Faults.plan` takes them."""

    method: str
    kind: FaultKind
    times: int = 2
    seconds: float | None = None
    error: str | None = None
    situation: Situation = quiet

    @property
    def spare(self) -> int:
        loses = self.kind not in (FaultKind.RATE_LIMITED, FaultKind.REFUSED, FaultKind.DROP_BEFORE)
        return self.times if loses and self.method in ("chat.postMessage", "response_url") else 0

    def begin(self, world: Stack) -> None:
        world.slack.traffic.clear()
        faults = world.slack.faults
        faults.plan(self.method, self.kind, times=self.times, seconds=self.seconds, error=self.error)

    def end(self, world: Stack) -> None:
        world.slack.faults.clear()

    def fired(self, world: Stack) -> int:
        told = [exchange.error or "" for exchange in world.slack.traffic.all(self.method)]
        return sum(1 for error in told if error.startswith("fault:"))

    def __str__(self) -> str:
        return f"slack.{self.method}-{self.kind}"


def aws(named: str, fault: Mapping[str, Any], *, times: int = 2, situation: Situation = quiet) -> WireFault:
    """Of an operation of AWS's, such as `dynamodb.Query`."""
    service, _, operation = named.partition(".")
    return WireFault(service=service, operation=operation, fault=fault, times=times, situation=situation)


def endpoint(fault: Mapping[str, Any], *, times: int = 2) -> WireFault:
    """Of submissions to the endpoint."""
    return WireFault(service="sagemaker", fault=fault, wire="sagemaker", times=times)


def slack(method: str, kind: FaultKind, *, times: int = 2, error: str | None = None) -> SlackFault:
    """Of a method of Slack's; with the wait that the kind has, a slow answer's longer than ours."""
    seconds = {FaultKind.RATE_LIMITED: 1.0, FaultKind.SLOW: 12.0}.get(kind)
    return SlackFault(method=method, kind=kind, times=times, seconds=seconds, error=error)
