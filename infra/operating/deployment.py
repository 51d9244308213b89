"""What a stage was deployed with last, so that the next deployment needs no options; and where it answers."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from bot.aws.clients import ServiceClients
from infra.operating.errors import OperatingError


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """`suffix` makes the bucket's name unique, `team` is the Slack workspace, `params` are osls's.

    `settings` are the service's (docs/settings.md), none of them secret.
    """

    suffix: str = ""
    team: str = ""
    alarm_email: str = ""
    ops_channel: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)

    def over(self, earlier: "Deployment") -> "Deployment":
        """These, and from the earlier one what these leave open."""
        given = {name: value for name, value in dataclasses.asdict(self).items() if value}
        merged = {
            "params": {**earlier.params, **self.params},
            "settings": {**earlier.settings, **self.settings},
        }
        return dataclasses.replace(earlier, **{**given, **merged})


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a deployed stage answers, and the topic of its alarms; "" where the stack does not say."""

    slack: str
    api: str
    alarms: str


def parameter_name(stage: str) -> str:
    """Of the parameter that remembers the deployment. Nothing in it is secret."""
    return f"/imagine/{stage}/deployment"


def remembered(clients: ServiceClients, *, stage: str) -> Deployment:
    """What was given last; nothing for a stage that is new here."""
    told = clients["ssm"].get_parameters(Names=[parameter_name(stage)])["Parameters"]
    if not told:
        return Deployment()
    known = {one.name for one in dataclasses.fields(Deployment)}
    values: dict[str, Any] = json.loads(told[0]["Value"])
    return Deployment(**{name: value for name, value in values.items() if name in known})


def remember(clients: ServiceClients, deployment: Deployment, *, stage: str) -> None:
    """For the next time."""
    clients["ssm"].put_parameter(
        Name=parameter_name(stage),
        Value=json.dumps(dataclasses.asdict(deployment), sort_keys=True),
        Type="String",
        Overwrite=True,
    )


def address_of(clients: ServiceClients, *, stage: str) -> Address:
    """From the stack's outputs."""
    stacks = clients["cloudformation"].describe_stacks(StackName=f"imagine-{stage}")["Stacks"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stacks[0].get("Outputs", ())}
    gateway = outputs.get("HttpApiUrl", "").rstrip("/")
    return Address(
        slack=f"{gateway}/slack/events" if gateway else "",
        api=f"{gateway}/v1" if gateway else "",
        alarms=outputs.get("AlarmTopic", ""),
    )


def subscribe(clients: ServiceClients, topic: str, email: str) -> bool:
    """Have alarms mailed there too; whether that is new. The receiver confirms by a link in a first mail.

    Raises OperatingError for a stack without such a topic.
    """
    if not topic:
        raise OperatingError("the stack has no topic for alarms; deploy this version of serverless.yml first")
    sns = clients["sns"]
    try:
        pages = sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic)
        known = [one["Endpoint"] for page in pages for one in page["Subscriptions"]]
    except ClientError as error:
        raise OperatingError(
            f"the alarms' topic cannot be read ({error.response['Error']['Code']})"
        ) from error
    if email in known:
        return False
    sns.subscribe(TopicArn=topic, Protocol="email", Endpoint=email)
    return True
