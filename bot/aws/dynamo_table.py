"""The calls to the table: read, read many, walk an index, and write all or nothing."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError

from bot.aws.clients import Clients
from bot.aws.dynamo_items import Item, Write, attribute, names_in, text_of, values_of
from bot.aws.peer_errors import code_of, peer_errors
from bot.aws.second_try import read
from bot.aws.table import INDEXES, KEY
from bot.domain.errors import Ambiguous, Busy, Rejected
from bot.ports import Index

CONFLICTS: Final = frozenset({"TransactionConflict", "TransactionConflictException"})
"""Another write holds a row this instant, for some milliseconds. Nothing was written."""

CONFLICT_WAITS: Final = (0.004, 0.012, 0.024)
"""Seconds before each further attempt, before jitter: all of them fit into the three seconds Slack gives."""

LOOKS: Final = 4
"""BatchGetItem may leave keys unread and asks to be called again with them."""

_THROTTLED = frozenset({"ThrottlingError", "ProvisionedThroughputExceeded", "RequestLimitExceeded"})
_FAILED = frozenset({"ConditionalCheckFailed", "ConditionalCheckFailedException"})
_PASSED = "None"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why one of several writes stopped all of them; `item` is the row that failed its condition."""

    code: str
    item: Item | None = None

    @property
    def failed(self) -> bool:
        """Whether this write's own condition did not hold."""
        return self.code in _FAILED


class DynamoTable:
    """One table. `pause` waits the given seconds between attempts at a row that others write too."""

    def __init__(self, clients: Clients, *, name: str, pause: Callable[[float], None] = time.sleep) -> None:
        self._clients = clients
        self._name = name
        self._pause = pause

    def get(self, key: str) -> Item | None:
        """The item, strongly consistent. Raises Busy, Unavailable, Rejected."""
        wanted = {"Key": {KEY: attribute(key)}, "ConsistentRead": True}
        found: Item | None = self._read("get_item", TableName=self._name, **wanted).get("Item")
        return found

    def look(self, keys: Sequence[str]) -> Mapping[str, Item]:
        """At most 100 items by key, strongly consistent each; absent ones are left out.

        Raises Busy, Unavailable, Rejected.
        """
        found: dict[str, Item] = {}
        unread = [{KEY: attribute(key)} for key in dict.fromkeys(keys)]
        for _ in range(LOOKS):
            if not unread:
                return found
            request = {self._name: {"Keys": unread, "ConsistentRead": True}}
            reply = self._read("batch_get_item", RequestItems=request)
            found |= {text_of(item, KEY): item for item in reply["Responses"].get(self._name, ())}
            unread = reply.get("UnprocessedKeys", {}).get(self._name, {}).get("Keys", [])
        if unread:
            raise Busy("UnprocessedKeys")
        return found

    def walk(
        self, index: Index, partition: str, *, low: str, high: str, newest_first: bool, page: int
    ) -> Iterator[Item]:
        """Items of one partition of an index in order, read `page` at a time, while somebody asks for more.

        Oldest first, `low` and `high` are the first and last place; newest first, only places before
        `high` come. A page may hold less than it should: DynamoDB cuts it at 1 MB.
        Raises Busy, Unavailable, Rejected.
        """
        key = INDEXES[index]
        reach = f"#{key.position} < :high" if newest_first else f"#{key.position} BETWEEN :low AND :high"
        condition = f"#{key.partition} = :partition AND {reach}"
        bounds = {"high": high} if newest_first else {"low": low, "high": high}
        request: dict[str, Any] = {
            "TableName": self._name,
            "IndexName": index.value,
            "KeyConditionExpression": condition,
            "ExpressionAttributeNames": names_in(condition),
            "ExpressionAttributeValues": values_of({"partition": partition, **bounds}),
            "ScanIndexForward": not newest_first,
            "Limit": page,
        }
        while True:
            reply = self._read("query", **request)
            yield from reply["Items"]
            if "LastEvaluatedKey" not in reply:
                return
            request["ExclusiveStartKey"] = reply["LastEvaluatedKey"]

    def commit(self, writes: Sequence[Write], *, token: str) -> tuple[Reason, ...]:
        """Write all or nothing: nothing to return when written, else a reason for each write.

        At least one of the reasons is then a condition that failed. `token` is the write's own, or empty.
        Raises Busy and Unavailable (nothing was written), Ambiguous, Rejected.
        """
        digest = _digest(writes)
        for wait in (*CONFLICT_WAITS, None):
            reasons = self._attempt(writes, request_token=digest[:36] if token else None)
            if not reasons or any(reason.failed for reason in reasons):
                return reasons
            _check(reasons)
            if wait is not None:
                self._pause(wait * _jitter(digest, wait))
        raise Busy("TransactionConflict")

    def _attempt(self, writes: Sequence[Write], *, request_token: str | None) -> tuple[Reason, ...]:
        with peer_errors():
            try:
                if len(writes) == 1:
                    self._write_one(writes[0])
                else:
                    self._write_together(writes, request_token)
            except ClientError as error:
                if code_of(error) == "TransactionInProgressException":
                    raise Ambiguous(code_of(error)) from error
                reasons = _reasons(error)
                if not reasons:
                    raise
                return reasons
        return ()

    def _write_one(self, write: Write) -> None:
        """A transaction costs twice as much."""
        if write.kind == "Put":
            self._client.put_item(TableName=self._name, **write.fields)
        else:
            self._client.update_item(TableName=self._name, **write.fields)

    def _write_together(self, writes: Sequence[Write], request_token: str | None) -> None:
        items = [{write.kind: {"TableName": self._name, **write.fields}} for write in writes]
        repeated = {} if request_token is None else {"ClientRequestToken": request_token}
        self._client.transact_write_items(TransactItems=items, **repeated)

    def _read(self, operation: str, **request: Any) -> Mapping[str, Any]:
        """A call without effect, made once more where it was lost, as on a connection that died unseen."""

        def call() -> Mapping[str, Any]:
            with peer_errors():
                reply: Mapping[str, Any] = getattr(self._client, operation)(**request)
            return reply

        return read(call)

    @property
    def _client(self) -> Any:
        return self._clients["dynamodb"]


def _reasons(error: ClientError) -> tuple[Reason, ...]:
    """What the answer says of each write, nothing where it is another error."""
    response: Mapping[str, Any] = error.response
    code = code_of(error)
    if code == "TransactionCanceledException":
        told = response.get("CancellationReasons", ())
        return tuple(Reason(code=each.get("Code", _PASSED), item=each.get("Item")) for each in told)
    if code in CONFLICTS | _FAILED:
        return (Reason(code=code, item=response.get("Item")),)
    return ()


def _check(reasons: Sequence[Reason]) -> None:
    """Return where another attempt may pass. Raises Busy, Rejected."""
    codes = {reason.code for reason in reasons} - {_PASSED}
    if codes & _THROTTLED:
        raise Busy(min(codes & _THROTTLED))
    if not codes <= CONFLICTS:
        raise Rejected(min(codes - CONFLICTS))


def _digest(writes: Sequence[Write]) -> str:
    """Names the request: the same writes again are the same request, and a changed one is another."""
    text = json.dumps([[write.kind, write.fields] for write in writes], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _jitter(digest: str, wait: float) -> float:
    """0.5 to 1, another one for each request and attempt, so that rivals do not meet again."""
    place = CONFLICT_WAITS.index(wait) * 4
    return 0.5 + int(digest[place : place + 4], 16) / 0x1FFFE
