"""Where in Slack a job lives, as the parts of its address."""

from bot.domain.job import Address, Job, SinkKind

CHANNEL = "channel_id"
THREAD = "thread_ts"
USER = "user_id"
RESPONSE_URL = "response_url"


def address(
    *, channel: str, user: str, thread: str | None = None, response_url: str | None = None
) -> Address:
    """The address of a card in a channel, or in a thread when `thread` (the parent's ts) is given."""
    parts = {CHANNEL: channel, USER: user, THREAD: thread, RESPONSE_URL: response_url}
    return Address(kind=SinkKind.SLACK_THREAD, parts={name: value for name, value in parts.items() if value})


def channel_of(job: Job) -> str:
    return job.sink.parts[CHANNEL]


def thread_of(job: Job) -> str | None:
    """The thread the card was asked into; None for a card of its own in the channel."""
    return job.sink.parts.get(THREAD)


def replies_to(job: Job) -> str | None:
    """The parent under which pictures go: never a reply's own ts, which Slack would not thread by."""
    return thread_of(job) or job.announced_ref


def response_url_of(job: Job) -> str | None:
    return job.sink.parts.get(RESPONSE_URL)
