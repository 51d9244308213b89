"""Secrets from SSM Parameter Store and Secrets Manager, kept in the process for a while.

A setting holds a reference and never a value, so that environment and templates stay free of secrets:
`ssm:/imagine/dev/slack-bot-token`, `secretsmanager:imagine/dev` or an ARN of Secrets Manager, each also with
`#key` for one text of a secret that is a JSON object.
"""

import json
import math
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from bot.aws.clients import Clients
from bot.aws.peer_errors import peer_errors
from bot.aws.second_try import read
from bot.domain.errors import Ambiguous, ConfigError, PeerError, Rejected, Unavailable
from bot.ports import Clock, Journal

MAX_AGE = 15 * 60.0
"""Seconds for which a value is taken as it is."""

RETRY_AFTER = 10.0
"""Seconds until the next look after one that failed or found too little."""

DROP_EVERY = 60.0
"""Seconds between two looks that callers ask for: a revoked token must not cost a look per request."""

MOST_PARAMETERS = 10
"""Names that GetParameters takes at once."""

_NAME = r"(?P<name>[A-Za-z0-9/_+=.@-]{1,1011})"
_ARN = r"(?P<arn>arn:[a-z-]+:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]{1,520})"
_REFERENCE = re.compile(
    rf"(?:(?P<store>ssm|secretsmanager):{_NAME}|{_ARN})(?:#(?P<key>[A-Za-z0-9_.-]{{1,128}}))?"
)


class Store(StrEnum):
    """Where a secret lies."""

    SSM = "ssm"
    SECRETS_MANAGER = "secretsmanager"


