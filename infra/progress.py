"""One status line on a terminal, plain lines elsewhere, nothing for programs."""

from typing import TextIO

from bot.domain.job import State

BAR = 24
WORDS = {
    State.ACCEPTED: "accepted",
    State.ANNOUNCED: "waiting",
    State.ADMITTED: "starting",
    State.SUBMITTED: "drawing",
    State.HELD: "held for review",
    State.RESOLVED: "saving",
    State.DELIVERING: "saving",
}


class Line:
    """`show` may be called as often as you like: it prints only what changed."""

    def __init__(self, stream: TextIO, *, silent: bool = False) -> None:
        self._stream = stream
        self._silent = silent
        self._is_terminal = stream.isatty()
        self._last = ""
        self._told: list[str] = []

    def show(self, state: State, steps: tuple[int, int] | None) -> None:
        """The state, with a bar of the steps done on a terminal. A job never goes back: nor does this."""
        word = WORDS.get(state, state.value)
        if word in self._told[:-1]:
            return
        self._told += [word] if word not in self._told else []
        text = f"{word} {bar(*steps)}" if steps and steps[1] and self._is_terminal else word
        if text == self._last or self._silent:
            return
        self._last = text
        self._stream.write(f"\r\x1b[2K{text}" if self._is_terminal else f"{text}\n")
        self._stream.flush()

    def say(self, text: str) -> None:
        """A line that stays."""
        if not self._silent:
            self._stream.write(f"{text}\n")

    def end(self) -> None:
        """Clear the status line."""
        if self._is_terminal and not self._silent:
            self._stream.write("\r\x1b[2K")
            self._stream.flush()


def bar(done: int, whole: int) -> str:
    """`[######      ] 6/12`"""
    return f"{bar_of(done, whole)} {done}/{whole}"


def bar_of(done: int, whole: int) -> str:
    """`[######      ]`"""
    filled = round(BAR * min(done, whole) / whole) if whole else BAR
    return f"[{'#' * filled}{' ' * (BAR - filled)}]"
