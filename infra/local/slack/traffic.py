"""The log of everything that crossed the workspace's border, for the ``/log`` page and for tests."""

from collections import deque
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Direction = Literal["in", "out"]
SECRET_FIELDS = frozenset({"token", "response_url"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request and its answer. ``in`` is a call by the bot, ``out`` one to it. Tokens are left out."""

    at: float
    direction: Direction
    name: str
    ok: bool
    error: str | None = None
    status: int | None = None
    ms: float = 0.0
    request: dict[str, Any] = field(default_factory=dict)
    response: dict[str, Any] = field(default_factory=dict)


class Traffic:
    def __init__(self, keep: int = 5_000) -> None:
        self._exchanges: deque[Exchange] = deque(maxlen=keep)

    def record(self, exchange: Exchange) -> None:
        self._exchanges.append(exchange)

    def all(self, name: str | None = None) -> list[Exchange]:
        """Every exchange kept, oldest first, or those with this name."""
        return [exchange for exchange in list(self._exchanges) if name in {None, exchange.name}]

    def to_json(self) -> list[dict[str, Any]]:
        return [asdict(exchange) for exchange in list(self._exchanges)]

    def clear(self) -> None:
        self._exchanges.clear()


def without_secrets(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in SECRET_FIELDS}
