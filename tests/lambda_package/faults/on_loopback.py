"""The deployed functions, each in a process of its own as on AWS, and microburst between them and AWS.

What AWS does between the functions is done by `tests.scenarios.on_aws`; AWS itself is moto and the stand-in
for SageMaker.
"""

import dataclasses
import itertools
import json
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from bot import bootstrap_aws
from bot.bootstrap_aws import deployment
from bot.functions.attempts import HandlerFailed
from bot.services.settings import CATALOGUE, change
from infra.local.slack.testing import LocalSlack
from infra.rehearsal.microburst import Wire, passing_on
from tests.aws.environment import AWS
from tests.lambda_package.runtime_api import Function
from tests.scenarios.on_aws import OnAws, account
from tests.scenarios.one_machine import TIMES
from tests.scenarios.stack import Stack

QUICK = Path(__file__).parent / "task_root"
NAMES = ("slack", "worker", "result", "failure", "sweep", "admin")
SECONDS = 90.0
"""The functions' time-out in serverless.yml."""

FAULTY_TIMES = dataclasses.replace(
    TIMES,
    lease=15.0,
    sweep_every=0.5,
    audit_after=3600.0,
    request_ttl=20.0,
    invocation_timeout=20.0,
    endpoint_patience=3600.0,
)
"""A lease outlives what a function may hang for, as on AWS. `request_ttl` and `invocation_timeout` together
are how long a submission is waited for that may never have arrived.
"""

Unpacked = Callable[[str], Path]


class PackedFunctions:
    """The functions as processes, each started at its first event; an error of one is raised as what Lambda
    makes of it: come again.
    """

    def __init__(self, unpacked: Unpacked, *, python: Path, environment: dict[str, str]) -> None:
        self._turns = {name: threading.Lock() for name in NAMES}
        self._running: dict[str, Function] = {}
        self._settings: dict[str, Mapping[str, str]] = {}
        self._unpacked, self._python, self._environment = unpacked, python, environment

    def __getattr__(self, name: str) -> Callable[[Any, object], Any]:
        if name not in NAMES:
            raise AttributeError(name)

        def invoke(event: Any, _context: object) -> Any:
            with self._turns[name]:
                answer = self._started(name).invoke(event, seconds=SECONDS)
            if answer.error is not None:
                raise HandlerFailed(f"{name}: {answer.error}")
            return answer.value

        return invoke

    @property
    def log(self) -> str:
        return "".join(function.log for function in self._running.values())

    def start_anew(self, *names: str, settings: Mapping[str, str] | None = None) -> None:
        """End these processes and start new ones, which have read nothing yet: no secret, no setting.

        `settings` are theirs beside everybody's, until they are started anew once more.
        """
        for name in names:
            self._end(name)
            self._settings[name] = settings or {}
            with suppress(HandlerFailed):
                getattr(self, name)({}, None)

    def close(self) -> None:
        for name in NAMES:
            self._end(name)

    def _started(self, name: str) -> Function:
        if name not in self._running:
            folder = self._unpacked("accept" if name == "slack" else "work")
            environment = {**self._environment, **self._settings.get(name, {})}
            function = Function(f"quick.{name}", folder=folder, python=self._python, environment=environment)
            self._running[name] = function.__enter__()
        return self._running[name]

    def _end(self, name: str) -> None:
        with self._turns[name]:
            if name in self._running:
                self._running.pop(name).__exit__()


