"""People as this process saw them last, so that accepting from them again needs no read."""

import threading
from collections import OrderedDict

from bot.domain.person import Person

REMEMBERED = 500


class People:
    """At most 500 rows, the least recently seen go first. A stale row only costs the write one more try."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._seen: OrderedDict[tuple[str, str], Person] = OrderedDict()

    def last_seen(self, tenant: str, user: str) -> Person:
        """The row as it was seen last; a fresh one (version 0) for somebody never seen."""
        with self._turn:
            return self._seen.get((tenant, user)) or Person(tenant=tenant, user=user)

    def saw(self, person: Person) -> None:
        """Remember a row that was read or written just now."""
        key = (person.tenant, person.user)
        with self._turn:
            self._seen[key] = person
            self._seen.move_to_end(key)
            while len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)
