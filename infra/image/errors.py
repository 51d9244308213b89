"""What can stop work on an image; each sentence holds the fix."""

from bot.domain.errors import BotError


class ImageError(BotError):
    """Base of the tree."""


class NoEngine(ImageError):
    """Nothing on this machine builds images."""


class BuildFailed(ImageError):
    """The engine or CodeBuild said why."""


class DrewNothing(ImageError):
    """The image runs, or does not, and draws no picture."""


class NoImage(ImageError):
    """The registry holds no such image."""
