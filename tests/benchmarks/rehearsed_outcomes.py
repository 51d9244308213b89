"""200 commands by five people on the deployed service, typed as fast as they are acked: 200 pictures.

Slack keeps its rates (infra/local/slack/rate_limits.py). Also what one picture costs in calls to AWS.
"""

import json
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from infra.local.slack.testing import Shown
from infra.local.slack.traffic import Exchange
from infra.rehearsal.stage import ENDED, NotSeen, Stage
from tests.benchmarks.commands import Acks, by_five_people
from tests.benchmarks.figures import quantile, single
from tests.benchmarks.rehearsed_acks import place
from tests.benchmarks.rehearsed_stage import Seeing, Seen, keys_of, opened
from tests.scenarios.test_aws_calls import MOST_CALLS

COMMANDS, WARMING = 200, 20
PATIENCE, LOOK_EVERY = 900.0, 10.0
SETTLED = 3.0
"""Seconds after the picture in which its row is written for the last time."""

CARD, SHARE = "chat.postMessage", "files.completeUploadExternal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What people see of one command: its cards, and the pictures in their threads."""

    cards: Sequence[Shown]
    pictures: int

    @property
    def is_there(self) -> bool:
        return self.pictures >= 1 and all(ENDED & card.controls.keys() for card in self.cards)


@dataclass(slots=True)
class Log:
    """Slack's traffic, kept for longer than Slack keeps it."""

    _kept: dict[int, Exchange] = field(default_factory=dict)

    def read(self, stage: Stage) -> None:
        self._kept |= {id(exchange): exchange for exchange in stage.slack.traffic.all()}

    def of(self, *names: str, since: float) -> list[Exchange]:
        return [each for each in self._kept.values() if each.name in names and each.at >= since]

    def counts(self, *, since: float) -> Mapping[str, int]:
        told = (each for each in self._kept.values() if each.direction == "in" and each.at >= since)
        return Counter(f"{each.name} {each.error or 'ok'}" for each in told)


def main() -> None:
    with opened("outcomes", slack_limits=True) as (stage, seeing):
        stage.draw("a fox for the settings, which a process reads once a minute")
        job = _lone_picture(stage, seeing)
        _typed(stage, WARMING, run="warm")
        _outcomes(stage, Log(), WARMING, run="warm")
        mark, began, log = seeing.mark(), time.time(), Log()
        acks = _typed(stage, COMMANDS, run="people")
        single(f"{COMMANDS} commands typed within", time.time() - began, unit="s")
        outcomes = _outcomes(stage, log, COMMANDS, run="people")
        _posts(log, since=began)
        _calls(seeing.since(mark, keys=keys_of(stage)))
        _look_back(stage, seeing, job)
        _judge(acks, outcomes)


def _typed(stage: Stage, commands: int, *, run: str) -> Acks:
    return by_five_people(f"{stage.api}/slack/events", commands=commands, run=run, **place(stage))


def _lone_picture(stage: Stage, seeing: Seeing) -> str:
    """The calls of one picture while nothing else happens; returns its job's id."""
    keys, mark = keys_of(stage), seeing.mark()
    card = stage.draw("a red fox alone")
    stage.until(lambda: stage.files(card), what="its picture")
    time.sleep(SETTLED)
    calls = seeing.since(mark, keys=keys)
    (nudge,) = [call for call in calls if call.name == "sqs SendMessage"][:1]
    job = str(json.loads(json.loads(nudge.sent.partition(" ")[2])["MessageBody"])["job"])
    print("one picture alone:", *(f"  {keys[call.key]}: {call.name}" for call in calls), sep="\n")
    single("AWS calls from the line to its end", len(calls), unit="", goal=f"goal {MOST_CALLS - 2}")
    return job


def _look_back(stage: Stage, seeing: Seeing, job: str) -> None:
    """The sweep shows the outcome once more, some minutes later."""
    keys = keys_of(stage)
    calls = stage.until(lambda: _audit(seeing, keys, job), what="the look back", patience=400.0)
    print("its look back:", *(f"  {keys[call.key]}: {call.name}" for call in calls), sep="\n")


def _audit(seeing: Seeing, keys: dict[str, str], job: str) -> list[Seen]:
    swept = [key for key, function in keys.items() if function.endswith("-sweep")]
    about = [call for call in seeing.since(0, keys=keys) if job in call.sent and call.key in swept]
    return about if any(call.name == "dynamodb UpdateItem" for call in about) else []


def _outcomes(stage: Stage, log: Log, commands: int, *, run: str) -> Mapping[int, Outcome]:
    """By the command's number; those that are there within the patience."""
    began = time.monotonic()
    while True:
        log.read(stage)
        seen = _seen(stage, run)
        there = sum(outcome.is_there for outcome in seen.values())
        passed = time.monotonic() - began
        print(f"  {passed:3.0f} s: {len(seen)} cards, {there} ended", flush=True)
        if there >= commands or passed > PATIENCE:
            return seen
        stage.region.check()
        time.sleep(LOOK_EVERY)


def _seen(stage: Stage, run: str) -> Mapping[int, Outcome]:
    numbered = re.compile(rf"a red fox number {run}-(\d+)")
    by_number: dict[int, list[Shown]] = {}
    for card in stage.slack.messages():
        if found := numbered.search(card.words):
            by_number.setdefault(int(found[1]), []).append(card)
    return {
        number: Outcome(
            cards=cards, pictures=sum(len(reply.files) for card in cards for reply in stage.replies(card))
        )
        for number, cards in by_number.items()
    }


def _judge(acks: Acks, outcomes: Mapping[int, Outcome]) -> None:
    """Raises NotSeen for a late ack, and for an outcome that is missing or comes twice."""
    print(*acks.checks, sep="\n")
    single("ack, p95", quantile(acks.milliseconds, 0.95), unit="ms")
    single("ack, slowest", max(acks.milliseconds), unit="ms", goal="goal < 3000")
    there = sum(outcome.is_there for outcome in outcomes.values())
    doubled = sum(len(each.cards) > 1 or each.pictures > 1 for each in outcomes.values())
    single("outcomes", there, unit="", goal=f"goal {COMMANDS}, {doubled} twice (goal 0)")
    if acks.failed or there < COMMANDS or doubled:
        raise NotSeen(f"{acks.failed} bad acks, {COMMANDS - there} lost, {doubled} twice")


def _posts(log: Log, *, since: float) -> None:
    """How fast cards and pictures came into the channel."""
    for names, what in (((CARD,), "cards"), ((SHARE,), "pictures"), ((CARD, SHARE), "both")):
        times = sorted(each.at for each in log.of(*names, since=since) if each.ok)
        most = ", ".join(f"{_most(times, within)} in {within} s" for within in (1, 10, 60))
        print(f"{what}: {len(times)} posted, at most {most}; the last after {times[-1] - since:.0f} s")
    for name, count in sorted(log.counts(since=since).items()):
        print(f"  {count:5} {name}")


def _most(times: Sequence[float], within: float) -> int:
    return max((sum(one <= other < one + within for other in times) for one in times), default=0)


def _calls(calls: Sequence[Seen]) -> None:
    counts = Counter(call.name for call in calls)
    for name, count in counts.most_common():
        took = [call.seconds for call in calls if call.name == name]
        print(f"  {count / COMMANDS:5.2f} a picture: {name}, p50 {quantile(took, 0.5) * 1000:.0f} ms")
    single("AWS calls a picture, under load", sum(counts.values()) / COMMANDS, unit="")


if __name__ == "__main__":
    main()
