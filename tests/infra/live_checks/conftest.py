"""A stage with its endpoint for the checks: the stand-in region for SageMaker, moto for the rest."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import pytest

from bot.aws.s3_links import S3Links
from infra.endpoint.place import Place
from infra.live_checks.aws_site import AwsSite
from tests.aws.cloud import Cloud
from tests.contracts.inference_stub import InferenceStub
from tests.infra.endpoint.account import Account
from tests.infra.sagemaker.standing_region import STUB_TRAINER, standing_region

GATEWAY = "https://gateway"


@dataclass(kw_only=True)
class Deployed:
    """The account, and what answers in place of what nobody stands in for: functions, gateway, links."""

    account: Account
    crashing: set[str] = field(default_factory=set)
    invoked: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    expiring: bool = True

    @property
    def site(self) -> AwsSite:
        return AwsSite(
            clients=self.account,
            place=self.account.place,
            links=self.links_of(self.account.place),
            fetch=self.fetch,
            now=self.account.stand.region.now,
            pause=self.pause,
            url=GATEWAY,
        )

    def links_of(self, place: Place) -> S3Links:
        return S3Links(self.account.stand.cloud.clients, bucket=place.bucket)

    def pause(self, seconds: float) -> None:
        """The region's time passes at once; what its threads do takes a moment of ours."""
        self.account.stand.advance(seconds)
        self.account.stand.until(self._idle)

    def _idle(self) -> bool:
        endpoint = self.account.stand.region.hosting.endpoints["imagine-dev"]
        runtime = endpoint.runtime
        return runtime is None or runtime.instances == 0 or runtime.backlog == 0

    def fetch(self, url: str, body: bytes | None, headers: Mapping[str, str]) -> tuple[int, bytes]:
        del headers
        if url.startswith(GATEWAY):
            return (413 if len(body or b"") > 1 << 20 else 401), b""
        self.links.append(url)
        return (403 if self.expiring and self.links.count(url) > 1 else 200), b"1"

    def answer_functions(self) -> None:
        events = self.account["lambda"].meta.events
        events.register("before-call.lambda.Invoke", self._invoke)

    def _invoke(self, params: Mapping[str, Any], **_: Any) -> tuple[Any, Any]:
        name = params["url_path"].split("/")[3]
        self.invoked.append(name)
        failed = {"FunctionError": "Unhandled"} if name in self.crashing else {}
        self.account["cloudwatch"].put_metric_data(
            Namespace="imagine", MetricData=[{"MetricName": "foreign_event", "Value": 1}]
        )
        return SimpleNamespace(status_code=200, headers={}), {"Payload": BytesIO(b"{}"), **failed}

    def deploy_stack(self) -> None:
        """What `imagine deploy` leaves for others to find."""
        stand = self.account.stand
        outputs = {"PicturesBucket": stand.bucket, "ErrorTopic": stand.topic, "HttpApiUrl": GATEWAY}
        template = {
            "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
            "Outputs": {name: {"Value": value} for name, value in outputs.items()},
        }
        self.account["cloudformation"].create_stack(
            StackName="imagine-dev", TemplateBody=json.dumps(template)
        )


@dataclass(frozen=True)
class InRegion:
    """Stands in for `AwsClients`."""

    account: Account
    region: str = "us-east-1"

    def __getitem__(self, service: str) -> Any:
        return self.account[service]


@contextmanager
def deployed_stage(container: InferenceStub) -> Iterator[Deployed]:
    with standing_region(Cloud(), container_url=container.url, trainer=STUB_TRAINER) as stand:
        account = Account(stand=stand)
        account.apply()
        made = Deployed(account=account)
        made.answer_functions()
        yield made


@pytest.fixture
def deployed(container: InferenceStub) -> Iterator[Deployed]:
    with deployed_stage(container) as made:
        yield made