class OnLoopback(OnAws):
    """`aws` and `sagemaker` are the wires: the first to everything but SageMaker's runtime. `orders` are
    those which the admin function has not done with.
    """

    def __init__(
        self,
        slack: LocalSlack,
        *,
        endpoint_url: str,
        home: Path,
        unpacked: Unpacked,
        python: Path,
    ) -> None:
        dead = {"IMAGINE_DEAD_NUDGES_URL": account().make_queue()}
        super().__init__(slack, endpoint_url=endpoint_url, home=home, times=FAULTY_TIMES, settings=dead)
        self._unpacked, self._python = unpacked, python
        self._seeds = itertools.count(1)
        self.orders: list[Mapping[str, Any]] = []
        self.aws, self.sagemaker = Wire.anywhere(), Wire.anywhere()
        self._wires = ExitStack()
        gateway = self._wires.enter_context(self._cloud.gateway(self._answer))
        self._wires.enter_context(passing_on(self.aws, upstream=gateway, log=home / "aws.log"))
        runtime = passing_on(self.sagemaker, upstream=self._runtime.url, log=home / "sagemaker.log")
        self._wires.enter_context(runtime)
        self._managed = self._endpoint_name
        self._cloud.clients["secretsmanager"].create_secret(
            Name=self._managed, SecretString=self._secret(slack.bot_token)
        )

    @property
    def log(self) -> str:
        return self.packed.log

    def fresh_seed(self) -> int:
        """About a line with the same one the bot would ask."""
        return next(self._seeds)

    def secrets_in(self, store: str) -> dict[str, str]:
        """Settings of a function that reads them in `ssm` or `secretsmanager`."""
        if store == "ssm":
            return {}
        return {
            f"SLACK_{secret}_REF": f"{store}:{self._managed}#{key}"
            for secret, key in (("BOT_TOKEN", "token"), ("SIGNING_SECRET", "signing"))
        }

    def store_token(self, token: str) -> None:
        """As `imagine secrets set` does."""
        _, _, name = self._stack_settings["SLACK_BOT_TOKEN_REF"].partition(":")
        ssm, manager = self._cloud.clients["ssm"], self._cloud.clients["secretsmanager"]
        ssm.put_parameter(Name=name, Value=token, Type="SecureString", Overwrite=True)
        manager.put_secret_value(SecretId=self._managed, SecretString=self._secret(token))

    def forget_release(self) -> None:
        """Nobody has looked yet at what the endpoint draws with."""
        change(self._looking.cells, CATALOGUE, lambda _: {})

    def run_instance(self) -> None:
        """Whoever sent the endpoint to sleep has woken it again."""
        running = {"VariantName": "AllTraffic", "DesiredInstanceCount": 1}
        self._cloud.clients["sagemaker"].update_endpoint_weights_and_capacities(
            EndpointName=self._endpoint_name, DesiredWeightsAndCapacities=[running]
        )

    def _secret(self, token: str) -> str:
        return json.dumps({"token": token, "signing": self._slack.signing_secret})

    def _answer(self, request: AWSPreparedRequest) -> AWSResponse | None:
        """AWS's; an order to the admin function reaches it by `_on_order`."""
        is_lambdas = urlsplit(request.url).netloc.startswith("lambda.")
        return (self.invocations if is_lambdas else self._cloud).answer(request)

    def _on_order(self, function: str, event: dict[str, Any]) -> None:
        self.orders.append(event)
        super()._on_order(function, event)

    def _invoke(self, function: str, event: dict[str, Any]) -> None:
        try:
            super()._invoke(function, event)
        finally:
            if event in self.orders:
                self.orders.remove(event)

    def queue_depth(self) -> dict[str, str]:
        """How many messages wait, are delayed and are being worked on."""
        url, sqs = self._stack_settings["IMAGINE_QUEUE_URL"], self._cloud.clients["sqs"]
        reply = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        told: dict[str, str] = reply["Attributes"]
        return {name: count for name, count in told.items() if name.startswith("ApproximateNumber")}

    def close(self) -> None:
        super().close()
        self._wires.close()

    def _build(self) -> None:
        reading = deployment("test", self._stack_settings, clients=self._cloud.clients)
        self._looking = bootstrap_aws.core_of(reading, sinks={})
        self.packed = PackedFunctions(self._unpacked, python=self._python, environment=self._environment)
        self._functions: Any = self.packed
        self.packed.start_anew("slack", "worker", "result")  # warm, as they are on AWS at any busy time
        self.sweep()

    def _end_processes(self) -> None:
        packed = self._functions
        super()._end_processes()
        if packed is not None:
            packed.close()

    @property
    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            **AWS,
            **self._stack_settings,
            "AWS_ENDPOINT_URL": self.aws.url,
            "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": self.sagemaker.url,
            "PYTHONPATH": str(QUICK),
            "QUICK_TIMES": json.dumps(dataclasses.asdict(FAULTY_TIMES)),
        }

    def sweep(self) -> None:
        with suppress(HandlerFailed):  # the next one comes in half a second
            super().sweep()

    def _work_on(self, message: Any) -> None:
        with suppress(HandlerFailed):  # the message comes again
            super()._work_on(message)


def bot_of(world: Stack) -> OnLoopback:
    """The world's bot, which has wires."""
    assert isinstance(world.bot, OnLoopback)
    return world.bot
