"""Slack's token and signing secrets as they are in the secret store now."""

from bot.aws.secrets import Reference, Secrets
from bot.ports import Clock

OVERLAP = 24 * 3600.0
"""Seconds for which a replaced signing secret still opens: nobody may be locked out by a rotation, and
nobody who stole the old secret let in for ever."""


class StoredToken:
    """The bot token (`bot.slack.web.Tokens`). Raises Unavailable, or SecretMissing, which is one too."""

    def __init__(self, secrets: Secrets, reference: Reference) -> None:
        self._secrets = secrets
        self._reference = reference

    def current(self) -> str:
        return self._secrets.need(self._reference).value

    def refresh(self) -> str:
        """The token as it is now, after Slack refused the one we had; looks once a minute."""
        self._secrets.drop()
        return self.current()


class StoredSigningSecrets:
    """The signing secrets that open (`bot.slack.receiver.SigningSecrets`): the current one, and the previous
    one for a day after the current one was put there. Raises like StoredToken.
    """

    def __init__(
        self, secrets: Secrets, *, current: Reference, previous: Reference | None = None, clock: Clock
    ) -> None:
        self._secrets = secrets
        self._current = current
        self._previous = previous or current.previous
        self._clock = clock

    def current(self) -> tuple[str, ...]:
        newest = self._secrets.need(self._current)
        before = self._secrets.find(self._previous)
        if before is None or self._clock.now() > newest.changed_at + OVERLAP:
            return (newest.value,)
        return (newest.value, before.value)

    def refresh(self) -> tuple[str, ...]:
        """The secrets as they are now, after a signature that none of ours made. Looks once a minute."""
        self._secrets.drop()
        return self.current()
