"""Walls around this process, put up by itself: limits of the system, no network, no other programs."""

import ctypes
import resource
import sys
from typing import Any

CLONE_NEWNET = 0x40000000
CLONE_NEWUSER = 0x10000000
REFUSED = (
    "socket.",
    "subprocess.",
    "ctypes.",
    "shutil.",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.spawn",
    "os.system",
    "os.remove",
    "os.rename",
    "os.link",
    "os.symlink",
    "os.chmod",
    "os.kill",
    "pty.",
)
"""Beginnings of the names of Python's audit events that nothing here needs."""


class Refused(Exception):
    """The confined process tried what it may not."""


def limit(*, memory: int, seconds: int, file_size: int) -> None:
    """Bytes of address space, seconds of CPU, bytes of the largest file written; no core dump."""
    wanted = (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, file_size),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 64),
    )
    for which, most in wanted:
        _, ceiling = resource.getrlimit(which)
        allowed = most if ceiling == resource.RLIM_INFINITY else min(most, ceiling)
        resource.setrlimit(which, (allowed, allowed))


def leave_the_network() -> str:
    """`namespace`: the system gave this process an empty network. `blocked`: only Python refuses it sockets.

    Before any thread is started, as the kernel asks for it.
    """
    if sys.platform != "linux":
        return "blocked"
    libc = ctypes.CDLL(None, use_errno=True)
    for flags in (CLONE_NEWNET, CLONE_NEWNET | CLONE_NEWUSER):
        if libc.unshare(flags) == 0:
            return "namespace"
    return "blocked"


def refuse_the_rest() -> None:
    """Sockets, programs, other files for writing: an audit hook, which cannot be taken off again."""
    sys.addaudithook(_judge)


def _judge(event: str, arguments: tuple[Any, ...]) -> None:
    if event.startswith(REFUSED):
        raise Refused(event)
    if event == "open" and _writes(arguments):
        raise Refused(f"open {arguments[0]!r} for writing")


def _writes(arguments: tuple[Any, ...]) -> bool:
    mode, flags = arguments[1], arguments[2]
    return (isinstance(mode, str) and not set(mode).isdisjoint("wax+")) or bool(flags & 0b11)
