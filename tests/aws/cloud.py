"""AWS in this process: unmodified botocore clients whose requests moto answers. No network, no settings.

    def test_something(cloud):
        SomeAdapter(cloud.clients, bucket=cloud.make_bucket())

Every Cloud is an AWS account of its own and every make_… returns a fresh, uniquely named thing, so one
Cloud serves a whole test session. Requests are answered one at a time: moto itself is not safe for
threads, and one at a time is also what a conditional write promises.
"""

import itertools
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import botocore.loaders
import botocore.session
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from moto.core.botocore_stubber import BotocoreStubber

from bot.aws.clients import Clients
from bot.aws.table import TIME_TO_LIVE, table_properties

REGION = "us-east-1"
_ACCOUNTS = itertools.count(100_000_000_001)
Answer = Callable[[AWSPreparedRequest], AWSResponse | None]


class Cloud:
    """One AWS account, empty at first."""

    _loader = botocore.loaders.create_loader()  # what it has read of the services holds for every account

    def __init__(self) -> None:
        self.region = REGION
        self.account_id = str(next(_ACCOUNTS))
        self._stubber = BotocoreStubber()
        self._stubber.enabled = True
        self._turn = threading.RLock()
        self._names = itertools.count(1)
        self.clients = self.new_clients()

    def new_clients(self) -> Clients:
        """Clients of their own, for a test that registers event handlers on them or counts their calls."""
        return Clients(self.session())

    def session(self) -> botocore.session.Session:
        """A botocore session with credentials that look like nobody's and no settings from outside."""
        session = botocore.session.Session()
        session.register_component("data_loader", self._loader)
        for name, value in (
            ("region", self.region),
            ("config_file", os.devnull),
            ("credentials_file", os.devnull),
        ):
            session.set_config_variable(name, value)
        session.set_credentials("testing", "testing", "testing")
        events: Any = session.get_component("event_emitter")
        events.register("before-send", self.answer)
        return session

    def answer(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse | None:
        """What AWS answers; None for an address outside AWS, which then goes over the (loopback) network.

        A `before-send` handler. A test's own handler may call it to let a request have its effect, and then
        raise instead of returning the answer.
        """
        request.headers["x-moto-account-id"] = self.account_id
        if isinstance(request.body, bytearray):  # botocore sends one, moto reads bytes alone
            request.body = bytes(request.body)
        with self._turn:
            return self._stubber("before-send", request)

    @contextmanager
    def gateway(self, answer: Answer | None = None) -> Iterator[str]:
        """The URL at which another process reaches this account while the block lasts.

        Give it as `AWS_ENDPOINT_URL`, with any credentials and this region. `answer` is asked in place of
        this account's own.
        """
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Gateway, answer or self.answer))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def make_table(self) -> str:
        """The name of a new, empty table as `bot.aws.table` defines it."""
        name = self._name("table")
        dynamodb = self.clients["dynamodb"]
        dynamodb.create_table(TableName=name, **table_properties())
        dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=TIME_TO_LIVE)
        return name

    def make_bucket(self) -> str:
        """The name of a new bucket, private as every bucket of ours."""
        name = self._name("bucket")
        self.clients["s3"].create_bucket(Bucket=name)
        return name

    def make_queue(self, **attributes: str) -> str:
        """The URL of a new standard queue; `attributes` as SQS names them, such as VisibilityTimeout."""
        reply = self.clients["sqs"].create_queue(QueueName=self._name("queue"), Attributes=attributes)
        return str(reply["QueueUrl"])

    def make_topic(self) -> str:
        """The ARN of a new SNS topic."""
        return str(self.clients["sns"].create_topic(Name=self._name("topic"))["TopicArn"])

    def queue_arn(self, url: str) -> str:
        """The ARN of a queue of this account."""
        return f"arn:aws:sqs:{self.region}:{self.account_id}:{url.rsplit('/', 1)[-1]}"

    def _name(self, kind: str) -> str:
        """Bucket names are unique in the world, and moto's world is this process."""
        return f"imagine-{self.account_id}-{kind}-{next(self._names)}"


class _Gateway(BaseHTTPRequestHandler):
    """Hands a request that came over loopback to the account, under the address it would have on AWS."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body leave apart; the second would wait 40 ms for an ACK

    def __init__(self, answer: Answer, *arguments: Any) -> None:
        self._answer = answer
        super().__init__(*arguments)

    def do_POST(self) -> None:
        body = self._body()
        signed = re.search(r"Credential=[^/]+/\d+/([^/]+)/([^/]+)/", self.headers.get("Authorization", ""))
        region, service = signed.groups() if signed else (REGION, "s3")
        host = f"{'api.' if service == 'sagemaker' else ''}{service}.{region}.amazonaws.com"
        headers = HTTPHeaders()
        for name, value in self.headers.items():
            if name.lower() != "transfer-encoding":
                headers[name] = host if name.lower() == "host" else value
        reply = self._answer(
            AWSPreparedRequest(self.command, f"https://{host}{self.path}", headers, body, stream_output=False)
        )
        if reply is None:
            self.send_error(404)
            return
        self._send(reply)

    do_GET = do_PUT = do_DELETE = do_HEAD = do_POST  # noqa: N815 (http.server's own names)

    def _body(self) -> bytes:
        """A proxy hands a long body on in chunks."""
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _send(self, reply: AWSResponse) -> None:
        content = reply.content
        told = reply.headers.get("Content-Length") if self.command == "HEAD" else None
        self.send_response(reply.status_code)
        for name, value in reply.headers.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, str(value))
        self.send_header("Content-Length", told or str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Say nothing: a test's output is for what failed."""
