"""The story that is driven, a chapter a module; every row of the table is a block in one of them."""

from collections.abc import Callable, Mapping

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

Chapter = Callable[[Stage, Rows], None]

CHAPTERS: Mapping[str, Chapter] = {
    "opening": opening.play,
    "drawing": drawing.play,
    "api": api.play,
    "intruding": intruding.play,
    "refusing": refusing.play,
    "failing": failing.play,
    "replacing": replacing.play,
    "faulting": faulting.play,
    "recovering": recovering.play,
    "checking": checking.play,
    "ending": ending.play,
}
"""In their order: later chapters use what earlier ones set up. After `recovering` the endpoint sleeps, as
an admin has ordered.
"""

OPTIONAL = ("replacing", "faulting", "checking")
"""Chapters that nothing after them needs."""
