"""Acks of the deployed service beside those of a bare Bolt function in the same region, in turns.

Dispatch is held: nobody takes the nudges and nothing sweeps. (`admin pause` would refuse the commands.)
"""

import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from infra.rehearsal.stage import NAME, NotSeen, Stage
from tests.benchmarks import bare_function
from tests.benchmarks.commands import Acks, at_a_rate, by_five_people
from tests.benchmarks.figures import quantile, single
from tests.benchmarks.rehearsed_stage import Seen, keys_of, opened, processes_of
from tests.scenarios.test_aws_calls import MOST_TO_ACCEPT

WORKERS, ROUNDS, SECONDS = 5, 4, 10
GOAL = 2.5
OURS, BARE = f"{NAME}-slack", bare_function.NAME


def main() -> None:
    with opened("acks") as (stage, seeing), held(stage):
        urls = {BARE: bare_function.deploy(stage), OURS: f"{stage.api}/slack/events"}
        for function, url in urls.items():
            _warm(stage, function, url)
        mark = seeing.mark()
        told = _in_turns(stage, urls)
        _report(told)
        ours = [acks for function, acks in told if function == OURS]
        _calls(seeing.since(mark, keys=keys_of(stage)), sum(len(acks.milliseconds) for acks in ours))


@contextmanager
def held(stage: Stage) -> Iterator[None]:
    """Jobs are accepted, and wait."""
    functions, events = stage.clients["lambda"], stage.clients["events"]
    (mapping,) = functions.list_event_source_mappings(FunctionName=stage.function("worker"))[
        "EventSourceMappings"
    ]
    functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    events.disable_rule(Name=f"{NAME}-sweep")
    try:
        yield
    finally:
        events.enable_rule(Name=f"{NAME}-sweep")
        functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)


def _warm(stage: Stage, function: str, url: str) -> None:
    for number in range(3):
        by_five_people(url, commands=50, run=f"warm-{number}", **place(stage))
    print(f"{function}: {processes_of(function)} warm processes")
    if processes_of(function) < WORKERS:
        raise NotSeen(f"{function} has {processes_of(function)} processes, not {WORKERS}")


def place(stage: Stage) -> Mapping[str, str]:
    workspace = stage.slack.platform.workspace
    channel = workspace.channel_named("pictures").id
    return {"secret": stage.signing.secret, "team": workspace.team.id, "channel": channel}


def _in_turns(stage: Stage, urls: Mapping[str, str]) -> Sequence[tuple[str, Acks]]:
    return [
        (function, at_a_rate(url, seconds=SECONDS, run=f"turn-{number}", **place(stage)))
        for number in range(ROUNDS)
        for function, url in urls.items()
    ]


def _report(told: Sequence[tuple[str, Acks]]) -> None:
    p95 = {}
    for function in (BARE, OURS):
        acks = [acks for name, acks in told if name == function]
        every = [one for each in acks for one in each.milliseconds]
        p95[function] = quantile(every, 0.95)
        single(f"{function}, ack, median of {len(every)}", statistics.median(every), unit="ms")
        single(f"{function}, ack, p95", p95[function], unit="ms")
        print(f"{function}: {sum(each.failed for each in acks)} not acked or later than 3 s")
    single("p95, ours / bare", p95[OURS] / p95[BARE], unit="", goal=f"goal <= {GOAL}")


def _calls(calls: Sequence[Seen], commands: int) -> None:
    """What was called for each command, and the emulator's share of the time in it."""
    counts = Counter(call.name for call in calls)
    for name, count in counts.most_common():
        middle = statistics.median(call.seconds for call in calls if call.name == name) * 1000
        print(f"{name}: {count / commands:.2f} a command, {middle:.1f} ms each in the emulator")
    single(
        "AWS calls a command", sum(counts.values()) / commands, unit="", goal=f"goal {MOST_TO_ACCEPT} warm"
    )


if __name__ == "__main__":
    main()
