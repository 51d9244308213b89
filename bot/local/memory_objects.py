"""Objects in memory, for tests and the simulator."""

import threading

from bot.domain.errors import Rejected
from bot.domain.object_keys import MOST_LISTED, check_key, check_prefix


class MemoryObjects:
    """The port Objects."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._bodies: dict[str, bytes] = {}

    def put(self, key: str, body: bytes) -> None:
        """See Objects.put. Raises Rejected("already_exists") for other bytes under a used key."""
        check_key(key)
        with self._turn:
            if self._bodies.setdefault(key, bytes(body)) != body:
                raise Rejected("already_exists")

    def get(self, key: str) -> bytes | None:
        """See Objects.get."""
        check_key(key)
        with self._turn:
            return self._bodies.get(key)

    def list(self, prefix: str) -> tuple[str, ...]:
        """See Objects.list."""
        check_prefix(prefix)
        with self._turn:
            return tuple(sorted(key for key in self._bodies if key.startswith(prefix))[:MOST_LISTED])

    def delete(self, key: str) -> None:
        """See Objects.delete."""
        check_key(key)
        with self._turn:
            self._bodies.pop(key, None)
