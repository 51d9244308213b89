"""A Cloud's S3 on loopback, for programs in other processes: their requests are handed to moto here."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, HeadersDict

from tests.aws.cloud import Cloud

HOP_BY_HOP = {"connection", "content-length", "transfer-encoding"}


@contextmanager
def s3_front(cloud: Cloud) -> Iterator[str]:
    """The address; it takes path-style requests, which is what clients send to an IP address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the base class's name for it)
            """Say nothing."""

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            host = f"s3.{cloud.region}.amazonaws.com"
            headers: Any = HeadersDict({**dict(self.headers.items()), "Host": host})
            url = f"https://{host}{self.path}"
            told = cloud.answer(AWSPreparedRequest(self.command, url, headers, body, stream_output=False))
            assert told is not None
            content = told.content
            self.send_response(told.status_code)
            for name, value in told.headers.items():
                if name.lower() not in HOP_BY_HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = answer  # noqa: N815  (the base class's names)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
