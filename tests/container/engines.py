"""Engines for tests of the server around them: each misbehaves in one way, or shows what reached it."""

import threading
from collections.abc import Hashable, Sequence
from dataclasses import replace

from container.serving.drawing_queue import WARM_UP
from container.serving.engine import Catalogue, Drawing, DrawRequest, Feature, Model, OnStep, Picture
from container.serving.errors import BadRequest, EngineCrash, OutOfMemory
from container.serving.pattern_engine import PatternEngine


def is_warm_up(request: DrawRequest) -> bool:
    """The server's own first picture has no prompt; the tests' have."""
    return request.prompt == WARM_UP.prompt


HELD_AT_MOST = 250.0
"""Seconds until what a test holds goes on, should the test forget it; a slow machine needs many."""


class SlowSetup(PatternEngine):
    """Sets up only when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.may_start = threading.Event()

    def setup(self) -> None:
        self.may_start.wait(HELD_AT_MOST)


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
            self.gate.wait(HELD_AT_MOST)
            on_step(step, steps)

        return super().generate(request, on_step=gated)


class EveryFeature(PatternEngine):
    """Has every feature of the seam and some files of each kind; `requests` are those that reached it."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[DrawRequest] = []

    def generate(self, request: DrawRequest, *, on_step: OnStep) -> Drawing:
        if not is_warm_up(request):
            self.requests.append(request)
        size = request.hires or request
        drawn = replace(request, width=size.width, height=size.height)
        return super().generate(drawn, on_step=on_step)

    def catalogue(self) -> Catalogue:
        schedules = ("Karras", "Exponential", "SGM Uniform")
        return Catalogue(
            models=(Model(name="stripes", hash="0000000000"), Model(name="anime/line.safetensors")),
            samplers=("Euler", "Euler a", "DPM++ 2M", "DPM++ 2S a", "DDIM"),
            schedules={
                "Euler": schedules,
                "Euler a": schedules,
                "DPM++ 2M": schedules,
                "DPM++ 2S a": schedules,
            },
            upscalers=("4x-Crisp", "Lanczos", "Nearest"),
            loras=(Model(name="style/foxes.safetensors"),),
            controlnets=(Model(name="control_canny.safetensors"), Model(name="control_depth.safetensors")),
            vaes=(Model(name="crisp.safetensors", hash="1111111111"), Model(name="soft.pt")),
            features=frozenset(Feature),
        )


class Batching(PatternEngine):
    """Draws together what agrees in size and steps, up to `most` pictures; each step waits to be allowed.

    `batches` are the prompts of each drawing begun, in order. Fails as it is told to: `fits` pictures at most
    have memory, a prompt with "poison" crashes whoever draws it, one with "wrong" is refused.
    """

    def __init__(self, *, most: int = 8, fits: int = 100) -> None:
        super().__init__()
        self.at_gate = threading.Event()
        self.batches: list[list[str]] = []
        self._allowed = threading.Semaphore(0)
        self._most = most
        self._fits = fits

    def allow(self, steps: int = 10**6) -> None:
        """Let so many more steps be made."""
        self._allowed.release(steps)

    def joins(self, request: DrawRequest) -> Hashable | None:
        return (request.width, request.height, request.steps)

    def largest_together(self, request: DrawRequest) -> int:
        return self._most

    def generate(self, request: DrawRequest, *, on_step: OnStep) -> Drawing:
        return self.generate_together([request], on_step=on_step)[0]

    def generate_together(self, requests: Sequence[DrawRequest], *, on_step: OnStep) -> tuple[Drawing, ...]:
        if any(is_warm_up(request) for request in requests):
            return (super().generate(requests[0], on_step=on_step),)
        self.batches.append([request.prompt for request in requests])
        self._fail(requests)
        for step in range(1, requests[0].steps + 1):
            self.at_gate.set()
            self._allowed.acquire(timeout=HELD_AT_MOST)
            on_step(step, requests[0].steps)
        return tuple(super(Batching, self).generate(request, on_step=_no_step) for request in requests)

    def _fail(self, requests: Sequence[DrawRequest]) -> None:
        if sum(request.batch_size for request in requests) > self._fits:
            raise OutOfMemory("the device has no room for this batch")
        if any("poison" in request.prompt for request in requests):
            raise EngineCrash("the device asserts")
        if any("wrong" in request.prompt for request in requests):
            raise BadRequest("cannot be drawn", field="prompt")


def _no_step(_step: int, _steps: int) -> None:
    """The steps were told before."""


class BreaksOnce(PatternEngine):
    """Once a prompt says "break" it cannot draw any more, until it is set up again. `setups` counts those.

    `mends`: whether a second set-up helps; `may_restart`: what a second set-up waits for.
    """

    def __init__(self, *, mends: bool = True) -> None:
        super().__init__()
        self.setups = 0
        self.may_restart = threading.Event()
        self._mends = mends
        self._broken = False

    def setup(self) -> None:
        self.setups += 1
        if self.setups > 1:
            self.may_restart.wait(HELD_AT_MOST)
            if not self._mends:
                raise RuntimeError("no device")
        self._broken = False

    def generate(self, request: DrawRequest, *, on_step: OnStep) -> Drawing:
        self._broken = self._broken or "break" in request.prompt
        if self._broken:
            raise RuntimeError("device-side assert triggered")
        return super().generate(request, on_step=on_step)


class Scores:
    """An image check that knows the score of each picture beforehand, or fails."""

    state = "on"

    def __init__(self, *scores: float | None) -> None:
        self._scores = list(scores)

    def score(self, picture: Picture) -> float | None:
        return self._scores.pop(0)
