"""The one DynamoDB table, as data. `docs/aws-table.md` tells what lies in it, `serverless.yml` makes it.

Everything here is in CloudFormation's words (`AWS::DynamoDB::Table`), which are CreateTable's as well.
"""

from dataclasses import dataclass
from typing import Any, Final

from bot.ports import Index

KEY: Final = "pk"
TIME_TO_LIVE: Final = {"AttributeName": "expires_at", "Enabled": True}

DUE_SHARDS: Final = 4
"""A partition takes 1,000 write units a second, and every write of an open job also writes its row into the
due index. An index that is throttled throttles its table, so the busiest index is spread over a few."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexKey:
    """The attributes of one global secondary index. A row without `partition` is not in it."""

    partition: str
    position: str


INDEXES: Final = {
    Index.DUE: IndexKey(partition="due_shard", position="due_at"),
    Index.WAITING: IndexKey(partition="waiting", position="waiting_tag"),
    Index.OPEN: IndexKey(partition="open_tenant", position="accepted"),
    Index.PERSON: IndexKey(partition="person", position="accepted"),
}


def table_properties() -> dict[str, Any]:
    """What the table is, all but its name and its time to live."""
    names = {KEY} | {name for key in INDEXES.values() for name in (key.partition, key.position)}
    return {
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in sorted(names)],
        "KeySchema": [{"AttributeName": KEY, "KeyType": "HASH"}],
        "GlobalSecondaryIndexes": [
            {
                "IndexName": index.value,
                "KeySchema": [
                    {"AttributeName": key.partition, "KeyType": "HASH"},
                    {"AttributeName": key.position, "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
            for index, key in INDEXES.items()
        ],
    }
