"""Slack's token and signing secret of a stage, where the functions look for them (docs/settings.md)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from botocore.exceptions import ClientError

from bot.aws.clients import ServiceClients
from bot.aws.secrets import Reference, Store
from infra.operating.errors import NotASecret


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A secret by the last part of its name. `shape` is what Slack's look like, `words` say it."""

    name: str
    shape: re.Pattern[str]
    words: str
    where: str
    overlaps: bool = False
    """Whether the one it replaces goes on being accepted for a day."""


KINDS = (
    Kind(
        name="slack-bot-token",
        shape=re.compile(r"xox[be](\.xox[bp])?-[A-Za-z0-9-]{10,250}"),
        words="begins with xoxb-",
        where='api.slack.com/apps, "OAuth & Permissions"',
    ),
    Kind(
        name="slack-signing-secret",
        shape=re.compile(r"[0-9a-f]{32}"),
        words="is 32 of the characters 0-9 and a-f",
        where='api.slack.com/apps, "Basic Information"',
        overlaps=True,
    ),
)


class Change(StrEnum):
    """What `put` did."""

    MADE = "made"
    REPLACED = "replaced"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A secret without its value. `changed_at` is None where there is none."""

    reference: str
    changed_at: datetime | None


def kind_named(name: str) -> Kind:
    """Raises NotASecret for a name that no function reads."""
    for kind in KINDS:
        if kind.name == name:
            return kind
    raise NotASecret(f"no function reads a secret of that name; there are {', '.join(names())}")


def names() -> tuple[str, ...]:
    """Of every secret, as they are typed."""
    return tuple(kind.name for kind in KINDS)


def check(kind: Kind, value: str) -> str:
    """The value without blanks around it. Raises NotASecret, which says nothing of the value."""
    stripped = value.strip()
    if not kind.shape.fullmatch(stripped):
        raise NotASecret(f"this is no {kind.name}: one {kind.words}. Copy it from {kind.where}")
    return stripped


def reference_of(kind: Kind, *, stage: str, store: Store) -> Reference:
    """Where it lies by default; SLACK_…_REF of the functions names the place."""
    folder = "/imagine" if store is Store.SSM else "imagine"
    return Reference(store=store, name=f"{folder}/{stage}/{kind.name}")


class SecretStore:
    """Writes to Parameter Store (SecureString) or Secrets Manager. Values leave through `put` alone."""

    def __init__(self, clients: ServiceClients) -> None:
        self._clients = clients

    def put(self, reference: Reference, value: str, *, overlaps: bool = False) -> Change:
        """Store it. With `overlaps` the one it replaces is kept where the functions look for the former one.

        Killed anywhere, the same call again ends as if it had never been interrupted.
        """
        if reference.store is Store.SECRETS_MANAGER:
            return self._put_version(reference, value)
        before = self._parameter(reference.name)
        if before == value:
            return Change.UNCHANGED
        if overlaps and before is not None:
            self._put_parameter(reference.previous.name, before)
        self._put_parameter(reference.name, value)
        return Change.MADE if before is None else Change.REPLACED

    def entries(self, references: list[Reference]) -> Iterator[Entry]:
        """Each with the date of its last change; nothing is decrypted."""
        for reference in references:
            moment = (
                self._parameter_date(reference)
                if reference.store is Store.SSM
                else self._version_date(reference)
            )
            yield Entry(reference=str(reference), changed_at=moment)

    def _put_parameter(self, name: str, value: str) -> None:
        self._clients["ssm"].put_parameter(Name=name, Value=value, Type="SecureString", Overwrite=True)

    def _parameter(self, name: str) -> str | None:
        told = self._clients["ssm"].get_parameters(Names=[name], WithDecryption=True)["Parameters"]
        return str(told[0]["Value"]) if told else None

    def _parameter_date(self, reference: Reference) -> datetime | None:
        told = self._clients["ssm"].get_parameters(Names=[reference.name], WithDecryption=False)["Parameters"]
        moment: datetime | None = told[0]["LastModifiedDate"] if told else None
        return moment

    def _put_version(self, reference: Reference, value: str) -> Change:
        """Secrets Manager itself keeps the former one as AWSPREVIOUS."""
        client = self._clients["secretsmanager"]
        try:
            before = client.get_secret_value(SecretId=reference.name)["SecretString"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
            client.create_secret(Name=reference.name, SecretString=value)
            return Change.MADE
        if before == value:
            return Change.UNCHANGED
        client.put_secret_value(SecretId=reference.name, SecretString=value)
        return Change.REPLACED

    def _version_date(self, reference: Reference) -> datetime | None:
        try:
            told = self._clients["secretsmanager"].describe_secret(SecretId=reference.name)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
            return None
        moment: datetime | None = told.get("LastChangedDate")
        return moment
