"""The adapter set of AWS: the Lambda functions over moto and a stand-in endpoint.

What AWS does between the functions is done here, with AWS's semantics and in AWS's words: the gateway turns
requests into events, the queue's messages come in batches and come again when they are not done, what lands
in the bucket and what the topic is told are events that are repeated when their function fails.
"""

import base64
import dataclasses
import functools
import io
import itertools
import json
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from botocore.awsrequest import AWSPreparedRequest
from botocore.compat import HTTPHeaders
from botocore.config import Config as ClientConfig

from bot import bootstrap_api, bootstrap_aws, bootstrap_front, bootstrap_workers, config
from bot.aws.clients import Clients
from bot.aws.endpoint_control import DIMENSION
from bot.aws.journal import LambdaJournal
from bot.bootstrap_aws import Deployment
from bot.domain.job import Job, output_key
from bot.domain.times import Times
from bot.functions.attempts import HandlerFailed
from bot.http_api.keys import NewKey, create
from bot.local.journal import ListJournal
from bot.local.system import SystemClock
from bot.local.web_server import WebServer
from bot.ports import Endpoint, EndpointState
from bot.services.core import Core, Refit
from bot.services.settings import Bulletin
from bot.slack.receiver import Response
from bot.slack.web import SlackWeb
from infra.local.sagemaker.container import Container
from infra.local.sagemaker.endpoint import AsyncEndpoint, EndpointConfig
from infra.local.sagemaker.faults import Faults
from infra.local.sagemaker.runtime import SagemakerRuntime
from infra.local.slack.testing import LocalSlack
from tests.aws.cloud import Cloud
from tests.aws.invocations import Invocations
from tests.scenarios.looking import TEAM, Looking
from tests.scenarios.mortality import Fate, Killed
from tests.scenarios.one_machine import SIDE, STEPS, TIMES
from tests.scenarios.stack import PATIENCE, ROBIN

MODEL = "imagine-test"
ROLE = "arn:aws:iam::123456789012:role/imagine-endpoint"
VARIANT = {"VariantName": "AllTraffic", "InstanceType": "ml.g4dn.xlarge", "InitialInstanceCount": 1}
ADMIN_FUNCTION = "imagine-test-admin"
POLL_SECONDS = 0.02
WATCHED = ("dynamodb", "s3", "sqs", "ssm", "sagemaker", "cloudwatch")
RETRIES = (0.2, 0.5)
"""Lambda's two retries of an asynchronous event, whose pauses are minutes there."""

NUMBERS = itertools.count(1)


@functools.cache
def account() -> Cloud:
    """One account for all scenarios; each has a table, bucket, queue and topic of its own in it."""
    cloud = Cloud()
    sagemaker = cloud.clients["sagemaker"]
    sagemaker.create_model(ModelName=MODEL, ExecutionRoleArn=ROLE)
    variants = [{**VARIANT, "ModelName": MODEL}]
    sagemaker.create_endpoint_config(EndpointConfigName=MODEL, ProductionVariants=variants)
    return cloud


