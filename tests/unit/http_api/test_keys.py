"""Keys open what is theirs, until they are revoked; nobody learns anything from a key that does not."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.errors import Refused, Unavailable
from bot.http_api import keys
from bot.http_api.clients import Auth, ByGateway, ByKey
from bot.http_api.exchange import Request
from bot.http_api.keys import MOST_KEYS, Keys
from bot.http_api.problems import Problem
from bot.local.database import MEMORY, Database
from bot.local.sqlite_cells import SqliteCells
from bot.local.system import ManualClock
from tests.aws.functions import Refusing
from tests.unit.http_api.door import Door, told

NOW = 1_800_000_000.0


@pytest.fixture
def cells():
    return SqliteCells(Database(MEMORY))


def looking(cells, clock=None, max_age=60.0):
    return Keys(cells, clock=clock or ManualClock(), max_age=max_age)


def test_a_key_opens_and_nothing_of_it_is_stored_but_its_hash(cells):
    made = keys.create(cells, name="laptop", now=NOW)

    assert looking(cells).verify(made.token) == made.key
    assert made.token.split("_")[2] not in json.dumps(dict(cells.read(keys.CELL).value))


def test_neither_key_nor_secret_shows_in_a_repr(cells):
    made = keys.create(cells, name="laptop", now=NOW)

    assert made.token not in repr(made)
    assert made.key.callback_secret not in repr(made)
    assert made.key.digest not in repr(made)


@given(st.text(max_size=80))
def test_no_other_text_opens(text):
    cells = SqliteCells(Database(MEMORY))
    keys.create(cells, name="laptop", now=NOW)

    assert looking(cells).verify(text) is None


def test_the_secret_of_another_key_does_not_open(cells):
    mine, other = (keys.create(cells, name=name, now=NOW) for name in ("a", "b"))
    mixed = f"imagine_{mine.key.id}_{other.token.rpartition('_')[2]}"

    assert looking(cells).verify(mixed) is None


def test_a_revoked_key_opens_nothing_within_a_minute(cells):
    clock = ManualClock()
    made, found = keys.create(cells, name="laptop", now=NOW), looking(cells, clock)
    assert found.verify(made.token) is not None

    keys.revoke(cells, made.key.id, now=NOW)
    clock.advance(60.0)

    assert found.verify(made.token) is None


def test_a_new_key_opens_within_seconds(cells):
    clock = ManualClock()
    found = looking(cells, clock)
    assert found.is_empty
    made = keys.create(cells, name="laptop", now=NOW)
    clock.advance(keys.LOOK_AGAIN)

    assert found.verify(made.token) is not None


def test_guesses_cost_no_reads(cells):
    reads = []
    made = keys.create(cells, name="laptop", now=NOW)

    class Counting:
        def read(self, key):
            reads.append(key)
            return cells.read(key)

    found = Keys(Counting(), clock=ManualClock(), max_age=60.0)
    for number in range(50):
        assert found.verify(f"imagine_{'a' * 10}_{number:043d}") is None
    assert found.verify(made.token) is not None
    assert len(reads) == 1


def test_revoking_twice_keeps_the_first_date_and_an_unknown_id_is_told(cells):
    made = keys.create(cells, name="laptop", now=NOW)
    for moment in (NOW + 1, NOW + 2):
        keys.revoke(cells, made.key.id, now=moment)

    (listed,) = keys.listed(cells)
    assert listed.revoked_at == NOW + 1
    with pytest.raises(Refused, match="no_such_key"):
        keys.revoke(cells, "nobody", now=NOW)


def test_a_full_row_forgets_the_key_that_was_revoked_longest_ago(cells):
    made = [keys.create(cells, name=f"k{number}", now=NOW + number) for number in range(MOST_KEYS)]
    with pytest.raises(Refused, match="too_many_keys"):
        keys.create(cells, name="one more", now=NOW)
    for moment, each in enumerate(made[:2]):
        keys.revoke(cells, each.key.id, now=NOW + moment)
    keys.create(cells, name="one more", now=NOW)

    ids = {key.id for key in keys.listed(cells)}
    assert made[0].key.id not in ids
    assert made[1].key.id in ids


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer x", "Basic eDp5", "Bearer a b", "imagine_aaaaaaaaaa_x"]
)
def test_whoever_is_not_known_gets_401_with_the_scheme(header):
    answer = Door().ask("GET", "/v1/generations", authorization=header)

    assert (answer.status, answer.headers["www-authenticate"]) == (401, 'Bearer realm="imagine"')
    assert "imagine keys create" in told(answer)["fix"]


def test_the_scheme_is_read_whatever_its_case():
    door = Door()

    assert door.ask("GET", "/v1/models", authorization=f"bearer  {door.mine.token}").status == 200


def test_without_any_key_the_api_says_that_it_is_not_configured(cells):
    with pytest.raises(Problem) as refused:
        ByKey(looking(cells))(Request(method="GET", path="/v1/models"))

    assert (refused.value.status, refused.value.code) == (503, "not_configured")


def test_keys_that_cannot_be_read_let_nobody_in():
    door = Door()
    cells = Refusing(door.core.cells, "read", error=Unavailable("down"))
    broken = Door(core=door.core)
    broken.api = type(broken.api)(desk=broken.api.desk, authenticate=ByKey(looking(cells)))

    assert broken.ask("GET", "/v1/models").status == 503


def gateway(auth, authorizer, cells):
    return ByGateway(auth, looking(cells))(Request(method="GET", path="/v1/models", authorizer=authorizer))


def test_a_gateways_identities_are_callers_of_their_own(cells):
    made = keys.create(cells, name="laptop", now=NOW, daily_limit=5000)

    by_key = gateway(Auth.AUTHORIZER, {"lambda": {"key": made.key.id}}, cells)
    assert (by_key.person, by_key.daily_limit) == (f"key-{made.key.id}", 5000)
    claims = {"iss": "https://issuer", "sub": "ann@example.com"}
    by_jwt = gateway(Auth.JWT, {"jwt": {"claims": claims}}, cells)
    assert by_jwt.person.startswith("jwt-")
    assert "ann" not in by_jwt.person
    assert gateway(Auth.JWT, {"jwt": {"claims": {**claims, "iss": "https://other"}}}, cells) != by_jwt
    by_role = gateway(Auth.IAM, {"iam": {"userId": "AROAEXAMPLE:session-1"}}, cells)
    assert by_role == gateway(Auth.IAM, {"iam": {"userId": "AROAEXAMPLE:session-2"}}, cells)


@pytest.mark.parametrize("auth", [Auth.AUTHORIZER, Auth.JWT, Auth.IAM])
@pytest.mark.parametrize(
    "authorizer",
    [
        {},
        {"lambda": {}},
        {"lambda": None},
        {"jwt": {}},
        {"jwt": {"claims": {}}},
        {"iam": {}},
        {"iam": {"userId": "a b"}},
    ],
)
def test_a_gateway_without_an_identity_lets_nobody_in(cells, auth, authorizer):
    with pytest.raises(Problem) as refused:
        gateway(auth, authorizer, cells)

    assert refused.value.status == 401
