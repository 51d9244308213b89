"""Where in Slack a job lives, as the parts of its address."""

import re

from bot.domain.job import Address, Job, SinkKind

CHANNEL = "channel_id"
THREAD = "thread_ts"
USER = "user_id"
NAME = "user_name"
RESPONSE_URL = "response_url"

MESSAGE_LINK = re.compile(r"https://[^/]+/archives/[A-Z0-9]+/p([0-9]{10})([0-9]{6})(?:\?.*)?", re.IGNORECASE)
"""What "Copy link" gives: the message's ts without its dot."""


def address(
    *,
    channel: str,
    user: str,
    name: str | None = None,
    thread: str | None = None,
    response_url: str | None = None,
) -> Address:
    """The address of a card in a channel, or in a thread when `thread` (the parent's ts) is given.

    `name` is the requester's, for cards that name a person without notifying them.
    """
    parts = {CHANNEL: channel, USER: user, NAME: name, THREAD: thread, RESPONSE_URL: response_url}
    return Address(kind=SinkKind.SLACK_THREAD, parts={key: part for key, part in parts.items() if part})


def channel_of(job: Job) -> str:
    return job.sink.parts[CHANNEL]


def name_of(job: Job) -> str | None:
    return job.sink.parts.get(NAME)


def thread_of(job: Job) -> str | None:
    """The thread the card was asked into; None for a card of its own in the channel."""
    return job.sink.parts.get(THREAD)


def replies_to(job: Job) -> str | None:
    """The parent under which pictures go: never a reply's own ts, which Slack would not thread by."""
    return thread_of(job) or job.announced_ref


def response_url_of(job: Job) -> str | None:
    return job.sink.parts.get(RESPONSE_URL)


def ts_of_link(text: str) -> str | None:
    """The ts of the message a link points to; None when the text is no such link."""
    match = MESSAGE_LINK.fullmatch(text)
    return f"{match[1]}.{match[2]}" if match else None
