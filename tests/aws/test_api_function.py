"""The functions behind /v1: events of the gateway in, its answers out, whatever arrives."""

import base64
import json
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import bootstrap_api
from bot.aws.s3_links import S3Links
from bot.bootstrap_aws import deployment
from bot.domain.errors import ConfigError, Rejected, Unavailable
from bot.functions.api import ApiFront, Authorizer
from bot.http_api.clients import Auth, authentication
from bot.http_api.generations import MAX_BODY
from bot.http_api.keys import Keys
from tests.aws.environment import environment
from tests.aws.functions import Refusing
from tests.unit.http_api.door import Door

BODY = {"prompt": "a red fox"}


@pytest.fixture
def door():
    return Door()


def event(door, body=BODY, /, *, method="POST", path="/v1/generations", query="", encoded=False, **changes):
    """An HTTP API event, payload format 2.0."""
    text = body if isinstance(body, str) else json.dumps(body)
    return {
        "version": "2.0",
        "routeKey": "ANY /v1/{proxy+}",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"Content-Type": "application/json", "Authorization": f"Bearer {door.mine.token}"},
        "requestContext": {"http": {"method": method, "path": path}, "stage": "$default"},
        "body": base64.b64encode(text.encode()).decode() if encoded else text,
        "isBase64Encoded": encoded,
        **changes,
    }


@pytest.mark.parametrize("encoded", [True, False])
def test_a_body_is_read_as_text_and_in_base64(door, encoded):
    answer = ApiFront(door.api)(event(door, encoded=encoded), None)

    assert (answer["statusCode"], answer["isBase64Encoded"]) == (202, False)
    assert door.job(json.loads(answer["body"])["id"]).request.prompt == "a red fox"


def test_parameters_come_from_the_raw_query(door):
    asked = event(door, "", method="GET", query="limit=0&format=x")

    assert ApiFront(door.api)(asked, None)["statusCode"] == 400


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"body": "x" * (2 << 20)}, 413),
        ({"body": "x" * (MAX_BODY + 1)}, 413),
        ({"body": base64.b64encode(b"x" * (2 << 20)).decode(), "isBase64Encoded": True}, 413),
        ({"body": "no base64!", "isBase64Encoded": True}, 400),
        ({"body": 7}, 400),
        ({"body": None}, 400),
        ({"headers": None}, 400),
        ({"headers": {"a": 1}}, 400),
        ({"headers": {}}, 401),
        ({"requestContext": {}}, 400),
        ({"rawPath": None}, 400),
        ({"rawPath": "/v1/nothing"}, 404),
    ],
)
def test_what_cannot_be_taken_is_a_problem(door, changes, status):
    answer = ApiFront(door.api)(event(door, **changes), None)

    assert (answer["statusCode"], answer["headers"]["content-type"]) == (status, "application/problem+json")
    assert door.core.queue.take(0) is None


@pytest.mark.parametrize("junk", [None, {}, [], "x", 7])
def test_what_is_no_event_is_a_problem(door, junk):
    assert ApiFront(door.api)(junk, None)["statusCode"] == 400


@given(
    st.dictionaries(
        st.sampled_from(
            ["headers", "body", "requestContext", "rawPath", "rawQueryString", "isBase64Encoded"]
        ),
        st.none() | st.text() | st.integers() | st.dictionaries(st.text(), st.text()),
    )
)
def test_no_event_makes_it_raise(changes):
    door = Door()
    answer = ApiFront(door.api)(event(door, **changes), None)

    assert 200 <= answer["statusCode"] < 500


def behind(door, auth):
    keys = Keys(door.core.cells, clock=door.core.clock, max_age=60.0)
    return ApiFront(type(door.api)(desk=door.api.desk, authenticate=authentication(auth, keys)))


def identified(door, authorizer):
    context = {"http": {"method": "GET", "path": "/v1/generations"}, "authorizer": authorizer}
    return event(door, "", method="GET", requestContext=context, headers={})


