"""How figures are printed: the middle, the spread, and the goal they are held against."""

import statistics
from collections.abc import Sequence


def quantile(samples: Sequence[float], share: float) -> float:
    """The value below which `share` of the samples lie."""
    return sorted(samples)[min(len(samples) - 1, int(len(samples) * share))]


def row(name: str, samples: Sequence[float], *, unit: str = "ms", goal: str = "") -> None:
    """One line: p50, p99, minimum and maximum."""
    middle, high = statistics.median(samples), quantile(samples, 0.99)
    spread = f"min {min(samples):.2f}  max {max(samples):.2f}  n {len(samples)}"
    print(f"{name:<44} p50 {middle:8.2f} {unit}  p99 {high:8.2f} {unit}  {spread}  {goal}")


def single(name: str, value: float, *, unit: str, goal: str = "") -> None:
    """One figure."""
    print(f"{name:<44} {value:10.2f} {unit}  {goal}")
