"""The functions over one-machine adapters, the events they get, and what the functions may touch."""

from types import SimpleNamespace

from bot.aws.events import Ours
from bot.domain.job import Address, Job, SinkKind
from bot.services import intake
from bot.services.core import Caller, Core
from tests.unit.services import cores
from tests.unit.services.cores import RememberingEndpoint

TENANT, YOU, ROBIN = "T1", "U1", "U9"
ACCOUNT = "123456789012"
TOPIC = f"arn:aws:sns:us-east-1:{ACCOUNT}:imagine-dev-failed"
QUEUE_ARN = f"arn:aws:sqs:us-east-1:{ACCOUNT}:imagine-dev-nudges"
OURS = Ours(account=ACCOUNT, bucket="imagine-dev-pictures", queue="imagine-dev-nudges", topic=TOPIC)
NOBODYS = "z" * 26


class Refusing:
    """A port of which the named calls raise `error` for ever; `keys` narrows that to some first arguments."""

    def __init__(self, port, *calls, error, keys=None):
        self._port, self._calls, self._error, self._keys = port, calls, error, keys

    def __getattr__(self, name):
        call = getattr(self._port, name)

        def refused(*arguments, **named):
            if self._keys is None or arguments[0] in self._keys:
                raise self._error
            return call(*arguments, **named)

        return refused if name in self._calls else call


def build(**overrides) -> Core:
    """A core in memory, whose endpoint takes four drawings at once; jobs end in the poll sink."""
    return cores.build(**({"endpoint": RememberingEndpoint(window=4)} | overrides))


def with_time(seconds=60.0):
    """Lambda's context with so much time left."""
    return SimpleNamespace(get_remaining_time_in_millis=lambda: int(seconds * 1000))


def accepted(core: Core, text="a red fox", *, key="k1") -> Job:
    """A job that somebody asked for a moment ago."""
    me, poll = Caller(tenant=TENANT, user=YOU), Address(kind=SinkKind.POLL)
    return intake.imagine(core, me, text=text, source_key=key, sink=poll).job


def s3_record(key: str, *, bucket=OURS.bucket, name="ObjectCreated:Put") -> dict:
    """What S3 tells of an object; the key as it stands in the event, URL-encoded."""
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "us-east-1",
        "eventTime": "2026-11-22T12:00:00.000Z",
        "eventName": name,
        "userIdentity": {"principalId": "AWS:AROA:SageMaker"},
        "s3": {
            "s3SchemaVersion": "1.0",
            "bucket": {"name": bucket, "arn": f"arn:aws:s3:::{bucket}"},
            "object": {"key": key, "size": 3, "eTag": "e", "sequencer": "00"},
        },
    }


def sns_record(message: str, *, topic=TOPIC) -> dict:
    """What SNS hands to a function."""
    return {
        "EventVersion": "1.0",
        "EventSource": "aws:sns",
        "EventSubscriptionArn": f"{topic}:1",
        "Sns": {"Type": "Notification", "MessageId": "m", "TopicArn": topic, "Message": message},
    }


def sqs_record(body: str, *, message_id="m1", arn=QUEUE_ARN) -> dict:
    """A message as the event source mapping hands it over."""
    return {
        "messageId": message_id,
        "receiptHandle": "r",
        "body": body,
        "attributes": {"ApproximateReceiveCount": "1"},
        "messageAttributes": {},
        "md5OfBody": "m",
        "eventSource": "aws:sqs",
        "eventSourceARN": arn,
        "awsRegion": "us-east-1",
    }


def records(*of: dict) -> dict:
    return {"Records": list(of)}


def schedule(**changes) -> dict:
    """What the rule sends every minute."""
    return {
        "version": "0",
        "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": ACCOUNT,
        "time": "2026-11-22T12:00:00Z",
        "region": "us-east-1",
        "resources": [],
        "detail": {},
        **changes,
    }
