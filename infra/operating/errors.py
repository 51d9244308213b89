"""What can stop work on a deployed stage; nothing was done, unless the sentence says so.

OperatingError
├── NotASecret      a value of another shape than Slack's
├── NoSuchLog       no function of that name writes logs
├── NoSuchQueue     no dead-letter queue of that name
├── NoSuchJob       no row, or several, begin with that id
├── WrongMoment     the job's row does not allow it now
└── StillInUse      something of the stage would be left without its service
"""

from bot.domain.errors import BotError


class OperatingError(BotError):
    """Base of the tree."""


class NotASecret(OperatingError):
    """The sentence names the kind and its shape, never the value."""


class NoSuchLog(OperatingError):
    """The sentence lists those that there are."""


class NoSuchQueue(OperatingError):
    """The sentence lists those that there are."""


class NoSuchJob(OperatingError):
    """Jobs are forgotten after the retention time."""


class WrongMoment(OperatingError):
    """Doing it could show a person two outcomes, or has nothing to change."""


class StillInUse(OperatingError):
    """The sentence holds the command that ends the use."""
