"""The pictures a function has just stored, kept at hand until it posts them: one download less a picture."""

import threading
from collections import OrderedDict

from bot.ports import Objects

MOST_BYTES = 32 * 1024 * 1024
PICTURES = "images/"


class RecentObjects:
    """The port Objects. A picture that was put here is handed out once from memory, then forgotten.

    Objects never change, so what is at hand is what the store holds; keeping it no longer than needed means
    that a deleted picture does not live on in a warm function. At most 32 MiB, the oldest go first.
    """

    def __init__(self, objects: Objects, *, most_bytes: int = MOST_BYTES) -> None:
        self._objects = objects
        self._most_bytes = most_bytes
        self._turn = threading.Lock()
        self._at_hand: OrderedDict[str, bytes] = OrderedDict()

    def put(self, key: str, body: bytes) -> None:
        """See Objects.put."""
        self._objects.put(key, body)
        if key.startswith(PICTURES):
            self._keep(key, body)

    def get(self, key: str) -> bytes | None:
        """See Objects.get."""
        with self._turn:
            body = self._at_hand.pop(key, None)
        return self._objects.get(key) if body is None else body

    def list(self, prefix: str) -> tuple[str, ...]:
        """See Objects.list."""
        return self._objects.list(prefix)

    def delete(self, key: str) -> None:
        """See Objects.delete."""
        with self._turn:
            self._at_hand.pop(key, None)
        self._objects.delete(key)

    def _keep(self, key: str, body: bytes) -> None:
        with self._turn:
            self._at_hand[key] = body
            while sum(map(len, self._at_hand.values())) > self._most_bytes:
                self._at_hand.popitem(last=False)
