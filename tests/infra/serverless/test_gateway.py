"""What the gateway lets through, and what it writes down."""

import json

import pytest

pytestmark = pytest.mark.slow


def test_a_flood_is_turned_away_before_it_costs_anything(stack):
    (stage,) = stack.of_type("AWS::ApiGatewayV2::Stage").values()

    assert stage["DefaultRouteSettings"] == {
        "DetailedMetricsEnabled": False,
        "ThrottlingBurstLimit": 40,
        "ThrottlingRateLimit": 20,
    }


def test_the_access_log_says_what_happened_and_neither_who_asked_nor_what(stack):
    (stage,) = stack.of_type("AWS::ApiGatewayV2::Stage").values()
    written = json.loads(stage["AccessLogSettings"]["Format"])

    assert written.keys() == {
        "requestId",
        "time",
        "route",
        "status",
        "milliseconds",
        "bytes",
        "integration",
        "error",
    }
    told = stage["AccessLogSettings"]["Format"]
    assert not any(
        word in told for word in ("identity", "path", "body", "querystring", "Message", "authorizer")
    )


def test_only_these_ways_lead_in(stack):
    routes = {route["RouteKey"] for route in stack.of_type("AWS::ApiGatewayV2::Route").values()}

    assert routes == {"POST /slack/events", "ANY /v1/{proxy+}", "GET /v1/openapi.json"}
