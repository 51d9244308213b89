"""What can be wrong with a model file; part of the tree in `container/serving/errors.py`."""

from container.serving.errors import NotSupported


class UnusableFile(NotSupported):
    """A model file that cannot be drawn with. The message says which, why, and the fix if there is one."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name[:80]!r} cannot be used: {reason}")
        self.reason = reason


class BadHeader(Exception):
    """A safetensors header that is not one; says why, not where. Turned into `UnusableFile` by who knows."""
