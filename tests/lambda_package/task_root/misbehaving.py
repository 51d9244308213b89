"""A function that does what it is told: nothing of ours misbehaves in these ways by itself."""

import threading
from typing import Any


def handler(event: Any, _context: object) -> Any:
    """Hang for ever, give back what no JSON can hold, or give the event back."""
    if event == "hang":
        threading.Event().wait()
    return {1, 2} if event == "no JSON" else event
