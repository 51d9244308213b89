"""Bytes under way: a bar with rate and time left on a terminal, nothing elsewhere."""

import threading
import time
from collections.abc import Callable
from typing import TextIO

from infra.progress import bar_of

REDRAW = 0.1
WINDOW = 5.0
MB = 10**6


class Meter:
    """`show` may be called from any thread, as often as you like. `clock` gives seconds that only grow."""

    def __init__(
        self, stream: TextIO, *, silent: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = stream
        self._seen = stream.isatty() and not silent
        self._clock = clock
        self._turn = threading.Lock()
        self._points: list[tuple[float, int]] = []
        self._drawn_at = float("-inf")

    def show(self, done: int, whole: int) -> None:
        """Bytes done and in all."""
        with self._turn:
            now = self._clock()
            self._points = [point for point in self._points if now - point[0] <= WINDOW] + [(now, done)]
            if not self._seen or (now - self._drawn_at < REDRAW and done < whole):
                return
            self._drawn_at = now
            self._stream.write(f"\r\x1b[2K{bar_of(done, whole)} {self._words(done, whole)}")
            self._stream.flush()

    def end(self) -> None:
        """Clear the line."""
        if self._seen:
            self._stream.write("\r\x1b[2K")
            self._stream.flush()

    def _words(self, done: int, whole: int) -> str:
        (began, first), (now, last) = self._points[0], self._points[-1]
        told = f"{done / MB:,.0f} of {whole / MB:,.0f} MB"
        if now <= began or last <= first:
            return told
        rate = (last - first) / (now - began)
        return f"{told}, {rate / MB:,.0f} MB/s, {time_words((whole - done) / rate)} left"


def time_words(seconds: float) -> str:
    """`45 s`, `3 min 20 s`, `2 h 5 min`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def size_words(size: int) -> str:
    """`812 kB`, `151.2 MB`, `6.94 GB`, as disks and AWS count."""
    if size < MB:
        return f"{size / 1000:.0f} kB" if size >= 1000 else f"{size} bytes"
    return f"{size / MB:,.1f} MB" if size < 1000 * MB else f"{size / 10**9:,.2f} GB"
