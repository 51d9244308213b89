"""Everything that can go wrong between an invocation and its pictures, each with its HTTP status.

Messages may be shown to people and may quote a *name* they asked for (a model, a sampler), never a prompt.
"""

from collections.abc import Sequence
from typing import ClassVar


class ServingError(Exception):
    """Base of the tree. Answered as `{"error": {"code", "message", "field"}}` with `status`."""

    code: ClassVar[str] = "engine_error"
    status: ClassVar[int] = 500

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field


class BadRequest(ServingError):
    """The request cannot be understood or is out of limits; `field` names the culprit."""

    code = "bad_request"
    status = 400


class BodyTooLarge(ServingError):
    """The request body exceeds the server's limit."""

    code = "body_too_large"
    status = 413


class UnknownName(ServingError):
    """A model, LoRA, sampler or upscaler that does not exist here.

    The message and `nearest` hold up to three close names.
    """

    code = "unknown_name"
    status = 422

    def __init__(self, kind: str, name: str, *, nearest: Sequence[str], field: str | None = None) -> None:
        offer = f"; nearest: {', '.join(nearest)}" if nearest else ""
        super().__init__(f"unknown {kind} {name[:80]!r}{offer}", field=field)
        self.nearest = tuple(nearest)


class NotSupported(ServingError):
    """Understood, but this engine cannot do it; the message names both."""

    code = "not_supported"
    status = 422


class Cancelled(ServingError):
    """Stopped on request: by the control route or because the client went away."""

    code = "cancelled"
    status = 499  # nginx's number for "client closed request"; there is no standard one


class EngineCrash(ServingError):
    """The engine raised, or answered something that is not pictures of the size asked for."""

    code = "engine_crash"
    status = 500


class NotReady(ServingError):
    """No picture has been generated since start, or the server is stopping."""

    code = "not_ready"
    status = 503


class Busy(ServingError):
    """More requests wait than the server keeps."""

    code = "busy"
    status = 503


class Stuck(ServingError):
    """The engine has not made a step for longer than the server waits."""

    code = "stuck"
    status = 504


class OutOfMemory(ServingError):
    """The picture does not fit the device's memory."""

    code = "out_of_memory"
    status = 507
