"""Places in an index, and the table itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.aws.dynamo_items import position
from tests.aws.cloud import Cloud

moments = st.floats(0, 4_102_444_800.0)  # to the year 2100
tags = st.integers(0, 10**19)
ids = st.text("abcdefghijklmnopqrstuvwxyz234567", min_size=26, max_size=26)


@given(st.tuples(st.one_of(moments.map(lambda value: round(value, 6)), tags), ids), st.data())
def test_places_sort_as_numbers_do_and_then_as_ids(one: tuple[float, str], data: st.DataObject):
    near = st.sampled_from([one[0], one[0] + 1, one[0] + 0.5])
    other = (data.draw(near | moments | tags), data.draw(ids))
    assert (position(*one) < position(*other)) == (one < other) or nearly(one[0], other[0])


def nearly(one: float, other: float) -> bool:
    """Less apart than the tenth decimal, which no two clocks tell."""
    return one != other and abs(one - other) < 1e-9


@pytest.mark.parametrize("number", [-1, -0.5, 1e21, 10**20, float("nan"), float("inf")])
def test_a_number_without_a_place_is_a_mistake_of_the_caller(number: float):
    with pytest.raises(ValueError, match="no place"):
        position(number, "a" * 26)


def test_the_table_forgets_by_itself_and_is_paid_by_the_request(cloud: Cloud):
    name, dynamodb = cloud.make_table(), cloud.clients["dynamodb"]
    table = dynamodb.describe_table(TableName=name)["Table"]
    kept = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    assert kept == {"AttributeName": "expires_at", "TimeToLiveStatus": "ENABLED"}
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert {index["IndexName"] for index in table["GlobalSecondaryIndexes"]} == {
        "due",
        "waiting",
        "open",
        "person",
    }