class Context:
    """Lambda's context object of a function with a minute to go."""

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call of AWS that a function made: the service, the operation and its arguments."""

    service: str
    operation: str
    arguments: Mapping[str, Any]


class RoutedClients(Clients):
    """Clients of the account for the functions alone, and of the runtime of a stand-in endpoint.

    `calls` are those made since `watch` was called.
    """

    def __init__(self, cloud: Cloud, *, runtime_url: str, invocations: Invocations) -> None:
        self._cloud = cloud
        self._watched: Clients | None = None
        self.calls: list[Call] = []
        once = ClientConfig(retries={"total_max_attempts": 1})
        self._runtime = cloud.session().create_client(
            "sagemaker-runtime", endpoint_url=runtime_url, config=once
        )
        self._routed = {"sagemaker-runtime": self._runtime, "lambda": invocations.client}

    def watch(self) -> None:
        """Write down every call from now on, in clients of their own."""
        self._watched = Clients(self._cloud.session())
        for service in (*WATCHED, "sagemaker-runtime"):
            self[service].meta.events.register_first(
                "provide-client-params.*.*", functools.partial(self._note, service)
            )

    def _note(self, service: str, params: Mapping[str, Any], model: Any, **_: Any) -> None:
        self.calls.append(Call(service=service, operation=model.name, arguments=params))

    def close(self) -> None:
        self._runtime.close()

    def __getitem__(self, service: str) -> Any:
        if service in self._routed:
            return self._routed[service]
        return (self._watched or self._cloud.clients)[service]


class Narrowed:
    """An endpoint with a window of its own, and no memory of how it was last seen."""

    def __init__(self, endpoint: Endpoint, *, window: int, bulletin: Bulletin | None) -> None:
        self._endpoint = endpoint
        self._window = window
        self._bulletin = bulletin

    def __getattr__(self, name: str) -> Any:
        return getattr(self._endpoint, name)

    def state(self) -> EndpointState:
        if self._bulletin is not None:
            self._bulletin.forget()
        return dataclasses.replace(self._endpoint.state(), window=self._window)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TrackedDeployment(Deployment):
    """Remembers its connections to Slack, so that the end of a process can close them as a real one does."""

    opened: list[SlackWeb] = dataclasses.field(default_factory=list)

    def web(self) -> SlackWeb:
        web = Deployment.web(self)
        self.opened.append(web)
        return web


class Functions:
    """The deployed functions, each built as at its first event."""

    def __init__(self, deployed: Deployment, refit: Refit) -> None:
        self.slack = bootstrap_front.slack(deployed, refit=refit, hard_stop=PATIENCE)
        self.worker = bootstrap_workers.worker(deployed, refit=refit)
        self.result = bootstrap_workers.result(deployed, refit=refit)
        self.failure = bootstrap_workers.failure(deployed, refit=refit)
        self.sweep = bootstrap_workers.sweep(deployed, refit=refit)
        self.admin = bootstrap_workers.admin(deployed, refit=refit)
        self.api = bootstrap_api.api(deployed, refit=refit)


class OnAws(Looking):
    """The bot of one workspace as deployed, with times in fractions of seconds.

    A message of the queue that is not done within `visibility` seconds comes again.
    """

    def __init__(
        self,
        slack: LocalSlack,
        *,
        endpoint_url: str,
        home: Path,
        times: Times = TIMES,
        settings: Mapping[str, str] | None = None,
        http_api: bool = False,
        visibility: int = 1,
    ) -> None:
        del home, http_api  # the gateway has all routes
        self._slack = slack
        self._cloud = account()
        self._times = dataclasses.replace(times, sweep_every=max(times.sweep_every, 0.3))
        self._log = io.StringIO()
        chosen = dict(settings or {})
        self._window = int(chosen.pop("IMAGINE_WINDOW", "3"))
        self._stack_settings = self._deploy(chosen, visibility)
        self._events: queue.SimpleQueue[tuple[str, dict[str, Any]] | None] = queue.SimpleQueue()
        self._runtime = self._start_endpoint(endpoint_url)
        self.invocations = Invocations(self._cloud, self._on_order)
        self._clients = RoutedClients(
            self._cloud, runtime_url=self._runtime.url, invocations=self.invocations
        )
        self._functions: Functions | None = None
        self._connections: list[SlackWeb] = []
        self._fate = Fate()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._server = WebServer(self._request, journal=ListJournal())
        self._server.start()
        slack.connect_bot(f"{self.url}/slack/events")

    # What the scenarios ask for

    def open(self) -> None:
        """Start working."""
        self._build()
        self._begin(self._poll_queue, self._deliver_events, self._keep_sweeping)

    def open_without_messages(self) -> None:
        """Take requests, but lose every nudge and event: only `sweep` works on jobs."""
        self._build()

    def release(self, catalogue: Mapping[str, Any], *, published: str) -> None:
        """The endpoint draws with this release, and `published` is what the next update brings."""
        sagemaker, s3, name = self._cloud.clients["sagemaker"], self._cloud.clients["s3"], self._endpoint_name
        bucket, prefix = self._cloud.make_bucket(), f"models/releases/{catalogue['release']}/"
        s3.put_object(Bucket=bucket, Key=f"{prefix}catalogue.json", Body=json.dumps(catalogue).encode())
        told = json.dumps({"release": published}).encode()
        s3.put_object(Bucket=bucket, Key="models/published.json", Body=told)
        source = {"S3Uri": f"s3://{bucket}/{prefix}", "S3DataType": "S3Prefix", "CompressionType": "None"}
        container = {"Image": "imagine", "ModelDataSource": {"S3DataSource": source}}
        sagemaker.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container)
        variants = [{**VARIANT, "ModelName": name}]
        sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=variants)
        sagemaker.delete_endpoint(EndpointName=name)
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)

    def open_without_sweeps(self) -> None:
        """Start working, but for the sweep."""
        self._build()
        self._begin(self._poll_queue, self._deliver_events)

    def is_idle(self) -> bool:
        """No message waits or is being worked on."""
        url, sqs = self._stack_settings["IMAGINE_QUEUE_URL"], self._cloud.clients["sqs"]
        told = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        return not any(int(told[name]) for name in told if name.startswith("ApproximateNumberOfMessages"))

    def watch_calls(self) -> list[Call]:
        """The calls that the functions make from now on."""
        self._clients.watch()
        return self._clients.calls

    def close(self) -> None:
        """End in good order."""
        self._end_processes()
        self._clients.close()
        self._runtime.close()
        self._server.close()

    def die(self) -> None:
        """Every process ends where it is: nothing more is written; what AWS holds stays."""
        self._fate.kill()
        self._end_processes()
        self._fate = Fate()

    def die_at(self, call: str, *, after: bool, nth: int = 1) -> None:
        self._fate.plan(call, after=after, nth=nth)

    def sweep(self) -> None:
        """One sweep of everything that is due. Raises Killed where `die_at` planned it."""
        self._ready.sweep(self._tick(), Context())

    def lose_endpoint(self) -> None:
        """Somebody deletes the endpoint, and the sweep has seen it."""
        self._cloud.clients["sagemaker"].delete_endpoint(EndpointName=self._endpoint_name)
        self._runtime.endpoint.scale(status="Deleting")
        self.sweep()

    def restore_endpoint(self) -> None:
        """It is made again."""
        self._cloud.clients["sagemaker"].create_endpoint(
            EndpointName=self._endpoint_name, EndpointConfigName=MODEL
        )
        self._runtime.endpoint.scale(status="InService")
        self.sweep()

    @property
    def endpoint_faults(self) -> Faults:
        """Switches that make the endpoint misbehave."""
        return self._runtime.endpoint.faults

    def set_up_scaling(self) -> Callable[[], int]:
        """`imagine endpoint apply` has registered the target; what is returned looks at its minimum."""
        scaling = self._cloud.clients["application-autoscaling"]
        resource = f"endpoint/{self._endpoint_name}/variant/AllTraffic"
        target = {"ServiceNamespace": "sagemaker", "ScalableDimension": DIMENSION}
        scaling.register_scalable_target(**target, ResourceId=resource, MinCapacity=0, MaxCapacity=1)

        def minimum() -> int:
            reply = scaling.describe_scalable_targets(**target, ResourceIds=[resource])
            return int(reply["ScalableTargets"][0]["MinCapacity"])

        return minimum

    def repeat_result_event(self, job: Job) -> None:
        self._ready.result(self._arrival(output_key(job)), Context())

    @property
    def log(self) -> str:
        return self._log.getvalue()

    @property
    def url(self) -> str:
        return self._server.url

    @property
    def api_url(self) -> str:
        return self._server.url

    def new_key(self, name: str) -> NewKey:
        return create(self._looking.cells, name=name, now=time.time())

    def open_link(self, url: str) -> bytes:
        """S3 answers whoever has the link."""
        request = AWSPreparedRequest("GET", url, HTTPHeaders(), b"", stream_output=False)
        answer = self._cloud.answer(request)
        assert answer is not None
        assert answer.status_code == 200, answer.content
        return bytes(answer.content)

    # What `imagine deploy` and `imagine endpoint` would have made

    def _deploy(self, chosen: dict[str, str], visibility: int) -> dict[str, str]:
        cloud, name = self._cloud, f"imagine-test-{next(NUMBERS)}"
        secrets = {
            "token": self._slack.bot_token,
            "signing": chosen.pop("SLACK_SIGNING_SECRET", self._slack.signing_secret),
            "signing-old": chosen.pop("SLACK_SIGNING_SECRET_OLD", ""),
        }
        for secret, value in secrets.items():
            if value:
                cloud.clients["ssm"].put_parameter(Name=f"/{name}/{secret}", Value=value, Type="SecureString")
        cloud.clients["sagemaker"].create_endpoint(EndpointName=name, EndpointConfigName=MODEL)
        return {
            "IMAGINE_TABLE": cloud.make_table(),
            "IMAGINE_BUCKET": cloud.make_bucket(),
            "IMAGINE_BUCKET_OWNER": cloud.account_id,
            "IMAGINE_QUEUE_URL": cloud.make_queue(VisibilityTimeout=str(visibility)),
            "IMAGINE_ERROR_TOPIC": cloud.make_topic(),
            "IMAGINE_ENDPOINT": name,
            "IMAGINE_ADMIN_FUNCTION": ADMIN_FUNCTION,
            "SLACK_BOT_TOKEN_REF": f"ssm:/{name}/token",
            "SLACK_SIGNING_SECRET_REF": f"ssm:/{name}/signing",
            "SLACK_TEAM_ID": TEAM,
            "SLACK_API_URL": self._slack.api_url,
            "IMAGINE_ADMINS": ROBIN,
            "IMAGINE_SIZE": str(SIDE),
            "IMAGINE_STEPS": str(STEPS),
            "IMAGINE_CALLBACK_LOOPBACK": "on",
            **chosen,
        }

    def _start_endpoint(self, container_url: str) -> SagemakerRuntime:
        bucket = self._stack_settings["IMAGINE_BUCKET"]
        endpoint = AsyncEndpoint(
            EndpointConfig(
                name=self._stack_settings["IMAGINE_ENDPOINT"],
                output_path=f"s3://{bucket}/out/",
                failure_path=f"s3://{bucket}/failed/",
                error_topic=self._stack_settings["IMAGINE_ERROR_TOPIC"],
            ),
            container=Container(container_url),
            s3=self._cloud.clients["s3"],
            sns=self._cloud.clients["sns"],
            on_object=lambda _bucket, key: self._on_object(key),
            on_notice=lambda topic, message: self._events.put(("failure", _notice(topic, message))),
        )
        return SagemakerRuntime(endpoint)

    def _build(self) -> None:
        deployed = TrackedDeployment(
            settings=config.load_deployed(self._stack_settings),
            clients=self._clients,
            clock=SystemClock(),
            journal=LambdaJournal(service=f"scenario-{next(NUMBERS)}", function="all", stream=self._log),
            opened=self._connections,
        )
        reading = dataclasses.replace(deployed, clients=self._cloud.clients)
        self._looking = bootstrap_aws.core_of(reading, sinks={})
        self._functions = Functions(deployed, self._refit)
        self.sweep()

    def _end_processes(self) -> None:
        self._stopping.set()
        if self._threads:
            self._events.put(None)
        for thread in self._threads:
            thread.join()
        self._threads = []
        while self._connections:
            self._connections.pop().close()
        self._functions = None

    def _refit(self, core: Core) -> Core:
        around = self._fate.around
        forgetful = core.bulletin if self._times.settings_for == 0 else None
        narrowed = Narrowed(core.endpoint, window=self._window, bulletin=forgetful)
        return dataclasses.replace(
            core,
            policy=dataclasses.replace(core.policy, times=self._times),
            jobs=around("jobs", core.jobs),
            objects=around("objects", core.objects),
            endpoint=around("endpoint", narrowed),
            sinks={kind: around("sink", sink) for kind, sink in core.sinks.items()},
        )

    @property
    def _endpoint_name(self) -> str:
        return self._stack_settings["IMAGINE_ENDPOINT"]

    @property
    def _ready(self) -> Functions:
        assert self._functions is not None
        return self._functions

    # What AWS does between the functions

    def _request(self, method: str, path: str, headers: Sequence[tuple[str, str]], body: bytes) -> Response:
        if self._functions is None:
            return Response(status=503, headers={}, body=b"")
        function = self._ready.api if path.startswith("/v1/") else self._ready.slack
        answer = function(_gateway_event(method, path, headers, body), Context())
        return Response(status=answer["statusCode"], headers=answer["headers"], body=answer["body"].encode())

    def _poll_queue(self) -> None:
        url, sqs = self._stack_settings["IMAGINE_QUEUE_URL"], self._cloud.clients["sqs"]
        with ThreadPoolExecutor(2) as workers:
            while not self._stopping.wait(POLL_SECONDS):
                reply = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=5)
                for message in reply.get("Messages", []):
                    workers.submit(self._work_on, message)

    def _work_on(self, message: Mapping[str, Any]) -> None:
        url = self._stack_settings["IMAGINE_QUEUE_URL"]
        try:
            answer = self._ready.worker(self._batch(message), Context())
        except Killed:
            return  # the message comes again
        if not answer["batchItemFailures"]:
            self._cloud.clients["sqs"].delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    def _on_order(self, function: str, event: dict[str, Any]) -> None:
        assert function == ADMIN_FUNCTION
        self._events.put(("admin", event))

    def _on_object(self, key: str) -> None:
        function = "result" if key.startswith("out/") else "failure"
        self._events.put((function, self._arrival(key)))

    def _deliver_events(self) -> None:
        with ThreadPoolExecutor(2) as invocations:
            while (told := self._events.get()) is not None:
                invocations.submit(self._invoke, *told)

    def _invoke(self, function: str, event: dict[str, Any]) -> None:
        for pause in (*RETRIES, None):
            try:
                getattr(self._ready, function)(event, Context())
            except Killed:
                self._events.put((function, event))
            except HandlerFailed:
                if pause is None:
                    raise
                time.sleep(pause)
                continue
            return

    def _keep_sweeping(self) -> None:
        while not self._stopping.wait(self._times.sweep_every):
            try:
                self.sweep()
            except Killed:
                return

    def _begin(self, *loops: Callable[[], None]) -> None:
        self._stopping.clear()
        self._threads = [threading.Thread(target=loop, name=loop.__name__) for loop in loops]
        for thread in self._threads:
            thread.start()

    # Events in AWS's words

    def _tick(self) -> dict[str, Any]:
        return {"detail-type": "Scheduled Event", "source": "aws.events", "account": self._cloud.account_id}

    def _arrival(self, key: str) -> dict[str, Any]:
        bucket = {"name": self._stack_settings["IMAGINE_BUCKET"]}
        s3 = {"bucket": bucket, "object": {"key": key, "size": 1}}
        return {"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": s3}]}

    def _batch(self, message: Mapping[str, Any]) -> dict[str, Any]:
        source = self._cloud.queue_arn(self._stack_settings["IMAGINE_QUEUE_URL"])
        record = {
            "messageId": message["MessageId"],
            "body": message["Body"],
            "eventSource": "aws:sqs",
            "eventSourceARN": source,
        }
        return {"Records": [record]}


def _notice(topic: str, message: str) -> dict[str, Any]:
    told = {"TopicArn": topic, "Message": message, "Type": "Notification"}
    return {"Records": [{"EventSource": "aws:sns", "EventVersion": "1.0", "Sns": told}]}


def _gateway_event(method: str, path: str, headers: Sequence[tuple[str, str]], body: bytes) -> dict[str, Any]:
    """An HTTP API event, format 2.0: repeated headers are joined by commas."""
    joined: dict[str, str] = {}
    for name, value in headers:
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    path, _, query = path.partition("?")
    http = {"method": method, "path": path}
    try:
        text, is_base64 = body.decode(), False
    except UnicodeDecodeError:
        text, is_base64 = base64.b64encode(body).decode(), True
    return {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": query,
        "headers": joined,
        "requestContext": {"http": http, "timeEpoch": int(time.time() * 1000)},
        "body": text,
        "isBase64Encoded": is_base64,
    }
