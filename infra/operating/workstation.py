"""A person's machine as one more writer of a stage's rows, with the deployed settings."""

import dataclasses
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from botocore.exceptions import ClientError

from bot.aws.clients import Clients, ServiceClients
from bot.aws.journal import LambdaJournal
from bot.bootstrap_aws import core_of, deployment
from bot.config import load
from bot.domain.times import ONE_MACHINE
from bot.local.database import Database
from bot.local.folder_objects import FolderObjects
from bot.local.http_endpoint import HttpEndpoint
from bot.local.inference_server import InferenceServer
from bot.local.journal import LineJournal
from bot.local.queue import InProcessQueue
from bot.local.sqlite_cells import SqliteCells
from bot.local.sqlite_jobs import SqliteJobs
from bot.local.system import SecretIds, SystemClock, SystemRandomness
from bot.local.word_rules import WordRules
from bot.policy import policy_of
from bot.services.core import Core, Process
from infra.endpoint.errors import NotDeployed
from infra.operating.errors import OperatingError

SETTINGS_OF = "worker"
"""Every function has the whole environment; this one's is read."""


def deployed_core(clients: ServiceClients, *, stage: str) -> Core:
    """The core of a deployed stage, without a place to show anything. Raises NotDeployed.

    Its journal says nothing: the command itself tells what it did.
    """
    environ = _environment(clients, stage)
    ours = cast("Clients", clients)  # the adapters only ask for a client by its name
    deployed = deployment("workstation", environ, clients=ours)
    silent = LambdaJournal(service=f"imagine-{stage}", function="workstation", stream=io.StringIO())
    return core_of(dataclasses.replace(deployed, journal=silent), sinks={})


@contextmanager
def local_core(home: Path) -> Iterator[Core]:
    """The rows of one machine, also while its bot runs: a write is fenced by the row's version.

    The running bot finds what was changed by the row's timer. Raises OperatingError where there are no rows.
    """
    if not (home / "jobs.sqlite").is_file():
        raise OperatingError(f"no bot has worked in {home}: there is no jobs.sqlite")
    settings, clock = load(), SystemClock()
    database, objects = Database(home / "jobs.sqlite"), FolderObjects(home / "objects")
    journal = LineJournal(io.StringIO(), clock)
    endpoint = HttpEndpoint(
        InferenceServer(settings["IMAGINE_ENDPOINT_URL"]),
        objects=objects,
        on_settled=lambda _job: None,
        clock=clock,
        journal=journal,
    )
    try:
        yield Core(
            clock=clock,
            ids=SecretIds(),
            randomness=SystemRandomness(),
            jobs=SqliteJobs(database),
            cells=SqliteCells(database),
            objects=objects,
            queue=InProcessQueue(),
            endpoint=endpoint,
            sinks={},
            moderation=WordRules([]),
            journal=journal,
            policy=policy_of(settings, times=ONE_MACHINE),
            process=Process(boot="workstation"),
        )
    finally:
        endpoint.close()
        database.close()


def _environment(clients: ServiceClients, stage: str) -> dict[str, str]:
    name = f"imagine-{stage}-{SETTINGS_OF}"
    try:
        told = clients["lambda"].get_function_configuration(FunctionName=name)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        raise NotDeployed(
            f"stage {stage} is not deployed here; run imagine deploy --stage {stage} first"
        ) from error
    return {key: str(value) for key, value in told.get("Environment", {}).get("Variables", {}).items()}
