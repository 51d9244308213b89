"""The tasks text-to-image and image-to-image, as understood: batches, drawn on the engine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from container.serving.engine import BatchingEngine, Drawing, DrawRequest, Engine, EngineInfo, OnStep
from container.serving.errors import EngineCrash, OutOfMemory
from container.serving.image_check import ImageCheck
from container.serving.image_files import FileOptions
from container.serving.reply import write_drawings


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """What a task has drawn, one drawing for each batch, and the engine with the model that drew it."""

    drawings: tuple[Drawing, ...]
    engine: EngineInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawingTask:
    """A request to draw, as understood.

    `batches`: one per `n_iter`. `parameters`: what the reply echoes. `notes`: sentences about what was asked
    for and has no effect.
    """

    proves_engine: ClassVar[bool] = True

    task: str
    batches: tuple[DrawRequest, ...]
    parameters: Mapping[str, Any]
    notes: tuple[str, ...]

    @property
    def steps(self) -> int:
        return sum(steps_of(batch) for batch in self.batches)

    def run(self, engine: Engine, *, on_step: OnStep) -> Drawn:
        """One drawing per batch; steps are told over all of them."""
        drawings = []
        before = 0
        for batch in self.batches:
            scaled = _within(on_step, before=before, own=steps_of(batch), steps=self.steps)
            drawings.append(draw(engine, batch, on_step=scaled))
            before += steps_of(batch)
        return Drawn(drawings=tuple(drawings), engine=engine.info())

    def reply(self, result: Drawn, *, files: FileOptions, check: ImageCheck) -> bytes:
        return write_drawings(
            self.batches,
            result.drawings,
            parameters=self.parameters,
            notes=self.notes,
            engine=result.engine,
            files=files,
            check=check,
        )

    def summary(self) -> str:
        """Numbers and our own names only: nothing a person wrote."""
        first = self.batches[0]
        count = sum(batch.batch_size for batch in self.batches)
        size = f"{first.width}x{first.height}"
        return f"{self.task} {size}, {first.steps} steps of {first.sampler_name}, {count} pictures"


def steps_of(request: DrawRequest) -> int:
    """The steps of its passes."""
    return request.steps + ((request.hires.steps or request.steps) if request.hires else 0)


def draw(engine: Engine, batch: DrawRequest, *, on_step: OnStep) -> Drawing:
    """Draw a batch, in two halves where it does not fit into memory at once.

    Raises `OutOfMemory` where a half does not fit either, `EngineCrash` where the answer is not what was
    asked for.
    """
    try:
        return _checked(engine.generate(batch, on_step=on_step), batch)
    except (MemoryError, OutOfMemory):
        if batch.batch_size == 1:
            raise
    # Only here, where the failed attempt and all it held are gone, is there room to try again.
    first = (batch.batch_size + 1) // 2
    halves = batch.part(0, first), batch.part(first, batch.batch_size - first)
    drawings = [
        _checked(engine.generate(half, on_step=_half(on_step, number)), half)
        for number, half in enumerate(halves)
    ]
    return _joined(*drawings)


def draw_together(
    engine: BatchingEngine, requests: Sequence[DrawRequest], *, on_step: OnStep
) -> list[Drawing]:
    """One drawing for each request, drawn in one batch. Raises `EngineCrash` as `draw` does."""
    drawings = engine.generate_together(requests, on_step=on_step)
    if len(drawings) != len(requests):
        raise EngineCrash(f"the engine answered {len(drawings)} drawings, not {len(requests)}")
    return [_checked(drawing, request) for drawing, request in zip(drawings, requests, strict=True)]


def _within(on_step: OnStep, *, before: int, own: int, steps: int) -> OnStep:
    """Steps of one batch, however many the engine makes of them, as steps of the whole task."""
    return lambda done, in_all: on_step(before + scaled(done, in_all, own), steps)


def scaled(done: int, in_all: int, own: int) -> int:
    """`done` of `in_all` steps as a part of `own` ones, at least 1."""
    return max(1, done * own // max(1, in_all))


def _half(on_step: OnStep, number: int) -> OnStep:
    """Steps of the first or second half as steps of the whole; never fewer than were told before."""
    return lambda done, steps: on_step((number * steps + done + 1) // 2, steps)


def _joined(first: Drawing, second: Drawing) -> Drawing:
    return Drawing(
        images=first.images + second.images,
        seeds=first.seeds + second.seeds,
        subseeds=first.subseeds + second.subseeds,
        notes=(*first.notes, "memory was short: drawn in two halves"),
        unknown_words=first.unknown_words,
    )


def _checked(drawing: Drawing, request: DrawRequest) -> Drawing:
    """The drawing, if it is what was asked for. Raises `EngineCrash`."""
    size = request.hires or request
    expected = [(size.height, size.width, 3)] * request.batch_size
    shapes = [image.shape for image in drawing.images]
    if shapes != expected or any(image.dtype != "uint8" for image in drawing.images):
        raise EngineCrash(f"the engine answered pictures of shape {shapes}, not {expected}")
    if not len(drawing.seeds) == len(drawing.subseeds) == request.batch_size:
        raise EngineCrash("the engine answered another number of seeds than of pictures")
    return drawing