def test_the_gateways_identity_is_taken_where_the_setting_says_so(door):
    asked = identified(door, {"jwt": {"claims": {"sub": "ann", "iss": "https://issuer"}}})

    assert behind(door, Auth.JWT)(asked, None)["statusCode"] == 200
    assert behind(door, Auth.IAM)(asked, None)["statusCode"] == 401
    assert behind(door, Auth.KEY)(asked, None)["statusCode"] == 401


def test_a_header_means_nothing_where_the_gateway_authenticates(door):
    assert behind(door, Auth.JWT)(event(door), None)["statusCode"] == 401


def test_without_a_key_no_callback_can_be_signed(door):
    asked = identified(door, {"iam": {"userId": "AIDAEXAMPLE"}})
    asked["requestContext"]["http"]["method"] = "POST"
    asked["headers"] = {"content-type": "application/json"}
    asked["body"] = json.dumps({**BODY, "callback_url": "https://hooks.example.com/"})
    answer = behind(door, Auth.IAM)(asked, None)

    assert answer["statusCode"] == 422
    assert json.loads(answer["body"])["errors"][0]["field"] == "/callback_url"


def authorizer(door, cells=None):
    keys = Keys(cells or door.core.cells, clock=door.core.clock, max_age=60.0)
    return Authorizer(keys, door.core.journal)


def test_the_authorizer_lets_a_key_through_and_the_api_knows_it(door):
    told = authorizer(door)(event(door, headers={"authorization": f"Bearer {door.mine.token}"}), None)
    asked = identified(door, {"lambda": told["context"]})

    assert told == {"isAuthorized": True, "context": {"key": door.mine.key.id}}
    assert behind(door, Auth.AUTHORIZER)(asked, None)["statusCode"] == 200


@pytest.mark.parametrize("sent", ["", "Bearer x", "Basic x", None, 7])
def test_the_authorizer_lets_nobody_else_through(door, sent):
    assert authorizer(door)({"headers": {"authorization": sent}}, None) == {
        "isAuthorized": False,
        "context": {},
    }


@pytest.mark.parametrize("junk", [None, {}, {"headers": None}, []])
def test_the_authorizer_survives_what_is_no_event(door, junk):
    assert authorizer(door)(junk, None)["isAuthorized"] is False


def test_the_authorizer_lets_nobody_in_when_the_keys_cannot_be_read(door):
    broken = Refusing(door.core.cells, "read", error=Unavailable("down"))
    asked = event(door, headers={"authorization": f"Bearer {door.mine.token}"})

    assert authorizer(door, broken)(asked, None)["isAuthorized"] is False
    assert door.core.journal.named("keys_not_read") == [{"code": "down"}]


def test_a_filter_that_cannot_be_imported_fails_the_start_by_name():
    deployed = deployment("api", environment(IMAGINE_API_FILTER="no.such.module:check"))

    with pytest.raises(ConfigError, match=r"IMAGINE_API_FILTER: no\.such\.module:check cannot be imported"):
        bootstrap_api.api(deployed)


def test_a_setting_of_the_authentication_that_is_none_fails_the_start_by_name():
    with pytest.raises(ConfigError, match="IMAGINE_API_AUTH"):
        deployment("api", environment(IMAGINE_API_AUTH="trust"))


def test_a_link_opens_one_object_with_the_new_signature_and_ends(cloud):
    bucket = cloud.make_bucket()
    link = urlsplit(S3Links(cloud.clients, bucket=bucket).link("images/T1/a/1.png", seconds=300))

    assert (link.scheme, link.path) == ("https", "/images/T1/a/1.png")
    assert link.hostname.startswith(f"{bucket}.s3.")
    query = parse_qs(link.query)
    assert (query["X-Amz-Algorithm"], query["X-Amz-Expires"]) == (["AWS4-HMAC-SHA256"], ["300"])
    assert query["response-content-type"] == ["image/png"]


@pytest.mark.parametrize("key", ["../secrets", "", "/images/x"])
def test_a_link_to_what_is_no_key_is_not_made(cloud, key):
    with pytest.raises(Rejected, match="bad_key"):
        S3Links(cloud.clients, bucket="b").link(key, seconds=300)
