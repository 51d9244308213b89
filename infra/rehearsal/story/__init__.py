"""The story that is driven, a chapter a module; every row of the table is a block in one of them."""

from collections.abc import Callable

from infra.rehearsal.rows import Rows
from infra.rehearsal.stage import Stage
from infra.rehearsal.story import (
    api,
    checking,
    drawing,
    ending,
    failing,
    faulting,
    intruding,
    opening,
    recovering,
    refusing,
    replacing,
)

CHAPTERS: tuple[Callable[[Stage, Rows], None], ...] = (
    opening.play,
    drawing.play,
    api.play,
    intruding.play,
    refusing.play,
    failing.play,
    replacing.play,
    faulting.play,
    recovering.play,
    checking.play,
    ending.play,
)
"""In their order: later chapters use what earlier ones set up. After `recovering` the endpoint sleeps, as
an admin has ordered.
"""
