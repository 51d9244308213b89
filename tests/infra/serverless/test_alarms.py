"""Alarms: few, each with what to do first and where to read on; and one page to look at."""

import json
import re

import pytest

from bot.aws.journal import COUNTED, COUNTED_AS, NAMESPACE
from bot.domain.times import Times
from infra.endpoint.cost import SERVICE_ALARMS
from tests.docs.markdown import ROOT, Page

pytestmark = pytest.mark.slow

RUNBOOKS = ROOT / "docs" / "operations.md"
ALARM = "AWS::CloudWatch::Alarm"
TEXT = re.compile(r"(?P<what>.+\.) First: (?P<command>imagine \S.*)\. Runbook: (?P<page>\S+)#(?P<anchor>\S+)")


def alarms(stack):
    return stack.of_type(ALARM).values()


def test_few_alarms_are_made_unless_many_are_asked_for(dev, prod):
    assert len(alarms(dev)) == SERVICE_ALARMS, "what docs/cost.md counts"
    assert len(alarms(prod)) <= 11
    names = {alarm["AlarmName"].removeprefix("imagine-dev-") for alarm in alarms(dev)}
    more = {alarm["AlarmName"].removeprefix("imagine-prod-") for alarm in alarms(prod)} - names
    assert more == {"slack-errors", "worker-errors", "result-errors", "sweep-errors"}


def test_what_every_stage_is_watched_for(dev):
    watched = {alarm["AlarmName"].removeprefix("imagine-dev-"): alarm["MetricName"] for alarm in alarms(dev)}

    assert watched == {
        "dead-nudges": "ApproximateNumberOfMessagesVisible",
        "dead-events": "ApproximateNumberOfMessagesVisible",
        "nudges-old": "ApproximateAgeOfOldestMessage",
        "gateway-errors": "5xx",
        "sweep-missing": "Invocations",
        "jobs-overdue": "overdue",
        "slack-refuses": "slack_refused",
    }


def test_every_alarm_says_what_it_means_what_to_do_first_and_where_to_read_on(stack):
    for alarm in alarms(stack):
        told = TEXT.fullmatch(alarm["AlarmDescription"])
        assert told, alarm["AlarmDescription"]
        assert alarm["AlarmName"].endswith(told["anchor"])
        assert told["page"] == "docs/operations.md"
        assert "--stage" in told["command"]


def test_every_runbook_is_there(prod):
    anchors = {TEXT.fullmatch(alarm["AlarmDescription"])["anchor"] for alarm in alarms(prod)}

    assert anchors <= Page.at(RUNBOOKS).anchors


def test_somebody_is_told_and_told_again_when_it_is_over(stack):
    for alarm in alarms(stack):
        assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": "Alarms"}]
        assert "ActionsEnabled" not in alarm


def test_no_sweep_is_an_alarm_and_no_message_is_none(stack):
    missing = {alarm["MetricName"]: alarm["TreatMissingData"] for alarm in alarms(stack)}

    assert missing.pop("Invocations") == "breaching"
    assert set(missing.values()) == {"notBreaching"}


def test_our_own_counts_are_those_that_the_functions_write(stack):
    ours = [alarm for alarm in alarms(stack) if alarm["Namespace"] == NAMESPACE]
    stage = stack.functions["sweep"]["Environment"]["Variables"]["IMAGINE_STAGE"]
    written = {COUNTED_AS.get(name, name) for name, dimensions in COUNTED.items() if not dimensions}

    assert {alarm["MetricName"] for alarm in ours} == {"overdue", "slack_refused"}
    assert {alarm["MetricName"] for alarm in ours} <= written
    for alarm in ours:
        assert alarm["Dimensions"] == [{"Name": "service", "Value": f"imagine-{stage}"}]


def test_one_waiting_job_keeps_the_alarm_of_a_refused_token_on(dev):
    (alarm,) = [one for one in alarms(dev) if one["MetricName"] == "slack_refused"]

    assert {name for name, count in COUNTED_AS.items() if count == "slack_refused"} == {
        "announce_rejected",
        "token_refused",
    }
    assert alarm["Period"] / Times().back_off_most > alarm["Threshold"]


def test_no_count_goes_on_while_nobody_draws():
    assert "swept" not in COUNTED, "a metric costs 0.30 dollars for a month in which it is written"


def test_mail_goes_to_who_is_named_and_to_nobody_else(dev, prod):
    def mailed(stack):
        told = stack.of_type("AWS::SNS::Subscription").values()
        return [one["Endpoint"] for one in told if one["Protocol"] == "email"]

    assert mailed(dev) == []
    assert mailed(prod) == ["ops@example.com"]


def test_the_dashboard_is_one_page_that_cloudwatch_can_read(stack):
    (dashboard,) = stack.of_type("AWS::CloudWatch::Dashboard").values()
    body = json.loads(re.sub(r"\$\{[^}]+\}", "x", dashboard["DashboardBody"]["Fn::Sub"]))

    titles = [widget["properties"]["title"] for widget in body["widgets"]]
    assert len(titles) == len(set(titles)) == 6
    named = set(re.findall(r"\$\{(\w+)LambdaFunction\}", dashboard["DashboardBody"]["Fn::Sub"]))
    assert named == {name.title() for name in stack.functions} - {"Authorizer"}


@pytest.mark.parametrize("name", ["slack", "worker", "result", "sweep"])
def test_the_functions_that_matter_can_be_watched_one_by_one(prod, name):
    (alarm,) = [one for one in alarms(prod) if one["AlarmName"] == f"imagine-prod-{name}-errors"]

    assert alarm["MetricName"] == "Errors"
    (dimension,) = alarm["Dimensions"]
    assert dimension == {"Name": "FunctionName", "Value": {"Ref": f"{name.title()}LambdaFunction"}}
