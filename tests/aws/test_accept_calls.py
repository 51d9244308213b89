"""What accepting costs in calls to AWS: cold, warm, and once the settings are a minute old."""

from dataclasses import replace

import pytest

from bot.bootstrap_aws import Deployment, deployment
from bot.bootstrap_front import slack
from bot.functions.front import Front
from bot.local.system import ManualClock
from tests.aws.cloud import Cloud
from tests.aws.environment import environment
from tests.aws.test_front import SECRET, command, event
from tests.aws.wire import Wire

PARAMETER = "/imagine/accept/signing-secret"
PATIENCE = 60.0
"""Seconds: calls are counted here, however long they take."""

START = 1_800_000_000.0
ACCEPT = ["TransactWriteItems", "SendMessage"]


class Service:
    """Functions of one deployment behind wires that tell which calls they made."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._environment = environment(
            IMAGINE_TABLE=cloud.make_table(),
            IMAGINE_QUEUE_URL=cloud.make_queue(),
            SLACK_SIGNING_SECRET_REF=f"ssm:{PARAMETER}",
        )
        cloud.clients["ssm"].put_parameter(Name=PARAMETER, Value=SECRET, Type="SecureString", Overwrite=True)
        self.clock = ManualClock(START)
        self.start()

    def start(self) -> None:
        """A process of its own, as Lambda starts one."""
        self.wire = Wire(self._cloud)
        deployed = deployment("slack", self._environment, clients=self.wire.clients)
        cold: Deployment = replace(deployed, clock=self.clock)
        self._front: Front = slack(cold, hard_stop=PATIENCE)

    def calls_of(self, text: str) -> list[str]:
        """The calls that accepting this line takes."""
        self.wire.operations.clear()
        line = event(command(text, trigger=text), at=self.clock.now())
        answer = self._front(line, None)
        assert (answer["statusCode"], answer["body"]) == (200, "")
        return list(self.wire.operations)


@pytest.fixture
def service(cloud: Cloud) -> Service:
    return Service(cloud)


def test_a_cold_accept_reads_the_secrets_and_the_settings_beside(service: Service):
    assert service.calls_of("a fox") == ["GetParameters", "BatchGetItem", *ACCEPT]


def test_a_warm_accept_is_a_transaction_and_a_nudge(service: Service):
    service.calls_of("a fox")
    assert service.calls_of("a bear") == ACCEPT


def test_settings_are_read_once_a_minute(service: Service):
    service.calls_of("a fox")
    service.clock.advance(59)
    assert service.calls_of("a bear") == ACCEPT
    service.clock.advance(2)
    assert service.calls_of("a deer") == ["BatchGetItem", *ACCEPT]
    assert service.calls_of("a hare") == ACCEPT


def test_somebody_whom_the_process_has_not_seen_yet_costs_one_transaction_more(service: Service):
    """It fails for the row as it is, which comes with the refusal, and is sent again with that."""
    service.calls_of("a fox")
    service.start()
    assert service.calls_of("a bear") == ["GetParameters", "BatchGetItem", "TransactWriteItems", *ACCEPT]
