"""Engines that misbehave in one way each, for tests of the server around them."""

import threading
from dataclasses import replace

from container.serving.drawing_queue import WARM_UP
from container.serving.engine import Drawing, DrawRequest, OnStep
from container.serving.errors import OutOfMemory
from container.serving.pattern_engine import PatternEngine


def is_warm_up(request: DrawRequest) -> bool:
    """The server's own first picture has no prompt; the tests' have."""
    return request.prompt == WARM_UP.prompt


class SlowSetup(PatternEngine):
    """Sets up only when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.may_start = threading.Event()

    def setup(self) -> None:
        self.may_start.wait(10)


class FailsInSetup(PatternEngine):
    def setup(self) -> None:
        raise FileNotFoundError("no checkpoint")


class FailsInWarmUp(PatternEngine):
    def generate(self, request: DrawRequest, *, on_step: OnStep) -> Drawing:
        raise RuntimeError("no kernel image for this device")


class RaisesInGenerate(PatternEngine):
    """Crashes, quoting the prompt as careless libraries do, until it is told to behave."""

    def __init__(self) -> None:
        super().__init__()
        self.broken = True

    def generate(self, request: DrawRequest, *, on_step: OnStep) -> Drawing:
        if self.broken and not is_warm_up(request):
            raise RuntimeError(f"bad token in {request.prompt}")
        return super().generate(request, on_step=on_step)


class RunsOutOfMemory(PatternEngine):
    def generate(self, request: DrawRequest, *, on_step: OnStep) -> Drawing:
        if not is_warm_up(request):
            raise OutOfMemory("the device has no room for this picture")
        return super().generate(request, on_step=on_step)


class HoldsOnlySoMany(PatternEngine):
    """Has memory for batches of up to `most` pictures; `sizes` are those it was asked for."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most
        self.sizes: list[int] = []

    def generate(self, request: DrawRequest, *, on_step: OnStep) -> Drawing:
        if not is_warm_up(request):
            self.sizes.append(request.batch_size)
        if request.batch_size > self._most:
            on_step(1, request.steps)
            raise OutOfMemory("the device has no room for this batch")
        return super().generate(request, on_step=on_step)


class ExhaustsPython(PatternEngine):
    def generate(self, request: DrawRequest, *, on_step: OnStep) -> Drawing:
        if not is_warm_up(request):
            raise MemoryError
        return super().generate(request, on_step=on_step)


class DrawsAnotherSize(PatternEngine):
    def generate(self, request: DrawRequest, *, on_step: OnStep) -> Drawing:
        wrong = request if is_warm_up(request) else replace(request, width=request.width + 8)
        return super().generate(wrong, on_step=on_step)


class Gated(PatternEngine):
    """Waits at the gate before every step but the warm-up's: hung while it is closed, and watchable.

    `at_gate` is set once a drawing has reached the gate; `requests` are those begun, in order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.at_gate = threading.Event()
        self.requests: list[DrawRequest] = []

    def generate(self, request: DrawRequest, *, on_step: OnStep) -> Drawing:
        if is_warm_up(request):
            return super().generate(request, on_step=on_step)
        self.requests.append(request)

        def gated(step: int, steps: int) -> None:
            self.at_gate.set()
            self.gate.wait(20)
            on_step(step, steps)

        return super().generate(request, on_step=gated)
