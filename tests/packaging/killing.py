"""An account whose n-th request kills the command that asked, before the request has its effect or after."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from botocore.awsrequest import AWSResponse

KILLED = -signal.SIGKILL
ASKER = "x-asker"
"""A header of each request: the process id of the command and its number."""

ROOT = Path(__file__).resolve().parents[2]
PART_NUMBER = re.compile(rb"<PartNumber>(\d+)</PartNumber>")


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """`request` counts from 1, 0 is never; `done`: it has its effect, and the answer alone is lost."""

    request: int = 0
    done: bool = False


class Watched:
    """Counts the requests of `killable` to this account, kills at one, and lists parts as real S3 does.

    What a killed command had on its way is dropped, so that the next one begins with a store that rests.
    """

    def __init__(self, cloud):
        self._answer = cloud.answer
        self._turn = threading.Lock()
        self._checksums = {}
        self._killed = set()
        self.arm(Moment())

    def arm(self, moment):
        """Count from here."""
        with self._turn:
            self._moment = moment
            self.count = 0
            self.parts_sent = 0

    def __call__(self, request, **more):
        with self._turn:
            asker = request.headers[ASKER]
            if asker in self._killed:
                return None
            self.count += 1
            kills = self.count == self._moment.request
            reply = self._told(request, **more) if self._moment.done or not kills else None
            if kills:
                self._killed.add(asker)
                os.kill(int(asker.partition("-")[0]), signal.SIGKILL)
            return reply

    def _told(self, request, **more):
        """moto forgets the checksums of parts, by which an upload goes on."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(request.url).query).items()}
        upload, number = query.get("uploadId"), query.get("partNumber")
        checksum = request.headers.get("x-amz-checksum-crc32")
        reply = self._answer(request, **more)
        if number and checksum:
            self.parts_sent += 1
            self._checksums[upload, number] = checksum
        if upload and request.method == "GET":
            told = PART_NUMBER.sub(partial(self._listed, upload), reply.content)
            return AWSResponse(request.url, reply.status_code, {}, Raw(told))
        return reply

    def _listed(self, upload, found):
        checksum = self._checksums.get((upload, found[1].decode()))
        return found[0] + (f"<ChecksumCRC32>{checksum}</ChecksumCRC32>".encode() if checksum else b"")


class Raw:
    """A body as urllib3 hands it over."""

    def __init__(self, body):
        self._body = body

    def stream(self, **_):
        yield self._body


class Typist:
    """Types one command after another; see `killable`."""

    def __init__(self, process, watched):
        self._process = process
        self._watched = watched

    def types(self, *words, moment=None):
        """Returns how the command ended: its exit status, or `KILLED`."""
        self._watched.arm(moment or Moment())
        self._process.stdin.write(json.dumps([str(word) for word in words]) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


def every_moment(requests):
    """After each request: before the next one the store holds the same."""
    return [Moment(request=number, done=True) for number in range(1, requests + 1)]


@contextmanager
def typist(url, watched, environment):
    """A place to type at while the block lasts."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.packaging.killable", url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environment},
    ) as process:
        yield Typist(process, watched)
