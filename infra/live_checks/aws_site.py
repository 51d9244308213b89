"""A deployed stage with its endpoint, as the checks use it."""

import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any

from botocore.exceptions import ClientError

from bot.aws.clients import ServiceClients
from bot.aws.s3_links import S3Links
from infra.endpoint.drawing import request_for
from infra.endpoint.place import VARIANT, Place
from infra.endpoint.wanted import DIMENSION
from infra.live_checks.check import NotNow

Fetch = Callable[[str, bytes | None, Mapping[str, str]], tuple[int, bytes]]
"""Status and body of an address: a GET, or a POST where there is a body. Raises OSError."""

LOOK = 10.0
"""Seconds between two looks."""

COLD = 30 * 60.0
"""Seconds within which an endpoint that sleeps has drawn."""

PICTURE = json.dumps(request_for("a red apple", side=256)).encode()
NONSENSE = b'{"prompt": 7}'
FOLDER = "smoke"


@dataclass(frozen=True, kw_only=True)
class AwsSite:
    """`now` is AWS's own Unix seconds (`aws_time`), `pause` lets some pass, `look` is how many between two
    looks. `links` are made as the bot makes them. `url` is the gateway's, "" where none is deployed.
    """

    clients: ServiceClients
    place: Place
    links: S3Links
    fetch: Fetch
    now: Callable[[], float]
    pause: Callable[[float], None]
    url: str = ""
    look: float = LOOK

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """The endpoint's config. Raises NotNow without an endpoint."""
        told = self.endpoint()
        found: Mapping[str, Any] = self.clients["sagemaker"].describe_endpoint_config(
            EndpointConfigName=told["EndpointConfigName"]
        )
        return found

    @property
    def variant(self) -> Mapping[str, Any]:
        """The one production variant. Raises NotNow."""
        found: Mapping[str, Any] = self.config["ProductionVariants"][0]
        return found

    @property
    def target(self) -> dict[str, str]:
        """What Application Auto Scaling calls the endpoint's capacity."""
        return {
            "ServiceNamespace": "sagemaker",
            "ResourceId": f"endpoint/{self.place.name}/variant/{VARIANT}",
            "ScalableDimension": DIMENSION,
        }

    def endpoint(self) -> Mapping[str, Any]:
        """Raises NotNow."""
        try:
            told: Mapping[str, Any] = self.clients["sagemaker"].describe_endpoint(
                EndpointName=self.place.name
            )
        except ClientError as error:
            if "Could not find" not in error.response["Error"]["Message"]:
                raise
            raise NotNow(
                f"there is no endpoint; imagine endpoint apply --stage {self.place.stage}"
            ) from error
        return told

    def instances(self) -> int:
        """Raises NotNow."""
        return int(self.endpoint()["ProductionVariants"][0].get("CurrentInstanceCount", 0))

    def invoke(
        self, undo: ExitStack, *, name: str, body: bytes | None = None, **changed: Any
    ) -> Mapping[str, Any]:
        """Hand a request in; its objects are removed in the end. `name` is the output's, unique in a run.

        Raises NotNow without an endpoint.
        """
        self.endpoint()
        sent = {
            "EndpointName": self.place.name,
            "Body": body or PICTURE,
            "ContentType": "application/json",
            "InferenceId": f"{FOLDER}.{name}",
            "Filename": f"{name}.out",
            "S3OutputPathExtension": f"{FOLDER}/",
            **changed,
        }
        told: Mapping[str, Any] = self.clients["sagemaker-runtime"].invoke_endpoint_async(**sent)
        for location in (told["OutputLocation"], told.get("FailureLocation")):
            if location:
                undo.callback(self.delete, location)
        return told

    def until(self, holds: Callable[[], bool], *, patience: float) -> float | None:
        """Seconds until it held, None when it never did."""
        began = self.now()
        while not holds():
            if self.now() - began >= patience:
                return None
            self.pause(self.look)
        return self.now() - began

    def there(self, location: str) -> bool:
        """Whether an `s3://` object is there."""
        return self.read(location) is not None

    def answered(self, told: Mapping[str, Any], *, patience: float = COLD) -> float | None:
        """Seconds until an invocation's output or failure was there, None for neither."""
        places = [place for place in (told["OutputLocation"], told.get("FailureLocation")) if place]
        return self.until(lambda: any(self.there(place) for place in places), patience=patience)

    def read(self, location: str) -> bytes | None:
        bucket, _, key = location.removeprefix("s3://").partition("/")
        try:
            body: bytes = self.clients["s3"].get_object(Bucket=bucket, Key=key)["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("NoSuchKey", "404", "AccessDenied"):
                raise
            return None
        return body

    def delete(self, location: str) -> None:
        bucket, _, key = location.removeprefix("s3://").partition("/")
        self.clients["s3"].delete_object(Bucket=bucket, Key=key)

    def asleep(self, undo: ExitStack) -> None:
        """Have no instance, and none started, until the check is over. Raises NotNow when some run on."""
        self.endpoint()
        scaling = self.clients["application-autoscaling"]
        found = scaling.describe_scalable_targets(
            ServiceNamespace="sagemaker", ResourceIds=[self.target["ResourceId"]]
        )["ScalableTargets"]
        if not found:
            raise NotNow("the endpoint has no scalable target: it never sleeps")
        bounds = {name: found[0][name] for name in ("MinCapacity", "MaxCapacity")}
        undo.callback(scaling.register_scalable_target, **self.target, **bounds)
        scaling.register_scalable_target(**self.target, MinCapacity=0, MaxCapacity=0)
        if self.until(lambda: self.instances() == 0, patience=COLD) is None:
            raise NotNow("the endpoint did not fall asleep within half an hour")

    def settled(self) -> None:
        """Wait for an endpoint that changes."""
        self.until(lambda: self.endpoint()["EndpointStatus"] not in ("Creating", "Updating"), patience=COLD)


def aws_time(clients: ServiceClients) -> float:
    """Unix seconds as SageMaker's answers bear them. Schedules and metrics go by AWS's clock, and that of the
    machine that asks may be off.
    """
    told = clients["sagemaker"].list_endpoints(MaxResults=1)["ResponseMetadata"]["HTTPHeaders"]
    return parsedate_to_datetime(told["date"]).timestamp()


def refusal_of(call: Callable[[], object]) -> str | None:
    """The service's sentence, None where it took the call."""
    try:
        call()
    except ClientError as error:
        return f"{error.response['Error']['Code']}: {error.response['Error']['Message']}"
    return None
