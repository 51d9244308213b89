"""Run a command so that it, and everything it starts, ends with whoever asked for it.

Run as a script, as the leader of a process group: `leash.py COMMAND…`. Its standard input is a pipe that
nobody writes to; when its other end closes, however its owner ended, the whole group is killed. Exits with
the command's status.
"""

import os
import signal
import subprocess
import sys
import threading


def main(command: list[str]) -> int:
    # A handler rather than SIG_IGN, which the command would inherit: the group's SIGTERM is for the command.
    signal.signal(signal.SIGTERM, lambda _number, _frame: None)
    threading.Thread(target=_end_with_owner, daemon=True).start()
    return subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode  # noqa: S603 (our own)


def _end_with_owner() -> None:
    os.read(0, 1)  # not sys.stdin, whose lock would be held when the interpreter ends
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
