"""A function that never answers "hang"."""

import threading


def handler(event, _context):
    """Anything else is given back."""
    if event == "hang":
        threading.Event().wait()
    return event
