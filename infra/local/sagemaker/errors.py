"""What the stand-in refuses, in AWS's shapes."""


class Refusal(Exception):
    """An error reply: AWS's code, its HTTP status and a sentence."""

    def __init__(self, code: str, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


class InvocationFailed(Exception):
    """An invocation that ends in a failure. `reason` is the notice's, `body` the model's own answer."""

    def __init__(self, reason: str, *, body: bytes | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.body = body
