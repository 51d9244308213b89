"""How many messages lie in the dead-letter queues, as lines for an admin."""

from collections.abc import Iterable

from bot.aws.clients import Clients
from bot.aws.peer_errors import peer_errors
from bot.domain import messages
from bot.domain.errors import PeerError

COUNT = "ApproximateNumberOfMessages"


def dead_letters(clients: Clients, urls: Iterable[str]) -> list[str]:
    """A line for each queue. The role needs sqs:GetQueueAttributes; what cannot be read is a line as well."""
    return [_line(clients, url) for url in urls]


def _line(clients: Clients, url: str) -> str:
    name = url.rsplit("/", 1)[-1]
    try:
        with peer_errors():
            reply = clients["sqs"].get_queue_attributes(QueueUrl=url, AttributeNames=[COUNT])
    except PeerError as no:
        return messages.doctor("unread", what=name, code=no.code)
    count = int(reply["Attributes"][COUNT])
    return (
        messages.doctor("dead", count=count, queue=url) if count else messages.doctor("no_dead", queue=name)
    )
