"""`/ping` and `/invocations` over any engine: the request schema, the queue, the replies and their errors."""
