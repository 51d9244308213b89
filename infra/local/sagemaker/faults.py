"""Switches that make the endpoint misbehave the way SageMaker and networks do."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(slots=True, kw_only=True)
class Faults:
    """All switches; fresh, the endpoint behaves well. Numbers are used up, one by each request they hit."""

    throttled: int = 0
    """The next requests are refused with ThrottlingException."""
    failed_before: int = 0
    """The next requests get a 503; nothing is enqueued."""
    failed_after: int = 0
    """The next requests are enqueued, and get a 500."""
    dropped_replies: int = 0
    """The next requests are enqueued, and the connection is reset in place of a reply."""
    lost: int = 0
    """The next requests are accepted and never heard of again."""
    garbled_bodies: int = 0
    """The next requests reach the container cut short, so that it refuses them."""
    crashed_engines: int = 0
    """The container answers the next requests with a 500, as ours does when its engine has crashed."""
    duplicated_results: int = 0
    """The next results are written and announced twice."""
    silent_failures: int = 0
    """The next failures have an object and no notice."""
    missing_failure_objects: int = 0
    """The next failures have a notice and no object."""
    reply_seconds: float = 0.0
    """How long every reply takes."""
    output_seconds: float = 0.0
    """How long a result is on its way into the bucket."""
    nameless_failures: bool = False
    """Failure objects are named by a random id alone, without the inference id."""
    expiry_notices: bool = False
    """Requests that expire in the queue are announced as failures (undocumented whether AWS does)."""
    unknown_fields: tuple[str, ...] = ()
    """Request fields that are refused, as by a service older than them."""
    ignored_fields: tuple[str, ...] = ()
    """Request fields that are passed over in silence."""
    _turn: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def take(self, name: str) -> bool:
        """Use up one of a counted fault; False when there is none left."""
        with self._turn:
            left = getattr(self, name)
            setattr(self, name, max(left - 1, 0))
            return bool(left > 0)

    def change(self, switches: Mapping[str, Any]) -> None:
        """Set switches by name, all or none. Raises ValueError naming the one that does not exist or fit."""
        checked = {name: _fitting(name, value) for name, value in switches.items()}
        with self._turn:
            for name, value in checked.items():
                setattr(self, name, value)

    def clear(self) -> None:
        """Back to an endpoint that behaves well."""
        self.change(Faults().told())

    def told(self) -> dict[str, Any]:
        """The switches as they stand, JSON-ready."""
        with self._turn:
            return {name: getattr(self, name) for name in _SWITCHES}


_SWITCHES = {switch.name: switch.default for switch in fields(Faults) if not switch.name.startswith("_")}


def _fitting(name: str, value: Any) -> Any:
    default = _SWITCHES.get(name)
    if name not in _SWITCHES:
        raise ValueError(f"no switch {name}; there are {', '.join(_SWITCHES)}")
    if (
        isinstance(default, tuple)
        and isinstance(value, list | tuple)
        and all(isinstance(v, str) for v in value)
    ):
        return tuple(value)
    if isinstance(default, bool) or isinstance(value, bool):
        fits = isinstance(default, bool) and isinstance(value, bool)
    else:
        fits = isinstance(default, int | float) and isinstance(value, int | float) and value >= 0
    if not fits or (isinstance(default, int) and not isinstance(value, int)):
        raise ValueError(f"switch {name} takes a value like {default!r}, not {value!r}")
    return value
