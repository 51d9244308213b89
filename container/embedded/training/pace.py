"""Chooses how many threads to train with while other programs come and go on the same cores.

Two threads that wait for each other are slower than one as soon as another program holds one of the cores.
"""

from __future__ import annotations

import time

import torch

_PERIOD, _TRIAL = 60, 3
"""Steps between two comparisons, and steps tried per thread count."""


class Pace:
    """Call `step()` once per training step; it sets torch's thread count and measures the time per step."""

    def __init__(self, threads: int) -> None:
        self._choices = (threads, 1) if threads > 1 else (1,)
        self._spent = dict.fromkeys(self._choices, 0.0)
        self._count = 0
        self._began = self._last = time.monotonic()

    def step(self) -> None:
        """Note that a step begins."""
        now = time.monotonic()
        trial = self._count % _PERIOD
        trials = _TRIAL * len(self._choices)
        if 0 < trial <= trials:
            self._spent[self._choices[(trial - 1) // _TRIAL]] += now - self._last
        if trial < trials:
            torch.set_num_threads(self._choices[trial // _TRIAL])
        elif trial == trials:
            torch.set_num_threads(min(self._choices, key=lambda threads: self._spent[threads]))
            self._spent = dict.fromkeys(self._choices, 0.0)
        self._last = now
        self._count += 1

    def report(self) -> str:
        """Average seconds per step so far, and the threads in use."""
        pace = (self._last - self._began) / max(1, self._count - 1)
        return f"{pace:.2f} s/step, {torch.get_num_threads()} threads"
