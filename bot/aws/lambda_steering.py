"""The way to the admin function: an asynchronous invocation, the port Steering on AWS.

Lambda keeps the event, tries it again and puts what fails for ever into the dead-letter queue (Lambda guide,
"Invoking a function asynchronously"). Waiting costs nothing, unlike a queue of its own, which is polled.
"""

import json

from bot.aws.clients import Clients
from bot.aws.peer_errors import peer_errors
from bot.domain.steering import Asked


class LambdaSteering:
    """The port Steering. The role needs lambda:InvokeFunction on `function`, and nothing else."""

    def __init__(self, clients: Clients, *, function: str) -> None:
        self._clients = clients
        self._function = function

    def ask(self, asked: Asked) -> None:
        """See Steering.ask. One call, sent once: whoever asks knows whether it may be repeated."""
        with peer_errors():
            self._clients["lambda"].invoke(
                FunctionName=self._function,
                InvocationType="Event",
                Payload=json.dumps(asked.payload).encode(),
            )