class Stage(StrEnum):
    """Which version of a secret, in the words of Secrets Manager."""

    CURRENT = "AWSCURRENT"
    PREVIOUS = "AWSPREVIOUS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """Where a secret lies, safe to print. `key` names one text of a secret that is a JSON object."""

    store: Store
    name: str
    key: str | None = None
    stage: Stage = Stage.CURRENT

    @classmethod
    def parse(cls, text: str, *, setting: str) -> "Reference":
        """Raises ConfigError naming the setting but not the text, which may be a misplaced secret."""
        match = _REFERENCE.fullmatch(text)
        if match is None:
            raise ConfigError(
                f"{setting} holds no reference to a secret; write ssm:/name, secretsmanager:name, "
                "secretsmanager:name#key or the ARN of a secret"
            )
        store = Store(match["store"] or Store.SECRETS_MANAGER)
        return cls(store=store, name=match["arn"] or match["name"], key=match["key"])

    @property
    def previous(self) -> "Reference":
        """What a rotation replaced: the version AWSPREVIOUS, or the parameter `<name>-old`."""
        if self.store is Store.SSM:
            return replace(self, name=f"{self.name}-old")
        return replace(self, stage=Stage.PREVIOUS)

    @property
    def whole(self) -> "Reference":
        """The secret of which this is a part."""
        return replace(self, key=None)

    def __str__(self) -> str:
        part = f"#{self.key}" if self.key else ""
        version = f" ({self.stage})" if self.stage is Stage.PREVIOUS else ""
        return f"{self.store}:{self.name}{part}{version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """`changed_at` is when this value was put there, seconds since the epoch."""

    value: str = field(repr=False)
    changed_at: float


class SecretMissing(Unavailable):
    """Nobody has put the secret there yet: the service is not configured. Nothing was done."""

    def __init__(self, reference: Reference) -> None:
        super().__init__("secret_missing")
        self.reference = reference

    def __str__(self) -> str:
        return f"secret_missing: {self.reference} holds no text yet"


Found = Mapping[Reference, Secret]


class Secrets:
    """The secrets that `needed` and `optional` name, read together when one is asked for: one GetParameters
    call for all in SSM (ten at a time), one GetSecretValue for each secret and stage in Secrets Manager.

    Values are read again after `max_age` seconds, at the next use. A reading that fails leaves the values as
    they are and is told to the journal; a secret that was removed is gone. Safe for any number of threads.
    """

    def __init__(
        self,
        clients: Clients,
        *,
        needed: Sequence[Reference],
        optional: Sequence[Reference] = (),
        clock: Clock,
        journal: Journal,
        max_age: float = MAX_AGE,
    ) -> None:
        self._clients = clients
        self._needed = tuple(needed)
        self._references = (*needed, *optional)
        self._clock = clock
        self._journal = journal
        self._max_age = max_age
        self._turn = threading.Lock()
        self._held: Found = {}
        self._good_until = self._dropped_at = -math.inf

    def need(self, reference: Reference) -> Secret:
        """Raises SecretMissing where there is none, and Unavailable when nothing could be read so far."""
        secret = self.find(reference)
        if secret is None:
            raise SecretMissing(reference)
        return secret

    def find(self, reference: Reference) -> Secret | None:
        """Like `need`, but None for a secret that is not there."""
        with self._turn:
            now = self._clock.now()
            if now >= self._good_until:
                self._look(now)
            return self._held.get(reference)

    def drop(self) -> None:
        """Look again at the next use, because somebody refused a value. Counts once a minute."""
        with self._turn:
            now = self._clock.now()
            if now - self._dropped_at >= DROP_EVERY:
                self._dropped_at, self._good_until = now, -math.inf

    def _look(self, now: float) -> None:
        try:
            self._held = read(self._read)
        except PeerError as error:
            self._journal.event("secrets_not_read", code=error.code)
            if not self._held:
                raise Unavailable(error.code) from error
            self._good_until = now + RETRY_AFTER
            return
        missing = [reference for reference in self._needed if reference not in self._held]
        for reference in missing:
            self._journal.event("secret_missing", reference=str(reference))
        self._good_until = now + (RETRY_AFTER if missing else self._max_age)

    def _read(self) -> Found:
        try:
            whole = {**self._parameters(), **self._versions()}
        except KeyError as absent:
            raise Ambiguous("garbled_reply") from absent
        parts = ((each, _part(whole.get(each.whole), each.key)) for each in self._references)
        return {reference: secret for reference, secret in parts if secret is not None}

    def _parameters(self) -> Found:
        """SSM leaves out what it does not have."""
        wanted = {each.name: each.whole for each in self._references if each.store is Store.SSM}
        found: dict[Reference, Secret] = {}
        for names in _in_lots(sorted(wanted)):
            with peer_errors():
                reply = self._clients["ssm"].get_parameters(Names=names, WithDecryption=True)
            for parameter in reply["Parameters"]:
                changed_at = parameter["LastModifiedDate"].timestamp()
                found[wanted[parameter["Name"]]] = Secret(value=parameter["Value"], changed_at=changed_at)
        return found

    def _versions(self) -> Found:
        wanted = {each.whole for each in self._references if each.store is Store.SECRETS_MANAGER}
        found = ((reference, self._version(reference)) for reference in sorted(wanted, key=str))
        return {reference: secret for reference, secret in found if secret is not None}

    def _version(self, reference: Reference) -> Secret | None:
        client = self._clients["secretsmanager"]
        try:
            with peer_errors():
                found = client.get_secret_value(SecretId=reference.name, VersionStage=reference.stage)
        except Rejected as no:
            if no.code == "ResourceNotFoundException":
                return None
            raise
        return Secret(value=found.get("SecretString", ""), changed_at=found["CreatedDate"].timestamp())


def _part(whole: Secret | None, key: str | None) -> Secret | None:
    """The secret, or the text `key` of it, without an editor's line end; None for what holds no text."""
    if whole is None:
        return None
    text = (whole.value if key is None else _text_at(whole.value, key)).strip()
    return replace(whole, value=text) if text else None


def _text_at(document: str, key: str) -> str:
    try:
        found = json.loads(document)
    except (ValueError, RecursionError):
        return ""
    text = found.get(key) if isinstance(found, dict) else None
    return text if isinstance(text, str) else ""


def _in_lots(names: list[str]) -> Iterator[list[str]]:
    return (names[start : start + MOST_PARAMETERS] for start in range(0, len(names), MOST_PARAMETERS))
