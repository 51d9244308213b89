"""How rows lie in the table: items made from rows, and rows read from items."""

import json
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bot.aws.table import DUE_SHARDS, INDEXES, KEY
from bot.domain.job import Job, State, state_of
from bot.domain.person import Person, Settlement
from bot.ports import Cell, CounterChange, CounterRaise, Guard, Index

Item = Mapping[str, Mapping[str, str]]
"""Attributes by name, each `{"S": text}` or `{"N": digits}`."""

Values = Mapping[str, str | float]
"""Attributes or expression values by name, as Python spells them."""

A_DAY = 86_400.0
WAITING_PARTITION = "waiting"
_MOVING = frozenset({"due_shard", "due_at", "waiting", "waiting_tag", "open_tenant"})
"""The attributes that come and go while a job goes its way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One conditional write; `fields` are those that PutItem and UpdateItem share with a transaction."""

    kind: Literal["Put", "Update"]
    fields: Mapping[str, Any]


def job_key(job_id: str) -> str:
    return f"job#{job_id}"


def person_key(tenant: str, user: str) -> str:
    return f"person#{tenant}/{user}"


def counter_key(key: str) -> str:
    return f"counter#{key}"


def guard_key(key: str) -> str:
    return f"guard#{key}"


def cell_key(key: str) -> str:
    return f"cell#{key}"


def create_job(job: Job, *, retention: float) -> Write:
    """Put a row that is not there. It expires `retention` seconds after the job was accepted."""
    item = {
        KEY: job_key(job.id),
        **_text_and_version(job),
        **_moving(job),
        "created_token": job.write_token,
        "person": f"{job.tenant}/{job.person}",
        "accepted": position(job.accepted_at, job.id),
        "expires_at": int(job.accepted_at + retention),
    }
    return _put(item, condition="attribute_not_exists(#pk)")


def replace_job(after: Job) -> Write:
    """Update the row whose version is `after.version - 1`; what never changes stays as it was created."""
    present = {**_text_and_version(after), **_moving(after)}
    change = "SET " + ", ".join(f"#{name} = :{name}" for name in present)
    absent = sorted(_MOVING - present.keys())
    if absent:
        change += " REMOVE " + ", ".join(f"#{name}" for name in absent)
    return _update(
        job_key(after.id), change, condition="#version = :expected", expected=after.version - 1, **present
    )


def add_hold(person: Person, *, cost: int, expires_at: float) -> Write:
    """What `Person.holding` does on the day of the row. The condition fails on the first hold of a day."""
    return _update(
        person_key(person.tenant, person.user),
        "SET #tag = :tag, #version = :version, #write_token = :token, #expires_at = :expires ADD #held :cost",
        condition="#version = :expected AND #day = :day",
        tag=person.tag,
        version=person.version,
        token=person.write_token,
        expires=int(expires_at),
        cost=cost,
        expected=person.version - 1,
        day=person.day,
    )


def start_day(person: Person, *, expires_at: float) -> Write:
    """Put the row whose version before was `person.version - 1`, where 0 means none."""
    item = {
        KEY: person_key(person.tenant, person.user),
        **person.to_json(),
        "expires_at": int(expires_at),
    }
    return _put_version(item, expected=person.version - 1)


def settle_person(settlement: Settlement) -> Write:
    """What `Person.settled` does. The condition fails where that changes nothing: no row, or another day."""
    return _update(
        person_key(settlement.tenant, settlement.user),
        "ADD #held :held, #spent :spent",
        condition="#day = :day",
        day=settlement.day,
        held=settlement.held,
        spent=settlement.spent,
    )


def use_guard(guard: Guard, *, job_id: str, now: float) -> Write:
    """Take a guard that is absent or over. A row that is over may lie there for days before TTL takes it."""
    item: Values = {
        KEY: guard_key(guard.key),
        "until": guard.until,
        "job_id": job_id,
        "expires_at": int(guard.until + A_DAY),
    }
    return _put(item, condition="attribute_not_exists(#pk) OR #until <= :now", now=now)


def change_counter(change: CounterChange) -> Write:
    """Add to the counter; the condition fails where the sum would pass the ceiling."""
    change_it = "ADD #value :delta"
    if change.ceiling is None:
        return _update(counter_key(change.key), change_it, delta=change.delta)
    condition = _or_absent("#value <= :room", absent_passes=change.delta <= change.ceiling)
    room = change.ceiling - change.delta
    return _update(counter_key(change.key), change_it, condition=condition, delta=change.delta, room=room)


def raise_counter(change: CounterRaise) -> Write:
    """Lift the counter; the condition fails where it is high enough."""
    condition = _or_absent("#value < :least", absent_passes=change.least > 0)
    return _update(counter_key(change.key), "SET #value = :least", condition=condition, least=change.least)


