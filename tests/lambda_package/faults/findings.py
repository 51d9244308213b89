"""What there is to see where a scenario did not end as it should: rows, queue and journal, no prompts."""

import json
from collections.abc import Iterable

from bot.domain.job import Job, state_of
from tests.lambda_package.faults.on_loopback import OnLoopback

HIDDEN = frozenset({"request", "sink", "person", "result", "held", "notes"})
LINES = 80


def findings(bot: OnLoopback, jobs: Iterable[Job]) -> str:
    """A page of text."""
    rows = [f"{state_of(job)} {_facts(job)}" for job in jobs]
    journal = bot.log.splitlines()[-LINES:]
    return "\n".join(["rows:", *rows, f"queue: {bot.queue_depth()}", "journal:", *journal])


def _facts(job: Job) -> str:
    return json.dumps({name: told for name, told in job.to_json().items() if told and name not in HIDDEN})
