"""AWS as a process that says yes to everything: what is left is our own work. Prints its port."""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = "benchmark"
SIGNING_SECRET = "/imagine/bench/slack-signing-secret"
ANSWERS = {
    "BatchGetItem": {"Responses": {}, "UnprocessedKeys": {}},
    "GetItem": {},
    "GetParameters": {
        "Parameters": [{"Name": SIGNING_SECRET, "Value": SECRET, "LastModifiedDate": 1_700_000_000}],
        "InvalidParameters": [],
    },
    "SendMessage": {"MessageId": "m", "MD5OfMessageBody": "0" * 32},
    "TransactWriteItems": {},
}


class Aws(BaseHTTPRequestHandler):
    """Every call is counted; `GET /` tells the counts."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    counts: dict[str, int] = {}  # noqa: RUF012  one process, one benchmark

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        call = self.headers["X-Amz-Target"].rsplit(".", 1)[1]
        self.counts[call] = self.counts.get(call, 0) + 1
        self._answer(ANSWERS[call], self.headers["Content-Type"])

    def do_GET(self) -> None:
        self._answer(self.counts, "application/json")

    def _answer(self, answer: object, content_type: str) -> None:
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("x-amzn-RequestId", "bench")
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Aws)
    print(server.server_address[1], flush=True)
    sys.exit(server.serve_forever())