def write_cell(key: str, value: Mapping[str, Any], *, expected: int, token: str) -> Write:
    """Put the cell whose version is `expected`, where 0 means none."""
    item: Values = {
        KEY: cell_key(key),
        "value": json.dumps(dict(value)),
        "version": expected + 1,
        "write_token": token,
    }
    return _put_version(item, expected=expected)


def job_from(item: Item) -> Job:
    return Job.from_json(json.loads(item["row"]["S"]))


def person_from(item: Item) -> Person:
    return Person.from_json({name: _plain(value) for name, value in item.items()})


def cell_from(item: Item) -> Cell:
    return Cell(value=json.loads(item["value"]["S"]), version=version_of(item))


def counter_from(item: Item | None) -> int:
    return 0 if item is None else int(item["value"]["N"])


def text_of(item: Item, name: str) -> str:
    return item[name]["S"]


def version_of(item: Item) -> int:
    return int(item["version"]["N"])


def was_created_by(item: Item, job: Job) -> bool:
    """Whether the row was made by the very write that `job` is, whatever happened to it since."""
    return bool(job.write_token) and text_of(item, "created_token") == job.write_token


def was_written_by(item: Item, after: Job) -> bool:
    """Whether the row is what the very write that `after` is left."""
    same = version_of(item) == after.version and text_of(item, "write_token") == after.write_token
    return same and bool(after.write_token)


def position(number: float, job_id: str) -> str:
    """A place in an index: text that sorts as the number does, and then as the id.

    Ten decimals keep apart any two moments that a float can tell apart in this century. Raises ValueError
    for a number that is negative or too large.
    """
    digits = f"{number:020d}.0000000000" if isinstance(number, int) else f"{number:031.10f}"
    if not re.fullmatch(r"\d{20}\.\d{10}", digits):
        raise ValueError(f"{number} has no place in an index")
    return f"{digits}#{job_id}"


def due_shards() -> Sequence[str]:
    return tuple(str(number) for number in range(DUE_SHARDS))


def attribute(value: str | float) -> dict[str, str]:
    """A value as DynamoDB spells it."""
    return {"S": value} if isinstance(value, str) else {"N": repr(value)}


def names_in(*expressions: str) -> dict[str, str]:
    """ExpressionAttributeNames of all names, which are written `#name`: many a plain one is reserved."""
    return {mark: mark[1:] for mark in re.findall(r"#\w+", " ".join(expressions))}


def values_of(values: Values) -> dict[str, dict[str, str]]:
    """ExpressionAttributeValues, which are written `:name`."""
    return {f":{name}": attribute(value) for name, value in values.items()}


def _text_and_version(job: Job) -> dict[str, str | float]:
    text = json.dumps(job.to_json(), separators=(",", ":"), sort_keys=True)
    return {"row": text, "version": job.version, "write_token": job.write_token}


def _moving(job: Job) -> dict[str, str | float]:
    """The keys of the indexes that the row is in now."""
    state = state_of(job)
    keys: dict[str, str | float] = {}
    if job.next_check_at is not None:
        due = INDEXES[Index.DUE]
        keys[due.partition] = due_shards()[zlib.crc32(job.id.encode()) % DUE_SHARDS]
        keys[due.position] = position(job.next_check_at, job.id)
    if state is State.ANNOUNCED:
        waiting = INDEXES[Index.WAITING]
        keys[waiting.partition] = WAITING_PARTITION
        keys[waiting.position] = position(job.tag, job.id)
    if state.is_open:
        keys[INDEXES[Index.OPEN].partition] = job.tenant
    return keys


def _put_version(item: Values, *, expected: int) -> Write:
    if expected == 0:
        return _put(item, condition="attribute_not_exists(#pk)")
    return _put(item, condition="#version = :expected", expected=expected)


def _put(item: Values, *, condition: str, **values: str | float) -> Write:
    attributes = {name: attribute(value) for name, value in item.items()}
    return Write(kind="Put", fields={"Item": attributes, **_conditional("", condition, values)})


def _update(key: str, change: str, *, condition: str = "", **values: str | float) -> Write:
    fields = {"Key": {KEY: attribute(key)}, "UpdateExpression": change}
    return Write(kind="Update", fields={**fields, **_conditional(change, condition, values)})


def _conditional(change: str, condition: str, values: Values) -> dict[str, Any]:
    fields: dict[str, Any] = {"ExpressionAttributeNames": names_in(change, condition)}
    if values:
        fields["ExpressionAttributeValues"] = values_of(values)
    if condition:
        fields["ConditionExpression"] = condition
        fields["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    return fields


def _or_absent(condition: str, *, absent_passes: bool) -> str:
    """An absent counter is 0, which a condition on its value cannot say."""
    return f"attribute_not_exists(#pk) OR {condition}" if absent_passes else condition


def _plain(value: Mapping[str, str]) -> str | int:
    return int(value["N"]) if "N" in value else value["S"]
