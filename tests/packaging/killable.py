"""Types `imagine …` in processes that a test may kill: on stdin one JSON list of words a line.

For each it tells how it ended (-9 when killed). Commands are forked from here, because a fresh Python and
botocore's clients would take a second each; parts and spans are small, so that a file of a megabyte moves as
large ones do.
"""

import argparse
import functools
import gc
import json
import os
import sys

import model_packaging.verification  # noqa: F401  what a command imports late is there before the fork
from infra import cli
from infra.commands.models import cloud, download, releasing
from model_packaging.upload import Settings
from tests.packaging.killing import ASKER

PART = 2**18
SMALL = Settings(streams=2, part=PART, copy_limit=2 * PART, copy_part=2 * PART)


def serve(url):
    options = argparse.Namespace(region="us-east-1", endpoint_url=url)
    clients = {service: cloud.client(service, options) for service in ("s3", "sagemaker")}
    cloud.client = lambda service, _: clients[service]
    releasing.make_release = functools.partial(releasing.make_release, settings=SMALL)
    download.download = functools.partial(download.download, span=PART)
    parser = cli.parser()
    cli.parser = lambda *_: parser
    gc.freeze()
    for number, line in enumerate(sys.stdin):
        words = json.loads(line)
        child = os.fork()
        if child == 0:
            os.dup2(2, 1)
            sign(clients, f"{os.getpid()}-{number}")
            os._exit(cli.main(words))  # at once: taking the interpreter down costs more than the command
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def sign(clients, asker):
    """Every request tells which command it is of."""
    for client in clients.values():
        client.meta.events.register(
            "before-call", lambda params, **_: params["headers"].update({ASKER: asker})
        )


if __name__ == "__main__":
    serve(sys.argv[1])
