"""A network namespace with nothing but loopback, which is what SageMaker's network isolation leaves."""

import ctypes
import fcntl
import os
import socket
import struct

_CLONE_NEWNET = 0x40000000  # sched.h
_SIOCSIFFLAGS = 0x8914  # sockios.h
_IFF_UP = 0x1  # net/if.h


def leave_network() -> None:
    """Cut this process, and all it starts from now on, off every network but its own loopback.

    Raises OSError where it may not (root only). There is no way back.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    request = struct.pack("16sh14x", b"lo", _IFF_UP)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, request)
