"""What is told when a step fails: what the functions logged last, and what AWS refused them."""

from collections.abc import Iterator

from botocore.exceptions import BotoCoreError, ClientError

from infra.rehearsal.rights import roles_of
from infra.rehearsal.stage import Stage

NOISE = ("START ", "END ", "REPORT ", '{"_aws"')
LINES, WIDTH = 4, 300


def facts(stage: Stage) -> Iterator[str]:
    """Lines for whoever has to find the defect. A function that is not there says nothing."""
    try:
        functions = stage.functions
    except (BotoCoreError, ClientError) as error:
        yield f"the emulator does not answer: {error}"
        return
    for name in functions:
        yield from (f"  {name}: {line[:WIDTH]}" for line in _last(stage, name))
    for name in functions:
        yield from (f"  {name} was refused {call}" for call in _refused(stage, name))


def _last(stage: Stage, name: str) -> list[str]:
    try:
        told = [line for line in stage.logs(name) if not line.startswith(NOISE)]
    except (BotoCoreError, ClientError):
        return []
    return told[-LINES:]


def _refused(stage: Stage, name: str) -> list[str]:
    try:
        (role,) = roles_of(stage.clients, [name])
    except (BotoCoreError, ClientError):
        return []
    refused = [entry for entry in stage.region.gateway.record.by(role.key) if entry.status >= 400]
    return [f"{entry.call.action} on {entry.call.resource}: {entry.status}" for entry in refused[-LINES:]]
