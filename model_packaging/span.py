"""Some bytes of an open file as the body of a request: they are read while they are sent."""

from io import SEEK_CUR, SEEK_END, SEEK_SET

from model_packaging.digests import STEP, read_into


class Span:
    """`length` bytes from `start`, of which no more than a core's cache holds are ever in memory.

    An HTTP client asks for 16 KiB at a time and sends what it gets. So small a step costs more than to send
    it, and therefore `read` gives a whole one, whatever is asked for.
    """

    def __init__(self, descriptor: int, start: int, length: int) -> None:
        self._descriptor = descriptor
        self._start = start
        self._length = length
        self._at = 0
        self._room = memoryview(bytearray(min(length, STEP)))

    def __len__(self) -> int:
        return self._length

    def read(self, amount: int = -1) -> bytes | memoryview:
        """The next step, good until the next one is read; all that is left, copied, for a negative amount.

        Raises `Unreadable` where the file ends earlier.
        """
        if amount < 0:
            return b"".join(bytes(step) for step in iter(self._step, b""))
        return self._step()

    def _step(self) -> memoryview:
        step = self._room[: min(self._length - self._at, STEP)]
        read_into(self._descriptor, step, self._start + self._at)
        self._at += len(step)
        return step

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        """For a request that is sent again."""
        self._at = offset + {SEEK_SET: 0, SEEK_CUR: self._at, SEEK_END: self._length}[whence]
        return self._at

    def tell(self) -> int:
        return self._at
