"""Processes that die at a chosen call, as Lambda ends one at its time-out or a machine loses power."""

from collections.abc import Callable
from typing import Any


class Killed(BaseException):
    """The process is gone: nothing catches this but the test."""


class Fate:
    """When a process dies. Once dead, every call of a port it was given raises Killed."""

    def __init__(self) -> None:
        self._planned: tuple[str, bool] | None = None
        self._left = 0
        self._dead = False

    def plan(self, call: str, *, after: bool, nth: int) -> None:
        self._planned, self._left = (call, after), nth

    def kill(self) -> None:
        self._dead = True

    def around(self, name: str, port: Any) -> Any:
        return _Mortal(name, port, self)

    def pass_by(self, call: str, *, after: bool) -> None:
        if self._planned == (call, after):
            self._left -= 1
            self._dead = self._dead or self._left <= 0
        if self._dead:
            raise Killed(call)


class _Mortal:
    """A port in front of a port, until its process dies."""

    def __init__(self, name: str, port: Any, fate: Fate) -> None:
        self._name = name
        self._port = port
        self._fate = fate

    def __getattr__(self, method: str) -> Callable[..., Any]:
        def call(*positional: Any, **named: Any) -> Any:
            self._fate.pass_by(f"{self._name}.{method}", after=False)
            answer = getattr(self._port, method)(*positional, **named)
            self._fate.pass_by(f"{self._name}.{method}", after=True)
            return answer

        return call
