"""Use cases against the one-machine adapters in memory; the endpoint and the sink only remember."""

import pytest

from bot.domain.errors import Refused
from bot.domain.job import Address, SinkKind
from bot.http_api.poll_sink import PollSink
from bot.local.database import MEMORY, Database
from bot.local.journal import ListJournal
from bot.local.memory_objects import MemoryObjects
from bot.local.queue import InProcessQueue
from bot.local.sqlite_cells import SqliteCells
from bot.local.sqlite_jobs import SqliteJobs
from bot.local.system import ManualClock, SeededRandomness, SequentialIds
from bot.local.word_rules import WordRules
from bot.ports import EndpointState, Fate, Warmth
from bot.services import intake
from bot.services.core import Caller, Core, Policy, Process
from bot.services.work import advance, take_result
from tests.simulation.world import OUTPUT

ME = Caller(tenant="T1", user="U1")
OTHER = Caller(tenant="T1", user="U2")
STRANGER = Caller(tenant="T2", user="U1")
ADMIN = Caller(tenant="T1", user="U9", is_admin=True)
POLL = Address(kind=SinkKind.POLL)


class RememberingEndpoint:
    def __init__(self, window=1):
        self.window = window
        self.submitted = []
        self.cancelled = []

    def submit(self, submission):
        self.submitted.append(submission)

    def fate(self, inference_id):
        return Fate.UNKNOWN

    def cancel(self, inference_id):
        self.cancelled.append(inference_id)
        return True

    def state(self):
        return EndpointState(name="test", warmth=Warmth.AWAKE, window=self.window)


def build(**overrides) -> Core:
    database = Database(MEMORY)
    values = {
        "clock": ManualClock(),
        "ids": SequentialIds(),
        "randomness": SeededRandomness(),
        "jobs": SqliteJobs(database),
        "cells": SqliteCells(database),
        "objects": MemoryObjects(),
        "queue": InProcessQueue(),
        "endpoint": RememberingEndpoint(),
        "sinks": {SinkKind.POLL: PollSink()},
        "moderation": WordRules(["forbidden thing"]),
        "journal": ListJournal(),
        "policy": Policy(),
        "process": Process(boot="b"),
    }
    return Core(**(values | overrides))


def ask(core, text="a red fox", *, key="k1", caller=ME):
    return intake.imagine(core, caller, text=text, source_key=key, sink=POLL)


def draw(core, job):
    """The job's picture arrives."""
    advance(core, job.id)
    core.objects.put(core.endpoint.submitted[-1].output_key, OUTPUT)
    take_result(core, job.id)
    return core.jobs.get(job.id)


def refusal_of(work) -> str:
    with pytest.raises(Refused) as refused:
        work()
    return refused.value.code
