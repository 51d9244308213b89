"""What may be read outside the process: our own log lines, and nothing that a person wrote.

Libraries print, warn and log, and quote prompts in it (a tokenizer that truncates, a kernel that fails). So
once the server starts, everything but our own log is cut off from the process's standard output and error:
what Python prints, what C code writes, what subprocesses inherit. Other loggers' records keep their place and
lose their words; so do warnings and uncaught exceptions.
"""

import faulthandler
import logging
import os
import sys
import threading
import traceback
import warnings
from types import TracebackType
from typing import TextIO

OWN = "container"
"""Loggers of this package and below it write messages that hold numbers and names of ours only."""

log = logging.getLogger("container.serving")


def guard_output() -> None:
    """From here on only our log reaches standard error, and nothing at all standard output."""
    stream = _cut_off()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Withholding("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger(OWN).setLevel(logging.INFO)
    faulthandler.enable(stream)  # names functions and lines, never values
    warnings.showwarning = _show_warning
    sys.excepthook = _show_uncaught
    threading.excepthook = lambda uncaught: log_crash(uncaught.exc_value, where=uncaught.thread)


def log_crash(error: BaseException | None, *, where: threading.Thread | None = None) -> None:
    """Log the class and the place; the message may quote a prompt and stays out."""
    prefix = f"thread {where.name} ended" if where else "engine crash"
    log.error("%s: %s", prefix, _described(error))


def _cut_off() -> TextIO:
    """Standard error as it was, for us alone."""
    sys.stdout.flush()
    sys.stderr.flush()
    stream = os.fdopen(os.dup(2), "w", buffering=1, encoding="utf-8", errors="backslashreplace")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    return stream


class _Withholding(logging.Formatter):
    """Other loggers' records are reduced to who spoke and where, and to the class of their exception."""

    def format(self, record: logging.LogRecord) -> str:
        if record.name == OWN or record.name.startswith(f"{OWN}."):
            return super().format(record)
        said = f"{record.name}, {record.filename}:{record.lineno}: words withheld"
        if record.exc_info:
            said += f" ({_described(record.exc_info[1])})"
        return super().format(logging.makeLogRecord({"levelname": record.levelname, "msg": said}))


def _described(error: BaseException | None) -> str:
    frames = traceback.extract_tb(error.__traceback__) if error else []
    place = f" in {frames[-1].name}, {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}"


def _show_warning(  # noqa: PLR0917 (its parameters are given)
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Stands in for `warnings.showwarning`."""
    del message, file, line
    log.warning("%s in %s:%s", category.__name__, filename, lineno)


def _show_uncaught(_kind: type[BaseException], error: BaseException, _trace: TracebackType | None) -> None:
    log.error("the server ended: %s", _described(error))
