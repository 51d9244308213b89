"""`imagine keys create|list|revoke`: who may use the HTTP API, on a deployed stage or on this machine."""

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from bot.aws.clients import Clients
from bot.aws.dynamo_cells import DynamoCells
from bot.domain import messages
from bot.domain.errors import BotError, Refused, Rejected
from bot.http_api import keys
from bot.http_api.keys import LONGEST_NAME, ApiKey
from bot.local.database import Database
from bot.local.sqlite_cells import SqliteCells
from bot.local.system import SecretIds, SystemClock
from bot.ports import Cells
from infra.commands.endpoint.shared import Context, add_options
from infra.commands.outcome import telling
from infra.endpoint.errors import NotDeployed
from infra.endpoint.place import endpoint_name

SEEN_WITHIN = 60
"""Seconds after which every function goes by what was changed (`Times.settings_for`)."""


class KeyRefused(BotError):
    """Nothing was changed."""


def fill(group: argparse.ArgumentParser) -> None:
    """Its verbs."""
    verbs = group.add_subparsers(dest="verb", metavar="VERB", required=True)
    created = verbs.add_parser("create", help="make a key; it is shown once")
    created.add_argument("--name", required=True, help=f"whose it is, at most {LONGEST_NAME} characters")
    created.add_argument(
        "--daily-gpu-seconds",
        type=int,
        metavar="N",
        help="drawing time a UTC day (default: what a person has)",
    )
    listed = verbs.add_parser("list", help="ids, names and dates, no keys")
    revoked = verbs.add_parser("revoke", help=f"it opens nothing within {SEEN_WITHIN} s")
    revoked.add_argument("id", metavar="ID", help="as imagine keys list prints it")
    for parser, run in ((created, run_create), (listed, run_list), (revoked, run_revoke)):
        parser.add_argument("--home", type=Path, metavar="DIR", help="one machine's IMAGINE_HOME, not AWS")
        add_options(parser)
        parser.set_defaults(run=telling(parser.prog.partition(" ")[2], run))


def run_create(arguments: argparse.Namespace) -> int:
    """Make a key and print it, once. Raises KeyRefused."""
    name, seconds = arguments.name.strip(), arguments.daily_gpu_seconds
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise KeyRefused(f"a name has 1 to {LONGEST_NAME} printable characters")
    if seconds is not None and seconds < 1:
        raise KeyRefused("--daily-gpu-seconds is 1 or more; a key that may draw nothing is revoked instead")
    limit = None if seconds is None else seconds * 1000
    with _cells(arguments) as cells, _refusals():
        made = keys.create(cells, name=name, now=SystemClock().now(), daily_limit=limit)
    if arguments.json:
        shown = {"key": made.token, "callback_secret": made.key.callback_secret}
        print(json.dumps({**_row(made.key), **shown}))
        return 0
    print(f"id               {made.key.id}")
    print(f"key              {made.token}")
    print(f"callback secret  {made.key.callback_secret}")
    print("Neither is shown again. Send the key as: Authorization: Bearer KEY")
    return 0


def run_list(arguments: argparse.Namespace) -> int:
    """Print every key there is or was, oldest first."""
    with _cells(arguments) as cells:
        found = keys.listed(cells)
    if arguments.json:
        print(json.dumps([_row(key) for key in found]))
        return 0
    for key in found:
        ended = f"revoked {_day(key.revoked_at)}" if key.revoked_at else "opens"
        limit = "" if key.daily_limit is None else f"  {key.daily_limit // 1000} GPU s a day"
        print(f"{key.id}  made {_day(key.created_at)}  {ended:<18}  {key.name}{limit}")
    if not found:
        print("no keys; make one: imagine keys create --name NAME")
    return 0


def run_revoke(arguments: argparse.Namespace) -> int:
    """The key opens nothing any more; one that was revoked stays so. Raises KeyRefused."""
    with _cells(arguments) as cells, _refusals():
        keys.revoke(cells, arguments.id, now=SystemClock().now())
    if arguments.json:
        print(json.dumps({"id": arguments.id, "outcome": "revoked"}))
        return 0
    print(f"revoked: {arguments.id}; it opens nothing within {SEEN_WITHIN} s")
    print("its jobs go on, but no callback is sent for them any more")
    return 0


@contextmanager
def _cells(arguments: argparse.Namespace) -> Iterator[Cells]:
    """The shared rows, also while the bot runs: every write is fenced."""
    if arguments.home is None:
        clients = cast("Clients", Context(arguments).clients)  # only asked for a client by its name
        with _deployed(arguments.stage):
            yield DynamoCells(clients, table=endpoint_name(arguments.stage), ids=SecretIds())
        return
    database = _database(arguments.home, is_new=arguments.verb == "create")
    try:
        yield SqliteCells(database)
    finally:
        database.close()


def _database(home: Path, *, is_new: bool) -> Database:
    """Of one machine. Raises KeyRefused where there is none, or can be none."""
    file = home / "jobs.sqlite"
    if not is_new and not file.is_file():
        raise KeyRefused(f"no bot has worked in {home}: there is no jobs.sqlite")
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise KeyRefused(f"--home {home} is no folder that can be written ({error.strerror})") from error
    return Database(file)


@contextmanager
def _deployed(stage: str) -> Iterator[None]:
    try:
        yield
    except Rejected as no:
        if no.code != "ResourceNotFoundException":
            raise
        raise NotDeployed(
            f"stage {stage} is not deployed here; run imagine deploy --stage {stage} first"
        ) from no


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except Refused as no:
        raise KeyRefused(messages.refusal(no.code, no.facts)) from no


def _row(key: ApiKey) -> dict[str, str | float | int | None]:
    return {
        "id": key.id,
        "name": key.name,
        "created_at": key.created_at,
        "revoked_at": key.revoked_at,
        "daily_gpu_seconds": None if key.daily_limit is None else key.daily_limit // 1000,
    }


def _day(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, tz=UTC):%Y-%m-%d}"
